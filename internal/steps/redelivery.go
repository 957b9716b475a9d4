package steps

import (
	"strings"
	"time"
)

// Verdict is what a worker does with a message that may have been executed before.
type Verdict uint8

const (
	Execute       Verdict = iota + 1 // go on: claim it if its tool is unsafe, then execute
	Drop                             // its outcome is in the log, or nobody wants it any more: acknowledge
	ParkIt                           // come back later
	ReportUnknown                    // somebody had claimed it and ended without a word: it may have happened
	ReportCrashed                    // it has ended its worker too often
)

func (v Verdict) String() string {
	return [...]string{"none", "execute", "drop", "park", "report unknown", "report crashed"}[v]
}

// Delivered is what a worker knows of the message in its hand.
type Delivered struct {
	StepMessage
	Again   bool          // this may not be the first delivery
	Claim   string        // the name under which this delivery has tried to claim the attempt; empty before
	Now     time.Time     // the worker's clock
	AckWait time.Duration // how long a silent worker keeps a message
}

// Redelivered decides what to do with a delivery, given the run's log. For ParkIt the duration says for how long.
// It needs no fold: whatever ended this attempt names it.
func Redelivered(log []Record, d Delivered) (Verdict, time.Duration) {
	h := history{Delivered: d}
	for _, r := range log {
		if h.over(r.Event) {
			return Drop, 0
		}
		h.note(r)
	}
	switch {
	case h.claimed == "" || h.claimed == d.Claim:
		return h.crashes()
	case d.Again:
		return ReportUnknown, 0
	}
	return ParkIt, d.AckWait // its holder may be at work; after one ack wait this is a redelivery
}

type history struct {
	Delivered
	claimed string // by whom the attempt is claimed
	starts  int    // starts after a redelivery, in this step and round
	started time.Time
}

// over reports whether an event says that nobody wants this attempt to be executed any more.
func (h *history) over(e Event) bool {
	switch e := e.(type) {
	case Closed:
		return true
	case Cancelled:
		return !strings.HasSuffix(h.Step, "~undo")
	case Succeeded:
		return e.Attempt == h.Attempt
	case Failed:
		return e.Attempt == h.Attempt
	case Unserved:
		return e.Attempt == h.Attempt && h.Effects != EffectsUnsafe
	case Claimed:
		return e.Attempt == h.Attempt && e.Worker == ""
	}
	return false
}

func (h *history) note(r Record) {
	switch e := r.Event.(type) {
	case Claimed:
		if e.Attempt == h.Attempt && h.claimed == "" {
			h.claimed = e.Worker
		}
	case Started:
		if e.Step == h.Step && e.Round == h.Round && e.Delivery != "" {
			h.starts++
			h.started = r.Time
		}
	}
}

// crashes counts the starts of this step and round that came to no end. A poison message is tried ever more slowly.
func (h *history) crashes() (Verdict, time.Duration) {
	if h.starts >= CrashBudget {
		return ReportCrashed, 0
	}
	if h.starts > 0 {
		rest := min(time.Second<<h.starts, time.Minute) - h.Now.Sub(h.started)
		if rest > 0 {
			return ParkIt, rest
		}
	}
	return Execute, 0
}
