package steps

import (
	"fmt"
	"time"
)

// A queued attempt is begun by whoever gets its message, and the queue redelivers a message until it is acknowledged. A queue can lose
// one all the same: somebody purges it or resets its consumer, or a server of a cluster that was cut off has said what no other one
// knows of. Then nobody would ever begin the attempt. It is found by what the queue says of itself, since an attempt that waits behind
// others, or in the hand of a worker that is busy, must not be queued again.

// QueueLook is the queue of a tool's rung at one moment, as its server counts it.
type QueueLook struct {
	At    time.Time // before the server was asked
	Last  uint64    // sequence of the last message of the whole queue
	Floor uint64    // sequence up to which all messages of the rung are acknowledged
	Open  uint64    // messages of the rung that wait, or that somebody has in hand
}

// Passage follows the queue of a tool's rung from look to look.
type Passage struct {
	mark QueueLook
	upTo time.Time
}

// Look takes in another look. It returns the time for which it is known that each message that was stored before it is in nobody's
// hand any more; zero if that is not known of any.
func (p *Passage) Look(l QueueLook) time.Time {
	switch {
	case l.Open == 0:
		p.mark, p.upTo = l, l.At
	case p.mark.At.IsZero() || l.Last < p.mark.Last: // the first look, or the queue was made anew
		p.mark = l
	case l.Floor >= p.mark.Last:
		p.mark, p.upTo = l, p.mark.At
	}
	return p.upTo
}

// How long an attempt is left alone after its message must have been in somebody's hand: its outcome may be on its way.
const (
	overlookedAfter = 5 * time.Second
	overlookedMost  = 5 * time.Minute
)

// Unbegun reports whether a is the current attempt of its unit, is to be begun, and nobody has said that they have.
func (s *State) Unbegun(a Attempt) bool {
	i := s.Unit(a.Step)
	if i < 0 || s.Attempt(i) != a {
		return false
	}
	u := &s.Units[i]
	return (u.phase == PhaseQueued || u.phase == PhaseRetrying) && u.Current().State == AttemptQueued && !s.Stopping(i)
}

// Out reports whether a is the current attempt of its unit, and has not ended.
func (s *State) Out(a Attempt) bool {
	c := change{State: s}
	_, out := c.current(a)
	return out
}

// Overlooked reports whether an attempt that nobody has begun is to be queued again: its message was stored by a time, or was not to
// be begun earlier, and passed is what [Passage.Look] says of its rung. It has been queued again so many times before; each time
// it is left alone for twice as long, so that a queue that loses all of them is not flooded.
func Overlooked(queued, passed time.Time, requeues int) bool {
	wait := overlookedMost
	if requeues < 6 {
		wait = min(overlookedAfter<<requeues, overlookedMost)
	}
	return passed.Sub(queued) >= wait
}

// Unsaid is what is said of an attempt whose message has been lost so many times, so that nobody had it and its outcome was not in the log. A
// queue may lose a message; one that is lost each time is taken by a worker that acknowledges without a word. Nil where the attempt is queued
// again, or is over.
func Unsaid(s *State, a Attempt, lost int) Event {
	c := change{State: s}
	i, ok := c.current(a)
	if !ok || s.Units[i].Recalled() || s.Stopping(i) {
		return nil
	}
	f := Fault{Class: Crashed, Acted: ActedMaybe, Message: fmt.Sprintf("its message was taken %d times, and nobody has said what came of it: its worker acknowledges without storing an outcome, or the queue loses it", lost)}
	most := CrashBudget
	if c.effects(i).Unsafe() {
		most = 1
		f.Class, f.Message = Unknown, f.Message+"; it may have happened"
	}
	if lost <= most {
		return nil
	}
	return Failed{Attempt: a, Fault: f}
}
