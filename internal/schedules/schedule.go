package schedules

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"belay/internal/steps"
)

// Overlap says what becomes of a firing while the run before is open.
type Overlap string

const (
	Skip   Overlap = "skip"   // it is left out
	Wait   Overlap = "wait"   // it waits until that run has ended, and those after it are left out
	Queue  Overlap = "queue"  // it waits behind that run and all that wait already
	Cancel Overlap = "cancel" // that run is cancelled, and it waits until it has ended
	Allow  Overlap = "allow"  // both run
)

// Overlaps are all that there are.
func Overlaps() []Overlap { return []Overlap{Skip, Wait, Queue, Cancel, Allow} }

// CatchUp says which firings are made up for that were missed, because no dispatcher was there.
type CatchUp string

const (
	CatchNone CatchUp = "none" // none
	CatchLast CatchUp = "last" // the last one
	CatchAll  CatchUp = "all"  // each one
)

// CatchUps are all that there are.
func CatchUps() []CatchUp { return []CatchUp{CatchNone, CatchLast, CatchAll} }

// Schedule is what is fired, and when.
type Schedule struct {
	Name    string         `json:"name"`             // of it
	Plan    string         `json:"plan"`             // name of the plan; what it says was pinned when the schedule was added
	Cron    string         `json:"cron"`             // minute, hour, day of the month, month, day of the week; seconds before them where it has six fields
	TZ      string         `json:"tz"`               // zone of the IANA database
	Jitter  steps.Duration `json:"jitter,omitempty"` // in seconds: a run begins up to so much after its firing, by a share that follows from its id
	Overlap Overlap        `json:"overlap"`          // while the run before is open
	CatchUp CatchUp        `json:"catch_up"`         // after firings were missed
	Window  steps.Duration `json:"catch_up_window"`  // in seconds: what was missed longer ago is not made up for
	By      string         `json:"by"`               // who has added it; its runs are theirs
	Via     string         `json:"via,omitempty"`    // the way in: cli, api
	Since   time.Time      `json:"since"`            // when it was added, or replaced
	Paused  *Pause         `json:"paused,omitempty"` // nil while it fires

	Upto    time.Time  `json:"upto"`              // all firings up to then are decided
	Firings []Firing   `json:"firings,omitempty"` // the last ones that have become runs, or could not, the newest first
	Waiting []Firing   `json:"waiting,omitempty"` // decided, and not yet a run
	Missed  *Left      `json:"missed,omitempty"`  // left out by the rule for what was missed
	Skipped *Left      `json:"skipped,omitempty"` // left out by the rule for overlaps
	Next    *time.Time `json:"next,omitempty"`    // the next firing; absent while it is paused
	Problem string     `json:"problem,omitempty"` // why its next run will not do well, or who does not answer for it any more, in words; absent: nothing is known
}

// Pause says who lets a schedule fire no more until it is resumed.
type Pause struct {
	By     string    `json:"by"`               // who
	Reason string    `json:"reason,omitempty"` // in that person's words
	At     time.Time `json:"at"`               // since when
}

// Firing is one time at which a schedule starts a run.
type Firing struct {
	At    time.Time      `json:"at"`              // the time, which may be before the run was submitted
	Run   string         `json:"run"`             // id of its run
	By    string         `json:"by,omitempty"`    // who has fired it by hand; absent: its time had come
	Error string         `json:"error,omitempty"` // why there is no run; absent: there is one, or will be
	State steps.RunState `json:"state,omitempty"` // of its run; absent: it is not known, or not kept any more
}

// Left counts firings that were left out.
type Left struct {
	N    int       `json:"n"`    // how many
	Last time.Time `json:"last"` // the newest of them
}

const (
	// grace is how late a firing is that was not missed.
	grace = time.Minute
	// mostWaiting is how many firings wait at most, and how many are made up for at once.
	mostWaiting = 100
	// mostFirings is how many are remembered.
	mostFirings = 10
	// longestName fits into the id of a run, with the time behind it.
	longestName = 40
	// longestWindow bounds how old a firing is that is made up for.
	longestWindow = 31 * 24 * time.Hour
	// longestJitter bounds how long after its firing a run begins.
	longestJitter = time.Hour
	// mostText is how many bytes a reason may have, and an expression.
	mostText = 200
)

const inNames = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

// Check fills in the defaults, and says what is wrong with a schedule, by the names of its settings; nil = nothing.
func (s *Schedule) Check() error {
	s.fill()
	switch {
	case s.Name == "" || len(s.Name) > longestName || strings.ContainsFunc(s.Name, func(r rune) bool { return !strings.ContainsRune(inNames, r) }):
		return fmt.Errorf("name %q: letters, digits, - and _, at most %d", s.Name, longestName)
	case !slices.Contains(Overlaps(), s.Overlap):
		return fmt.Errorf("overlap %q: one of skip, wait, queue, cancel, allow", s.Overlap)
	case !slices.Contains(CatchUps(), s.CatchUp):
		return fmt.Errorf("catch_up %q: one of none, last, all", s.CatchUp)
	case s.CatchUp == CatchAll && s.Overlap != Queue && s.Overlap != Allow:
		return fmt.Errorf("catch_up all: what is made up for comes at once, and overlap %s would leave all but one out; choose overlap queue or allow, or catch_up last", s.Overlap)
	case s.Window < steps.Duration(grace) || time.Duration(s.Window) > longestWindow:
		return errors.New("catch_up_window: from a minute to 31 days")
	case s.Jitter < 0 || time.Duration(s.Jitter) > longestJitter || time.Duration(s.Jitter)%time.Second != 0:
		return errors.New("jitter: whole seconds, at most an hour")
	}
	_, err := parse(s.Cron, s.TZ)
	return err
}

func (s *Schedule) fill() {
	if s.TZ == "" {
		s.TZ = "UTC"
	}
	if s.Overlap == "" {
		s.Overlap = Skip
	}
	if s.CatchUp == "" {
		s.CatchUp = CatchLast
	}
	if s.Window == 0 {
		s.Window = steps.Duration(time.Hour)
	}
}

// Times are the next firings after a time, n of them at most.
func (s *Schedule) Times(after time.Time, n int) (list []time.Time) {
	t, err := parse(s.Cron, s.TZ)
	for ; err == nil && len(list) < n; list = append(list, after) {
		if after = t.next(after); after.IsZero() {
			break
		}
	}
	return list
}

// stamp is a time in the id of a run.
const stamp = "20060102T150405Z"

// firing names the run of a time.
func (s *Schedule) firing(at time.Time) Firing {
	return Firing{At: at, Run: s.Name + "-" + at.UTC().Format(stamp)}
}

// byHand is a firing that somebody wants at a time. Wanted twice in a second it is one.
func (s *Schedule) byHand(at time.Time, who string) Firing {
	f := s.firing(at.Truncate(time.Second).UTC())
	f.By, f.Run = who, f.Run+"-now"
	return f
}

// Waits reports whether the firing of a run waits for its turn.
func (s *Schedule) Waits(run string) bool {
	return slices.ContainsFunc(s.Waiting, func(f Firing) bool { return f.Run == run })
}
