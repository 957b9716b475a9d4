package belaytype

import "time"

// Covers says which calls a gate is about: those that fit all that is given. In names * stands for any letters.
type Covers struct {
	All    bool              `json:"all,omitempty"`    // every call; nothing else is given then
	Run    string            `json:"run,omitempty"`    // id of a run
	Plan   string            `json:"plan,omitempty"`   // name of a plan
	Tool   string            `json:"tool,omitempty"`   // name of a tool
	Target string            `json:"target,omitempty"` // host that a call talks to, with its port as the tools file has it
	Labels map[string]string `json:"labels,omitempty"` // of the run
}

// Gate holds calls back while it is closed: what `dispatcher gate show -o json` prints.
type Gate struct {
	ID     string    `json:"id"`               // names it
	Covers Covers    `json:"covers"`           // which calls
	By     string    `json:"by"`               // who has closed it
	Via    string    `json:"via,omitempty"`    // the way in: cli, console, api, go
	Reason string    `json:"reason"`           // in that person's words
	Since  time.Time `json:"since"`            // when it was closed
	Until  time.Time `json:"until,omitzero"`   // when it opens by itself; zero = a person opens it
	Opened *Opening  `json:"opened,omitempty"` // nil while it is closed

	Silent  []int      `json:"silent"`  // partitions of which no dispatcher has said anything
	Waits   int        `json:"waits"`   // attempts that it covers and that are not held back yet: a worker may still begin them
	Runs    int        `json:"runs"`    // attempts that it covers and that workers execute
	Which   []string   `json:"which"`   // names of some of these
	Held    int        `json:"held"`    // attempts that it holds back
	Drained *time.Time `json:"drained"` // when it was last said that nothing that it covers runs; nil: something does, or that is not known
}

// Opening says who has opened a gate, and why.
type Opening struct {
	By     string    `json:"by,omitempty"`     // empty: its time was up
	Via    string    `json:"via,omitempty"`    // the way in
	Reason string    `json:"reason,omitempty"` // in that person's words
	At     time.Time `json:"at"`               // when
}

// Limit is where a limit stands: what `dispatcher limits show -o json` prints.
type Limit struct {
	ID      string `json:"id"`      // of the limit, short
	Why     string `json:"why"`     // its kind: concurrency, rate, retry_after, gate: one that was opened, behind which calls wait for their turn, or breaker: one whose target is back, likewise
	Covers  string `json:"covers"`  // what it counts: a tool with what its calls are counted by, or a target
	Waiting int    `json:"waiting"` // how many calls wait for it

	Of map[string]int `json:"waiting_of,omitempty"` // of all kinds but concurrency: the same by priority, people, new and redone

	Most   int           `json:"most,omitempty"`    // concurrency: calls that may be in hand at once
	InHand int           `json:"in_hand,omitempty"` // concurrency: those that are, or are about to be
	Calls  []LimitSlot   `json:"calls,omitempty"`   // concurrency: the same by name, first the one that is in hand longest
	Waits  []LimitWaiter `json:"waits,omitempty"`   // concurrency: who waits, first the one that goes next; of many the first ones

	Rate   string    `json:"rate,omitempty"`    // rate: calls that may begin, as the tools file has it
	PerSec float64   `json:"per_sec,omitempty"` // calls that begin in a second at present
	Next   time.Time `json:"next,omitzero"`     // when the next call may begin; zero: at once, or when a slot is free

	Until time.Time `json:"until,omitzero"` // retry_after: before that no call is made
	Run   string    `json:"run,omitempty"`  // retry_after: the run whose call was told so
	Tool  string    `json:"tool,omitempty"` // retry_after: that it called
}

// LimitSlot is an attempt that has a slot of a limit.
type LimitSlot struct {
	Attempt string    `json:"attempt"` // its name
	Since   time.Time `json:"since"`   // when it got the slot
}

// LimitWaiter is an attempt that waits for a slot.
type LimitWaiter struct {
	Attempt  string    `json:"attempt"`            // its name
	Since    time.Time `json:"since"`              // since when it could be executed
	Most     int       `json:"most"`               // slots of the limit, as its run was submitted
	Priority string    `json:"priority,omitempty"` // people, new or redone: in this order they go
	Tenant   string    `json:"tenant,omitempty"`   // the value of the label that says whose its run is; tenants go by turns
}
