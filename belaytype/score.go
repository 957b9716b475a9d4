package belaytype

import "time"

// HowItGoes says what came of the calls of each tool: what `dispatcher slo -o json` prints.
type HowItGoes struct {
	At     time.Time     `json:"at"`              // up to when it is counted
	Since  time.Time     `json:"since,omitzero"`  // when counting began; zero where nothing was counted
	Tools  []ToolOutcome `json:"tools"`           // those with an objective first, the worst of them first
	Spikes []Spike       `json:"spikes"`          // what is unusual now, and what was lately
	Window Duration      `json:"window,omitzero"` // that was asked for; 0: each tool's own
}

// ToolOutcome is what came of the calls of a tool.
type ToolOutcome struct {
	Tool      string        `json:"tool"`             // its name
	Window    Duration      `json:"window"`           // over which it is counted
	Results   int           `json:"results"`          // calls that came to something
	Primary   int           `json:"primary"`          // of these from the first rung
	Degraded  int           `json:"degraded"`         // from later rungs
	Failed    int           `json:"failed"`           // ended without a result
	People    int           `json:"people"`           // went to people, who were not meant to be asked
	Share     *float64      `json:"share"`            // of the first rung, from 0 to 1; nil without results
	Rungs     []RungOutcome `json:"rungs"`            // what came of each
	Decisions Decisions     `json:"decisions"`        // of people
	Changed   time.Time     `json:"changed,omitzero"` // when its present definition was first submitted
	Objective *Objective    `json:"objective"`        // nil where its tools file has no slo for it
}

// RungOutcome is what came of a rung.
type RungOutcome struct {
	Rung     string    `json:"rung"`              // its name
	Gave     int       `json:"gave"`              // results
	Answered int       `json:"answered"`          // attempts that succeeded
	Faulted  int       `json:"faulted"`           // attempts that failed
	Known    time.Time `json:"known,omitzero"`    // when it was first submitted
	Last     time.Time `json:"last,omitzero"`     // when an attempt last succeeded; zero: none that is known of
	Tried    time.Time `json:"tried,omitzero"`    // when an attempt last ended; zero: none that is known of
	Dead     time.Time `json:"dead,omitzero"`     // since when it has not answered, if that is 30 days or more
	Silent   bool      `json:"silent,omitempty"`  // it has never answered, and is not known for 30 days yet
	Removed  bool      `json:"removed,omitempty"` // the tool's present definition does not have it
}

// Decisions are about the escalations of a tool.
type Decisions struct {
	Asked   int      `json:"asked"`   // that were opened
	Decided int      `json:"decided"` // and decided
	Late    int      `json:"late"`    // of these later than the objective says
	P50     Duration `json:"p50"`     // half of the decisions took at most this; 0 = there were none
	P95     Duration `json:"p95"`     // 95 of 100 took at most this
}

// Objective is what a tool's slo asks for, and how it stands.
type Objective struct {
	Primary  float64  `json:"primary"`            // share of the results that should come from the first rung, above 0, at most 1
	Window   Duration `json:"window"`             // over which they are counted
	Decision Duration `json:"decision,omitempty"` // in which people should decide; 0 = nobody said
	Met      bool     `json:"met"`                // the share is what it should be, or there are no results
	Budget   float64  `json:"budget"`             // what is left of the results that may be other than of the first rung, from 1 to below 0
	Burn     Burn     `json:"burn"`               // how fast it is used up
}

// Burn is how fast a budget is used up in the time before now: 1 = it lasts exactly for the window.
type Burn struct {
	M5  float64 `json:"5m"`  // in five minutes
	M30 float64 `json:"30m"` // in thirty
	H1  float64 `json:"1h"`  // in an hour
	H6  float64 `json:"6h"`  // in six
	D1  float64 `json:"1d"`  // in a day
}

// Spike is what is unusual.
type Spike struct {
	ID       string    `json:"id"`                 // of what is unusual: the same each time
	Kind     string    `json:"kind"`               // burn, jump, cause, people or late
	Tool     string    `json:"tool,omitempty"`     // empty: of all tools
	Cause    string    `json:"cause,omitempty"`    // id of the cause
	Text     string    `json:"text"`               // what is unusual, in one line
	Quote    string    `json:"quote,omitempty"`    // what the other side says of it; text from outside
	Since    time.Time `json:"since"`              // since when
	Calm     time.Time `json:"calm,omitzero"`      // since when it looks as usual again
	Over     time.Time `json:"over,omitzero"`      // when that was so for long enough; zero: it goes on
	Notified string    `json:"notified,omitempty"` // what people were notified of: begin or over
}

// CauseFilter says which causes are asked for. The zero value is all of them.
type CauseFilter struct {
	Tool  string    // empty = of all tools
	Since time.Time // only those that were first seen since then; zero = all
	New   bool      // only those that are new since their tool was changed
}

// Cause is one way in which calls fail: what `dispatcher causes -o json` prints.
type Cause struct {
	ID      string         `json:"id"`               // fingerprint of the next four
	Tool    string         `json:"tool"`             // that failed
	Class   Class          `json:"class"`            // of its faults
	Reason  Reason         `json:"reason,omitempty"` // more than the class, of a model's call
	Message string         `json:"message"`          // with # for numbers and ids
	Sample  string         `json:"sample"`           // the last message as it was
	Rung    string         `json:"rung,omitempty"`   // of the last one
	Run     string         `json:"run"`              // of the last one
	First   time.Time      `json:"first"`            // when it was first seen
	Last    time.Time      `json:"last"`             // when it was last seen
	Count   int            `json:"count"`            // since it was first seen
	Days    map[string]int `json:"days"`             // by day, in UTC, of the last 30 with any
	Trend   []int          `json:"trend"`            // how often it was seen on each of the last 14 days in UTC, today last
	New     bool           `json:"new"`              // it was first seen since the tool was changed
}
