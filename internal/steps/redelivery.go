package steps

import (
	"slices"
	"strings"
	"time"
)

// Unsafe reports whether a tool must be claimed before it acts. Whatever is not declared harmless is unsafe.
func (e Effects) Unsafe() bool { return e != EffectsNone && e != EffectsIdempotent }

// Verdict is what a worker does with a message that may have been executed before.
type Verdict uint8

const (
	Execute       Verdict = iota + 1 // go on: claim it if its tool is unsafe, then execute
	Drop                             // its outcome is in the log, or nobody wants it any more: acknowledge
	Park                             // let it come back later
	Rest                             // keep it in hand and wait: it has ended its worker before
	Decline                          // nobody wants it, and the log does not know that nobody will execute it: say so
	ReportUnknown                    // whoever had claimed it is silent: it may have happened
	ReportCrashed                    // it has ended its worker too often
)

func (v Verdict) String() string {
	return [...]string{"none", "execute", "drop", "park", "rest", "decline", "report unknown", "report crashed"}[v]
}

// Delivered is what a worker knows about a message in hand.
type Delivered struct {
	StepMessage
	Redelivered bool          // this may not be the first delivery
	Requeued    bool          // it stands for a message that may have been lost with the queue
	Claim       string        // the name under which this delivery has tried to claim the attempt; empty before
	Start       string        // the name under which the log knows that this delivery starts; empty before
	InHandSince time.Time     // when it came into hand, by the worker's clock
	Now         time.Time     // the worker's clock
	AckWait     time.Duration // how long a silent worker keeps a message
	Replicated  bool          // several servers have the log, and the one that answers may be behind
	Deliveries  uint64        // how often the message was delivered, this one included
}

// Fresh reports whether nobody can have begun the attempt before, so that its log need not be read, nor say that the
// attempt starts. The arguments are those of [Delivered].
func Fresh(redelivered, requeued bool) bool { return !redelivered && !requeued }

// VerdictOn decides what to do with a delivery, given what the run's log says about its step and about the run as a whole.
// For Park and Rest the duration says for how long. A fold would need the whole log; this needs the records of one step,
// because whatever ended an attempt names it.
func VerdictOn(log []Record, d Delivered) (Verdict, time.Duration) {
	h, over := historyOf(log, d)
	switch {
	case over:
		return Drop, 0
	case h.cancelled && (h.claimed == "" || h.claimed == d.Claim):
		return Decline, 0
	case h.cancelled:
		return Drop, 0 // whoever claimed it says what became of it, or the run finds out
	case h.claimed == "" || h.claimed == d.Claim:
		return h.crashes()
	case d.Redelivered && d.Effects.Unsafe():
		return ReportUnknown, 0
	case d.Redelivered:
		return ReportCrashed, 0 // an approved call that may be repeated, so the ladder goes on
	}
	return Park, d.AckWait // whoever claimed it may be at work, also where the queue was lost; after one ack wait this is a redelivery
}

type history struct {
	Delivered
	cancelled bool
	claimed   string    // by whom the attempt is claimed
	starts    []Started // of this step and round, that have come to no end yet
}

// over reports whether an event says that nobody wants this attempt to be executed any more.
func (h *history) over(e Event) bool {
	switch e := e.(type) {
	case Closed:
		return true
	case Withdrawn:
		return e.Attempt == h.Attempt
	case Succeeded:
		return e.Attempt == h.Attempt
	case Failed:
		return e.Attempt == h.Attempt
	case Objected:
		return e.Attempt == h.Attempt
	case Junk:
		return e.Attempt == h.Attempt && (!e.Claim || h.Claimed() && h.claimed == "")
	case Unserved:
		return e.Attempt == h.Attempt && !h.Claimed() && !h.begun() // the run ignores it where a worker had begun it before
	case Claimed:
		return e.Attempt == h.Attempt && e.Worker == "" && h.claimed == "" // the first claim counts
	}
	return false
}

func (h *history) note(r Record) {
	switch e := r.Event.(type) {
	case Claimed:
		if e.Attempt == h.Attempt && h.claimed == "" {
			h.claimed = e.Worker
		}
	case Cancelled:
		h.cancelled = !strings.HasSuffix(h.Step, "~undo")
	case Withdrawn:
		h.end(e.Attempt)
	case Started:
		h.began(e)
	case Succeeded:
		h.end(e.Attempt)
	case Junk:
		if !e.Claim {
			h.end(e.Attempt)
		}
	case Failed:
		if e.Fault.Class != Crashed { // that one says that the starts before it came to no end
			h.end(e.Attempt)
		}
	}
}

// began notes a start once, however often it was stored; not that of the delivery in hand.
func (h *history) began(e Started) {
	if e.Step != h.Step || e.Round != h.Round || e.Delivery != "" && e.Delivery == h.Start {
		return
	}
	known := func(s Started) bool { return s.Delivery == e.Delivery && (e.Delivery != "" || s.Attempt == e.Attempt) }
	n := slices.IndexFunc(h.starts, known)
	switch {
	case n < 0:
		h.starts = append(h.starts, e)
	case e.Company == CompanyBeside:
		h.starts[n].Company = CompanyBeside // it was alone up to then
	}
}

// begun reports whether the log has a start of the attempt itself.
func (h *history) begun() bool {
	return slices.ContainsFunc(h.starts, func(s Started) bool { return s.Attempt == h.Attempt })
}

// end takes back the last start of an attempt: whoever reported its end has not crashed. Attempts that waited for their
// time are redelivered too, so most starts end like this.
func (h *history) end(a Attempt) {
	for i, s := range slices.Backward(h.starts) {
		if s.Attempt == a {
			h.starts = slices.Delete(h.starts, i, i+1)
			return
		}
	}
}

// crashes goes by the executions of this step and round that came to no end. A message that ends its workers is tried ever
// more slowly, and given up once it has done so often enough; never one that was lost only with others beside it.
func (h *history) crashes() (Verdict, time.Duration) {
	n, blamed := h.lost()
	switch {
	case n >= CrashBudget && blamed > 0:
		return ReportCrashed, 0
	case n == 0:
		return Execute, 0
	}
	pause := min(time.Second<<n, time.Minute)
	if rest := pause - h.Now.Sub(h.InHandSince); rest > 0 {
		return Rest, rest
	}
	return Execute, 0
}

// Heard reports whether the log has heard that an attempt was begun.
func Heard(log []Record, a Attempt) bool {
	return slices.ContainsFunc(log, func(r Record) bool {
		s, is := r.Event.(Started)
		return is && s.Attempt == a
	})
}
