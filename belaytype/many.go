package belaytype

import (
	"encoding/json"
	"time"
)

// ManyResult is what became of one of many runs that were to be cancelled or retried.
type ManyResult struct {
	Run    string   `json:"run"`              // its id
	Was    RunState `json:"was"`              // the state in which it was found
	Done   bool     `json:"done"`             // it was done; false: Code and Detail say why not, and the run is as it was, or uncertain
	Code   string   `json:"code,omitempty"`   // why not, for programs: again (it had been done before), changed, not_allowed, no_run, forbidden, uncertain, dry_run
	Detail string   `json:"detail,omitempty"` // what came of it, or why not, in words
}

// Archived is a run in an archive.
type Archived struct {
	ID       string    `json:"id"`       // of the run
	Workflow string    `json:"workflow"` // the plan's name
	State    RunState  `json:"state"`    // how it ended
	Started  time.Time `json:"started"`  // when it was submitted
	Ended    time.Time `json:"ended"`    // when it ended
	Entries  int       `json:"entries"`  // of its log
	SHA256   string    `json:"sha256"`   // of these, as they stand in the archive

	Log []byte `json:"-"` // its entries, one JSON document per line, where an archive is read; the next run takes its place
}

// Archive is what an archive says of itself at its end.
type Archive struct {
	Runs    int    `json:"runs"`    // how many are in it
	Entries int    `json:"entries"` // how many of them all
	SHA256  string `json:"sha256"`  // of all lines before the last
}

// Removed is what became of an archived run that was to be removed from the log.
type Removed struct {
	ID     string `json:"id"`               // of the run
	Result string `json:"result"`           // removed, gone (it was not there), kept, uncertain, or not_reached
	Code   string `json:"code,omitempty"`   // why it was not removed, for programs: changed, not_allowed, unrecorded
	Detail string `json:"detail,omitempty"` // that in words
}

// Replay is what would become of each step if a run were done again: what `dispatcher runs replay --dry-run -o json` prints.
type Replay struct {
	Of          string       `json:"of"`                    // the other run
	Steps       []ReplayStep `json:"steps"`                 // of the plan, in its order
	Gone        []string     `json:"gone,omitempty"`        // steps that the other run had begun and the plan does not have
	Refused     []string     `json:"refused,omitempty"`     // why it is not possible, each a sentence; empty = it is
	Unconfirmed []string     `json:"unconfirmed,omitempty"` // steps of which it has yet to be said that calls are made again
}

// ReplayStep is a step of a replay.
type ReplayStep struct {
	Step  string       `json:"step"`            // its id
	Tool  string       `json:"tool"`            // its name
	Fate  string       `json:"fate"`            // what becomes of it
	Why   string       `json:"why"`             // in words
	State StepState    `json:"state,omitempty"` // where it stood in the other run; empty: it was not in that one's plan
	Calls []ReplayCall `json:"calls,omitempty"` // of one that is executed again: what changed something before
}

// ReplayCall is a call of the other run that has changed something, or may have.
type ReplayCall struct {
	Unit   string          `json:"unit"`          // its id
	Tool   string          `json:"tool"`          // its name
	Run    string          `json:"run"`           // that made it: the other run, or one that it had taken it over from
	Params json.RawMessage `json:"params"`        // null where the other run had taken it over
	Key    string          `json:"key,omitempty"` // the idempotency key that it had, in the replay it has another one; empty likewise
	Was    string          `json:"was"`           // what is known of it: made, maybe, undone
}

// Migration is what would become of each step if an open run went on under another plan: what `dispatcher runs migrate --dry-run -o json`
// prints.
type Migration struct {
	Of      string          `json:"of"`                // the run
	To      string          `json:"to"`                // that it would go on as
	Seen    uint64          `json:"seen"`              // sequence of the last entry of its log that this is about
	Steps   []MigrationStep `json:"steps"`             // of the other plan in its order, and then those that it does not have
	Asked   []string        `json:"asked,omitempty"`   // ids of open questions that are withdrawn, and asked again where the other plan comes to them
	Refused []Obstacle      `json:"refused,omitempty"` // why it is not possible; empty = it is
}

// MigrationStep is a step of a migration.
type MigrationStep struct {
	Step    string    `json:"step"`              // its id
	Tool    string    `json:"tool"`              // its name
	Fate    string    `json:"fate"`              // what becomes of it: fits, differs, dropped, missing, next, new, gone
	Why     string    `json:"why"`               // in words
	State   StepState `json:"state,omitempty"`   // where it stands; empty: the run's own plan does not have it
	Differs []string  `json:"differs,omitempty"` // in what the other plan would do something else
}

// Obstacle is what is in the way of a migration.
type Obstacle struct {
	Step string `json:"step,omitempty"` // its id; empty: it is about the run as a whole
	What string `json:"what"`           // what is in the way
	Do   string `json:"do"`             // what to do about it
}

// Passkey is the public part of a passkey that somebody approves with: what `dispatcher passkeys ls -o json` prints.
type Passkey struct {
	ID         string    `json:"id"`                   // made from all that is checked
	Person     string    `json:"person"`               // whose it is
	Name       string    `json:"name,omitempty"`       // what they call it
	Origin     string    `json:"origin"`               // the console where it was registered; it signs nowhere else
	Credential []byte    `json:"credential"`           // its id among those of the device
	Key        []byte    `json:"key"`                  // the public key: SubjectPublicKeyInfo, DER
	Made       time.Time `json:"made,omitzero"`        // when it was registered
	Removed    time.Time `json:"removed,omitzero"`     // when it was removed: it approves nothing any more; zero: it counts
	RemovedBy  string    `json:"removed_by,omitempty"` // who did that
}
