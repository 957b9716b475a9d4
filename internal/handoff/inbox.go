package handoff

import (
	"encoding/json"
	"time"

	"belay/internal/steps"
)

// Item is an open escalation as the inbox lists it: what is asked, and what people do about it.
type Item struct {
	steps.EscalationView
	Fingerprint string    `json:"fingerprint"` // of tool, rung, class and target: items with the same one are alike
	Claim       *Claim    `json:"claim"`       // null while nobody has it
	Lease       *Claim    `json:"-"`           // the last claim, also one that has run out
	Assigned    string    `json:"assigned,omitempty"`
	Snoozed     time.Time `json:"snoozed_until,omitzero"`
	Notes       []Note    `json:"notes,omitempty"`
}

// Claim says that somebody is at it, for the time of a lease. One that has run out counts for nothing.
type Claim = steps.Hold

// Note is a word from one person to the next.
type Note struct {
	By   string    `json:"by"`
	At   time.Time `json:"at"`
	Via  string    `json:"via,omitempty"`
	Text string    `json:"text"`
}

// Card is everything about one escalation: the dossier, made from the run's log, and what people did about it.
type Card struct {
	Item    Item          `json:"item"`
	Dossier steps.Dossier `json:"dossier"`
	Trail   []TrailLine   `json:"trail"`   // the oldest first
	Similar []string      `json:"similar"` // other open items with the same fingerprint
}

// Act is what a person wants done about an item.
type Act struct {
	Verb   Action          `json:"verb,omitempty"`
	Reason string          `json:"reason,omitempty"`
	Params json.RawMessage `json:"params,omitempty"` // edit: the whole new parameters
	Answer json.RawMessage `json:"answer,omitempty"` // answer: the output
	To     string          `json:"to,omitempty"`     // assign: whom
	Until  time.Time       `json:"until,omitzero"`   // snooze
	Text   string          `json:"text,omitempty"`   // note
	// Digest is of what the person saw, for approve: another one is refused.
	Digest string `json:"digest,omitempty"`
	// Take says that it is done although somebody else has claimed it; they are told.
	Take bool `json:"take,omitempty"`
	// Many says that it is one of many: nobody has looked at each, so it approves nothing along the way.
	Many bool `json:"many,omitempty"`
	// Revision is the dossier's that the person saw; 0 = whatever it is now.
	Revision uint64 `json:"revision,omitempty"`
}

// Action is a decision (a [steps.Verb]) or one of the acts below, which decide nothing.
type Action string

// What people do about an item beside deciding it.
const (
	ActClaim   Action = "claim"
	ActRelease Action = "release"
	ActAssign  Action = "assign"
	ActSnooze  Action = "snooze"
	ActNote    Action = "note"
)

// Done is what came of an [Act].
type Done struct {
	ID     string    `json:"id"`
	Action Action    `json:"action"`
	At     time.Time `json:"applied_at"`
	By     string    `json:"by"`
	Effect string    `json:"effect,omitempty"` // what came of it, in words
	Again  bool      `json:"again,omitempty"`  // the same person had decided the same before
	Part   bool      `json:"part,omitempty"`   // an approval, and more people must approve

	Discarded bool `json:"discarded,omitempty"` // it belonged to no run and was removed; no run's log says so
}
