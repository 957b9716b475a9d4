package main

import (
	"fmt"
	"strings"
)

// What a worker needs of the names that cross NATS, as docs/protocol.md has them for the prefix belay. A test holds them
// against those of the programs.

const (
	stepsStream = "BELAY_STEPS"
	stopPrefix  = "belay.stop."
)

// logStream is the stream with partition p of the log; logSubject that of a run's events of one kind in it, ">" for all.
func logStream(p int) string { return fmt.Sprintf("BELAY_RUNS_%d", p) }

func logSubject(p int, run, kind string) string {
	return fmt.Sprintf("belay.runs.%d.%s.%s", p, run, kind)
}

// outcomeKind is the kind of the log's subjects for outcomes of a tool: an account may be allowed to report of some tools alone.
func outcomeKind(tool string) string { return "outcome." + token(tool) }

// stepConsumer is the consumer of a tool's rung, stepFilter what it gets, and stepSubject where one attempt is.
func stepConsumer(tool, rung string) string { return token(tool) + "~~" + rung }

func stepFilter(tool, rung string) string { return "belay.steps." + token(tool) + "." + rung + ".>" }

func stepSubject(s step) string {
	return strings.TrimSuffix(stepFilter(s.Tool, s.RungName), ">") + s.Run + "." + s.Step + "." + s.token()
}

// token is a tool's name in a subject, where dots would be separators.
func token(tool string) string { return strings.ReplaceAll(tool, ".", "~") }
