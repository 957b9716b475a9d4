package dispatch

import (
	"cmp"
	"slices"
	"time"

	"belay/internal/bus"
	"belay/internal/runlog"
	"belay/internal/steps"
)

// run is one folded run in a partition's memory, and what is known to exist outside because of it. Only the partition's
// goroutine uses it.
type run struct {
	id   string
	fold *runlog.Fold // nil until it is read

	sent map[string]*sent  // by unit: the last attempt whose step message was published; pointers, since a map has room for eight at least
	made map[made]struct{} // everything else that was published or removed

	out     int                        // unanswered publishes and purges
	late    []*receipt                 // events that the fold has already; acknowledged when out is 0
	result  *pendingResult             // the end of the run; published when out is 0
	gone    bool                       // no longer in the partition's memory
	waiting []event                    // events that arrived while it was being read, in the order of the log
	queued  map[steps.Attempt]struct{} // after its log was read, while missing wants are published: attempts that are in the queue
	state   readingState               // whether it is being read
	since   uint64                     // while reading: records from this sequence on are observed
	onRead  []func()                   // called once it is read, or abandoned

	passes map[string]pass          // by unit: limits that its attempt has waited for
	lost   map[steps.Attempt]losses // of attempts that were queued again
	timer  timer

	turns map[string]*turn // by unit: attempts that wait for their turn to be queued
	turn  steps.Attempt    // the one whose turn it is
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
	begun   bool  // or over; see [partition.queueOverlooked]
	door    *door // that it was let in by, while it is inside
}

// made names one thing that was published, other than step messages and the timer.
type made struct {
	kind thing
	name string
}

type thing uint8

const (
	withdrawal thing = iota + 1
	purged
	escalation
	escalationRemoved
	result
	unservedWord
	damage
	holdWord
	outlivedWord
	goneOn
)

// event is one event of the log, and whether it may be applied to a fold in memory.
type event struct {
	d     bus.Delivery
	fresh bool
}

// pendingResult is a Closed that waits until everything else is stored, because after it nothing is wanted any more.
type pendingResult struct {
	closed  steps.Closed
	met     []string // [runlog.FaultsMet]
	receipt *receipt
}

// receipt is an event that is not acknowledged yet. The order must always be: everything that the event caused is stored,
// then the event is acknowledged; a failed publish hands it back instead. A result is stored after everything else of its
// run, because nothing is wanted after it.
type receipt struct {
	d        bus.Delivery
	sweep    bool // there is no event: the run was read without one
	requeued bool // what the run wants to be queued may have been in a queue that was lost
	run      *run
	left     int  // unanswered publishes and purges
	failed   bool // handed back; a later answer changes nothing
}

// wait keeps an event until the run is read. One that was redelivered meanwhile takes its own place: a read may take longer
// than the server waits for an acknowledgement.
func (r *run) wait(e event) {
	i, waits := slices.BinarySearchFunc(r.waiting, e.d.Seq, func(w event, seq uint64) int { return cmp.Compare(w.d.Seq, seq) })
	if waits {
		r.waiting[i] = e
		return
	}
	r.waiting = slices.Insert(r.waiting, i, e)
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

// frozen reports whether the run is frozen at an entry that cannot be read.
func (r *run) frozen() bool { return r.fold != nil && r.fold.Poison != nil }

// live reports whether the run can want something now.
func (r *run) live() bool {
	return !r.gone && r.state == idle && r.fold != nil && r.fold.State != nil && r.fold.Poison == nil
}
