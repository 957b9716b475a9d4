// Package audit keeps the trail of what people did, so that it can be checked: every decision with who, when, through
// what, before and after, why.
//
// A record carries its index and the hash of the record before it, so that an edited, removed, added or moved one is
// named. All records are the leaves of a Merkle tree (RFC 6962, golang.org/x/mod/sumdb/tlog), and signed checkpoints say
// how large the tree was and what its root: who has cut the trail, or written a new one from the start, cannot make it
// agree with a checkpoint that somebody else has kept. Checkpoints are stored beside the records and appended to a file
// of every dispatcher; `audit export` hands both to others.
//
// record.go says what a record is, verify.go checks a trail (pure, over what was read), log.go appends, recorder.go
// records the decisions that stand in the logs of runs, export.go writes and reads a trail as a file.
package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"
)

// Record is one thing that a person did.
type Record struct {
	Index   int64           `json:"index"` // from 0
	Prev    string          `json:"prev"`  // SHA-256 of the record before, in hex; empty for the first
	ID      string          `json:"id"`    // of what is recorded: the same thing is recorded once
	At      time.Time       `json:"at"`
	Who     string          `json:"who"`
	Via     string          `json:"via,omitempty"` // cli, console, api
	Action  string          `json:"action"`
	On      string          `json:"on,omitempty"`      // the escalation, run, token or key
	Run     string          `json:"run,omitempty"`     // of the escalation
	Seq     uint64          `json:"seq,omitempty"`     // of the decision in the run's log
	Counts  *bool           `json:"counts,omitempty"`  // of what stands in the run's log: whether it counted
	Effect  string          `json:"effect,omitempty"`  // what came of it, or why nothing did, in the words that they were told
	Over    string          `json:"over,omitempty"`    // who had claimed the escalation then
	Reopens string          `json:"reopens,omitempty"` // the escalation whose rejection of the same call was taken back
	Reason  string          `json:"reason,omitempty"`
	Summary string          `json:"summary,omitempty"` // what the call in question does, in one line
	Digest  string          `json:"digest,omitempty"`  // of what was approved
	Grant   string          `json:"grant,omitempty"`   // nonce of the signed approval
	Before  json.RawMessage `json:"before,omitempty"`
	After   json.RawMessage `json:"after,omitempty"`
	Patch   json.RawMessage `json:"patch,omitempty"` // from before to after
}

// most is how much of before and after is kept; more is named by its size and hash.
const most = 64 << 10

// bounded is raw, or what names it where it is too large.
func bounded(raw json.RawMessage) json.RawMessage {
	if len(raw) <= most {
		return raw
	}
	return json.RawMessage(fmt.Sprintf(`{"bytes":%d,"sha256":%q}`, len(raw), sum(raw)))
}

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

// Trail is a trail as it was read: the bytes of its records, in their order, and the checkpoints.
type Trail struct {
	Origin      string // belay/audit/<prefix>
	Records     [][]byte
	Checkpoints []string
}

// Origin names the trail of a prefix.
func Origin(prefix string) string { return "belay/audit/" + prefix }
