package dispatch

import (
	"time"

	"belay/internal/bus"
	"belay/internal/runlog"
	"belay/internal/steps"
)

// run is one folded run in a partition's memory, and what is known to exist outside because of it. Only the
// partition's goroutine touches it.
type run struct {
	id   string
	fold *runlog.Fold // nil until it is read

	sent map[string]*sent  // by unit: the last attempt whose step message was published; pointers, since a map has room for eight at least
	made map[made]struct{} // everything else that was published or removed

	out     int                        // publishes and purges that have not answered
	late    []*receipt                 // events that the fold has already; acknowledged when out is 0
	result  *heldResult                // the end of the run; published when out is 0
	gone    bool                       // no longer in the partition's memory
	waiting []event                    // events that came while it was being read
	queued  map[steps.Attempt]struct{} // while its wants are made sure of after a reading: attempts that are in the queue
	state   readingState               // whether it is being read
	since   uint64                     // while reading: records from this sequence on are observed
	onRead  []func()                   // called once it is read, or given up

	timer timer
}

// readingState says whether the log of a run is being read.
type readingState uint8

const (
	idle    readingState = iota
	reading              // its log is being read, or waits to be
)

// sent is an attempt whose step message was published.
type sent struct {
	attempt steps.Attempt
	at      time.Time
}

// made names one thing outside, beside step messages and the timer.
type made struct {
	kind thing
	name string
}

type thing uint8

const (
	withdrawal thing = iota + 1
	purged
	letter
	letterRemoved
	result
	unservedWord
)

// event is one event of the log, and whether it may be applied to a fold in memory.
type event struct {
	d     bus.Delivery
	fresh bool
}

// heldResult is a Closed that waits until all else is stored, because after it nothing is wanted any more.
type heldResult struct {
	closed  steps.Closed
	receipt *receipt
}

// receipt is an event on its way to its acknowledgement: sent only after everything that the event caused is stored.
type receipt struct {
	d      bus.Delivery
	sweep  bool // no event: the run was read for its own sake
	again  bool // what the run wants queued now may have been in a queue that is lost
	run    *run
	left   int // what has not answered
	failed bool
}

// hasSent reports whether the step message of an attempt was published, and no later one of its unit.
func (r *run) hasSent(a steps.Attempt) bool {
	s := r.sent[a.Step]
	return s != nil && s.attempt == a
}

func (r *run) knows(kind thing, name string) bool {
	_, ok := r.made[made{kind, name}]
	return ok
}

func (r *run) note(kind thing, name string) {
	if r.made == nil {
		r.made = make(map[made]struct{})
	}
	r.made[made{kind, name}] = struct{}{}
}

// frozen reports whether an entry that nobody can read holds the run.
func (r *run) frozen() bool { return r.fold != nil && r.fold.Poison != nil }

// live reports whether the run can want something now.
func (r *run) live() bool {
	return !r.gone && r.state == idle && r.fold != nil && r.fold.State != nil && r.fold.Poison == nil
}
