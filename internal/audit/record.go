// Package audit keeps a verifiable trail of what people did: every decision with who, when, through which channel, what it
// changed, and why.
//
// A record has its index and the hash of the record before it, so that a check can name a record that was edited, removed,
// added or moved. All records are the leaves of a Merkle tree (RFC 6962, golang.org/x/mod/sumdb/tlog), and signed
// checkpoints have the size and the root of the tree: whoever cuts the trail, or writes a new one from the start, cannot
// make it agree with a checkpoint that somebody else has kept. Checkpoints are stored beside the records, and appended to
// a file of every dispatcher; `audit export` writes both.
//
// record.go defines a record, verify.go checks a trail (without I/O), log.go appends, recorder.go records the decisions in
// the logs of runs, export.go writes and reads a trail as a file.
package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Record is one thing that a person did.
type Record struct {
	Index   int64           `json:"index"`             // from 0
	Prev    string          `json:"prev"`              // SHA-256 of the record before, in hex; empty for the first
	ID      string          `json:"id"`                // of what is recorded; the same ID twice is the same act
	At      time.Time       `json:"at"`                // when it was done, by the clock of the log or of the process that did it
	Who     string          `json:"who"`               // the name in the token or sign-in, or as given on the local machine
	Via     string          `json:"via,omitempty"`     // cli, console, api
	Token   string          `json:"token,omitempty"`   // id of the API token of a submission
	Action  string          `json:"action"`            // a verb, or what was done to a run, token or key
	On      string          `json:"on,omitempty"`      // the escalation, run, token or key
	Run     string          `json:"run,omitempty"`     // of the escalation
	Seq     uint64          `json:"seq,omitempty"`     // of the decision in the run's log
	Counts  *bool           `json:"counts,omitempty"`  // whether it counted, if it is in a run's log
	Effect  string          `json:"effect,omitempty"`  // what it did, or why it did nothing, in the words of the reply
	Over    string          `json:"over,omitempty"`    // who had claimed the escalation then
	Reopens string          `json:"reopens,omitempty"` // the escalation whose rejection of the same call this withdrew
	Scope   string          `json:"scope,omitempty"`   // what a rejection covers beside exactly this call
	Reason  string          `json:"reason,omitempty"`  // as they wrote it; empty if they gave none
	Summary string          `json:"summary,omitempty"` // what the call in question does, in one line
	Digest  string          `json:"digest,omitempty"`  // of what was approved, or of the entries of a run that was archived and removed
	Grant   string          `json:"grant,omitempty"`   // nonce of the signed approval
	Before  json.RawMessage `json:"before,omitempty"`  // the parameters before an edit; over 64 KiB only size and hash
	After   json.RawMessage `json:"after,omitempty"`   // the new parameters or settings, or the answer that was given; bounded like Before
	Patch   json.RawMessage `json:"patch,omitempty"`   // from before to after
}

// Names reports whether the record is about what has an id: an escalation, a token, a key, a gate or a schedule; or a run to which all of it
// was done, by itself or with others. What was decided about a run's escalations, and written to its agents, is about these.
func (r *Record) Names(id string) bool {
	if r.On == id {
		return true
	}
	switch {
	case r.Action == "migrate run": // as another run
		from, to, _ := strings.Cut(r.On, " as ")
		return id == from || id == to
	case r.Action == "retry run", r.Action == "replay run": // as another run
		return r.Run == id
	case strings.HasSuffix(r.Action, " runs"), r.Action == "accept damage":
		return slices.Contains(r.what().Runs, id)
	case strings.HasSuffix(r.Action, " gate"):
		return r.what().Covers.Run == id
	case r.Action == "fault add":
		return r.what().Run == id
	}
	return false
}

// what is the runs in what somebody has ordered.
type what struct {
	Run    string   `json:"run"`  // of a fault on purpose
	Runs   []string `json:"runs"` // that were acted on together
	Covers struct {
		Run string `json:"run"`
	} `json:"covers"` // of a gate
}

func (r *Record) what() (w what) {
	if json.Unmarshal(r.After, &w) != nil {
		return what{}
	}
	return w
}

// About reports whether the record is about a run: it was done to the run, or to something of it.
func (r *Record) About(run string) bool { return r.Run == run || r.Names(run) }

// most is the largest Before or After that is kept, in bytes; of a larger one only size and hash are.
const most = 64 << 10

// bounded returns raw, or its size and hash if it is too large.
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

// Trail is a trail as it was read: the bytes of its records, in order, and the checkpoints.
type Trail struct {
	Origin      string   // belay/audit/<prefix>
	Records     [][]byte // as they are stored: hashes are over these bytes
	Checkpoints []string // signed notes, each over the records before it
}

// Origin names the trail of a prefix.
func Origin(prefix string) string { return "belay/audit/" + prefix }
