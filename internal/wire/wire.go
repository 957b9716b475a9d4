// Package wire knows every name and byte that crosses NATS: streams, consumers, subjects, headers, bodies. A builder
// stands beside its parser, and no other package spells a name. names.go and log.go hold the names, codec.go the
// bodies: JSON with a schema version.
package wire

import (
	"strings"
)

// Version is the schema version of every body.
const Version = 1

// DefaultPartitions is the number of log partitions when nothing else is configured.
const DefaultPartitions = 4

// MetaPartitions is the key in a log stream's metadata that holds the number of partitions.
const MetaPartitions = "belay-partitions"

// Headers. Keys are case-sensitive in NATS; trace context uses the lower-case keys that OpenTelemetry prescribes.
const (
	HeaderRun       = "Belay-Run-Id"
	HeaderStep      = "Belay-Step-Id"
	HeaderAttempt   = "Belay-Attempt"
	HeaderRung      = "Belay-Rung"
	HeaderNotBefore = "Belay-Not-Before"
	HeaderRepeated  = "Belay-Again"     // set when the same may have been published before: an attempt to a queue that was lost, a submission that is written behind itself
	HeaderAct       = "Belay-Act"       // set when somebody did something to a run as a whole: cancel, steer, retry, replay, submit
	HeaderRemoved   = "Belay-Removed"   // set on what stays for a while of a run that was removed
	HeaderFaults    = "Belay-Faults"    // on a result: which faults its run met, class or class/reason with commas between; empty = none, absent = not known
	HeaderReportTo  = "Belay-Report-To" // on a submission: the token of the program that waits for the end, see [Names.Report]
	HeaderTrace     = "traceparent"
)

// ValidName reports whether s may name a step, a rung, a plan or a run: [A-Za-z0-9_-]{1,64}.
func ValidName(s string) bool {
	if len(s) == 0 || len(s) > 64 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' && c != '-' {
			return false
		}
	}
	return true
}

// ValidTool reports whether s may name a tool: names with single dots between, 64 bytes at most.
func ValidTool(s string) bool {
	if len(s) > 64 {
		return false
	}
	for part := range strings.SplitSeq(s, ".") {
		if !ValidName(part) {
			return false
		}
	}
	return true
}

// Tool names have dots, subject tokens cannot.
func toolToken(tool string) string { return strings.ReplaceAll(tool, ".", "~") }
func toolName(token string) string { return strings.ReplaceAll(token, "~", ".") }
