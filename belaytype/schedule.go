package belaytype

import "time"

// Overlap says what becomes of a firing of a schedule while the run before is open.
type Overlap string

// What can become of such a firing.
const (
	OverlapSkip   Overlap = "skip"   // it is left out: the default
	OverlapWait   Overlap = "wait"   // it waits until that run has ended, and those after it are left out
	OverlapQueue  Overlap = "queue"  // it waits behind that run and all that wait already
	OverlapCancel Overlap = "cancel" // that run is cancelled, and it waits until it has ended
	OverlapAllow  Overlap = "allow"  // both run
)

// Overlaps lists them all.
func Overlaps() []Overlap {
	return []Overlap{OverlapSkip, OverlapWait, OverlapQueue, OverlapCancel, OverlapAllow}
}

// CatchUp says which firings are made up for that were missed, because no dispatcher was there.
type CatchUp string

// Which firings are made up for.
const (
	CatchUpNone CatchUp = "none" // none
	CatchUpLast CatchUp = "last" // the last one: the default
	CatchUpAll  CatchUp = "all"  // each one
)

// CatchUps lists them all.
func CatchUps() []CatchUp { return []CatchUp{CatchUpNone, CatchUpLast, CatchUpAll} }

// Schedule starts runs of a plan at the times of a cron expression: what `dispatcher schedules show -o json` prints.
type Schedule struct {
	Name    string     `json:"name"`              // of it
	Plan    string     `json:"plan"`              // name of the plan; what it says was pinned when the schedule was added
	Cron    string     `json:"cron"`              // minute, hour, day of the month, month, day of the week; seconds before them where it has six fields
	TZ      string     `json:"tz"`                // zone of the IANA database
	Jitter  Duration   `json:"jitter,omitempty"`  // a run begins up to so much after its firing, always the same for one firing
	Overlap Overlap    `json:"overlap"`           // while the run before is open
	CatchUp CatchUp    `json:"catch_up"`          // after firings were missed
	Window  Duration   `json:"catch_up_window"`   // what was missed longer ago is not made up for
	By      string     `json:"by"`                // who has added it; its runs are theirs
	Via     string     `json:"via,omitempty"`     // the way in: cli, api, go
	Since   time.Time  `json:"since"`             // when it was added, or replaced
	Paused  *Pause     `json:"paused,omitempty"`  // nil while it fires
	Upto    time.Time  `json:"upto"`              // all firings up to then are decided
	Firings []Firing   `json:"firings,omitempty"` // the last ones that have become runs, or could not, the newest first
	Waiting []Firing   `json:"waiting,omitempty"` // decided, and not yet a run
	Missed  *Left      `json:"missed,omitempty"`  // left out by the rule for what was missed
	Skipped *Left      `json:"skipped,omitempty"` // left out by the rule for overlaps
	Next    *time.Time `json:"next,omitempty"`    // the next firing; nil while it is paused
	Problem string     `json:"problem,omitempty"` // why its next run will not do well, as a sentence; empty: nothing is known
}

// Pause says who lets a schedule fire no more until it is resumed.
type Pause struct {
	By     string    `json:"by"`               // who
	Reason string    `json:"reason,omitempty"` // in that person's words
	At     time.Time `json:"at"`               // since when
}

// Firing is one time at which a schedule starts a run.
type Firing struct {
	At    time.Time `json:"at"`              // the time, which may be before the run was submitted
	Run   string    `json:"run"`             // id of its run
	By    string    `json:"by,omitempty"`    // who has fired it by hand; empty: its time had come
	Error string    `json:"error,omitempty"` // why there is no run; empty: there is one, or will be
	State RunState  `json:"state,omitempty"` // of its run; empty: it is not known, or not kept any more
}

// Left counts firings that were left out.
type Left struct {
	N    int       `json:"n"`    // how many
	Last time.Time `json:"last"` // the newest of them
}
