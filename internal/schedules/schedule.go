package schedules

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"belay/internal/steps"
)

// Overlap says what becomes of a firing while the run before is open.
type Overlap string

const (
	Skip   Overlap = "skip"   // it is left out
	Queue  Overlap = "queue"  // it waits until that run has ended
	Cancel Overlap = "cancel" // that run is cancelled, and it waits until it has ended
	Allow  Overlap = "allow"  // both run
)

// CatchUp says which firings are made up for that were missed, because no dispatcher was there.
type CatchUp string

const (
	CatchNone CatchUp = "none" // none
	CatchLast CatchUp = "last" // the last one
	CatchAll  CatchUp = "all"  // each one
)

// Schedule is what is fired, and when.
type Schedule struct {
	Name    string         `json:"name"`            // of it
	Plan    string         `json:"plan"`            // name of the plan; what it says was pinned when the schedule was added
	Cron    string         `json:"cron"`            // minute, hour, day of the month, month, day of the week
	TZ      string         `json:"tz"`              // zone of the IANA database
	Overlap Overlap        `json:"overlap"`         // while the run before is open
	CatchUp CatchUp        `json:"catch_up"`        // after firings were missed
	Window  steps.Duration `json:"catch_up_window"` // in seconds: what was missed longer ago is not made up for
	By      string         `json:"by"`              // who has added it; its runs are theirs
	Via     string         `json:"via,omitempty"`   // the way in: cli, api
	Since   time.Time      `json:"since"`           // when it was added
	Paused  *Pause         `json:"paused,omitempty"`

	Upto    time.Time  `json:"upto"`              // all firings up to then are decided
	Last    *Firing    `json:"last,omitempty"`    // the last one that has become a run, or could not
	Waiting []Firing   `json:"waiting,omitempty"` // decided, and not yet a run
	Missed  *Left      `json:"missed,omitempty"`  // left out by the rule for what was missed
	Skipped *Left      `json:"skipped,omitempty"` // left out by the rule for overlaps
	Next    *time.Time `json:"next,omitempty"`    // the next firing; null while it is paused
}

// Pause says who lets a schedule fire no more until it is resumed.
type Pause struct {
	By     string    `json:"by"`               // who
	Reason string    `json:"reason,omitempty"` // in that person's words
	At     time.Time `json:"at"`               // since when
}

// Firing is one time at which a schedule fires.
type Firing struct {
	At    time.Time `json:"at"`              // the time, which may be before the run was submitted
	Run   string    `json:"run"`             // id of its run
	Error string    `json:"error,omitempty"` // why there is no run; empty: there is one
}

// Left counts firings that were left out.
type Left struct {
	N    int       `json:"n"`    // how many
	Last time.Time `json:"last"` // the newest of them
}

const (
	// grace is how late a firing is that was not missed.
	grace = time.Minute
	// mostWaiting is how many firings wait at most.
	mostWaiting = 100
	// LongestName fits into the id of a run, with the time behind it.
	LongestName = 40
	// LongestWindow bounds how much is made up for at once.
	LongestWindow = 31 * 24 * time.Hour
)

const inNames = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

// Check fills in the defaults, and says what is wrong with a schedule, by the names of its settings; nil = nothing.
func (s *Schedule) Check() error {
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
	switch {
	case s.Name == "" || len(s.Name) > LongestName || strings.ContainsFunc(s.Name, func(r rune) bool { return !strings.ContainsRune(inNames, r) }):
		return fmt.Errorf("name %q: letters, digits, - and _, at most %d", s.Name, LongestName)
	case s.Overlap != Skip && s.Overlap != Queue && s.Overlap != Cancel && s.Overlap != Allow:
		return fmt.Errorf("overlap %q: one of skip, queue, cancel, allow", s.Overlap)
	case s.CatchUp != CatchNone && s.CatchUp != CatchLast && s.CatchUp != CatchAll:
		return fmt.Errorf("catch_up %q: one of none, last, all", s.CatchUp)
	case s.Window < steps.Duration(grace) || time.Duration(s.Window) > LongestWindow:
		return errors.New("catch_up_window: from a minute to 31 days")
	}
	_, err := parse(s.Cron, s.TZ)
	return err
}

// firing names the run of a time.
func (s *Schedule) firing(at time.Time) Firing {
	return Firing{At: at, Run: s.Name + "-" + at.UTC().Format("20060102T150405Z")}
}

// Decide decides all firings up to now; open says that the run before is open. It reports whether there were any.
func (s *Schedule) decide(t *times, now time.Time, open bool) bool {
	due, late := s.due(t, now)
	if len(due)+late.N == 0 {
		return false
	}
	s.Upto = now
	s.Missed = s.Missed.and(late)
	var keep []Firing
	for _, at := range due {
		keep = append(keep, s.firing(at))
	}
	s.overlapped(keep, open)
	return true
}

// due are the firings that are to be made, and how many were missed that are not made up for.
func (s *Schedule) due(t *times, now time.Time) (list []time.Time, missed Left) {
	var old []time.Time
	for at := t.next(s.Upto); !at.IsZero() && !at.After(now); at = t.next(at) {
		switch age := now.Sub(at); {
		case age <= grace:
			list = append(list, at)
		case age <= time.Duration(s.Window) && s.CatchUp != CatchNone:
			old = append(old, at)
		default:
			missed = Left{missed.N + 1, at}
		}
	}
	if s.CatchUp == CatchLast && len(old) > 0 {
		n := len(old) - 1
		if missed.N += n; n > 0 {
			missed.Last = old[n-1]
		}
		old = old[n:]
	}
	return append(old, list...), missed
}

// overlapped lets firings wait for their turn, or leaves them out.
func (s *Schedule) overlapped(keep []Firing, open bool) {
	if len(keep) == 0 {
		return
	}
	last := keep[len(keep)-1:]
	busy := open || len(s.Waiting) > 0
	switch {
	case s.Overlap == Skip && busy:
		s.skip(keep)
	case s.Overlap == Skip:
		s.skip(keep[:len(keep)-1])
		s.Waiting = last
	case s.Overlap == Cancel:
		s.skip(append(s.Waiting, keep[:len(keep)-1]...))
		s.Waiting = last
	default:
		s.Waiting = append(s.Waiting, keep...)
		if more := len(s.Waiting) - mostWaiting; more > 0 {
			s.skip(s.Waiting[mostWaiting:])
			s.Waiting = s.Waiting[:mostWaiting]
		}
	}
}

func (s *Schedule) skip(list []Firing) {
	if n := len(list); n > 0 {
		s.Skipped = s.Skipped.and(Left{n, list[n-1].At})
	}
}

func (l *Left) and(more Left) *Left {
	switch {
	case more.N == 0:
		return l
	case l == nil:
		return &more
	}
	return &Left{l.N + more.N, more.Last}
}
