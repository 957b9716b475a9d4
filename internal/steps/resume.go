package steps

import (
	"bytes"
	"encoding/json"
	"time"
)

// MaxResume is the most bytes that an attempt may leave for the one that goes on from it, the question with it included.
const MaxResume = 64 << 10

// Resume is what an attempt leaves on the log, so that another one of the same rung goes on from there instead of beginning
// anew, at any time and on any worker. The other side of the call has offered or asked for that: it is no repeat.
type Resume struct {
	Value json.RawMessage `json:"value"` // the executor's own, any JSON; nobody else reads it
	About string          `json:"about"` // what it is, for people: "task 42"
	// Harmless says that going on does nothing anew, because it only looks at what goes on anyway: it may be done any number of
	// times.
	Harmless bool `json:"harmless,omitempty"`
	// Anew says that the call is made anew, with the answer at hand: only what may be repeated, and needs no approval, goes on so.
	Anew bool `json:"anew,omitempty"`
}

// Size is the number of bytes that r and what is asked with it take on the log, roughly.
func (r *Resume) Size(q *Question) int {
	n := len(r.Value) + len(r.About)
	if q != nil {
		n += len(q.Text) + len(q.Schema) + len(q.URL)
	}
	return n
}

// Continuation is what an attempt goes on with, in place of beginning the call.
type Continuation struct {
	Resume
	Answer   json.RawMessage // a person's, to what was asked; nil: nothing was, or it was declined
	Declined string          // the reason of the person who declined; empty: nobody did
}

// Continuation is what the attempt goes on with that is out under this name; nil: it begins the call.
func (s *State) Continuation(a Attempt) *Continuation {
	c := change{State: s}
	i, out := c.current(a)
	if !out {
		return nil
	}
	return c.onward(i, false)
}

// Onward is what the next attempt of unit i on its rung goes on with, or the one that is out; nil: it begins the call.
func (s *State) Onward(i int) *Continuation { return s.Units[i].onward }

// LeftOff reports whether a log says that an execution of this attempt has left something to go on with.
func LeftOff(log []Record, a Attempt) bool {
	for _, r := range log {
		if e, is := r.Event.(Resumable); is && e.Attempt == a {
			return true
		}
	}
	return false
}

// onResumable notes what an attempt leaves while it runs. Where only one worker may execute it, that one says so.
func (c *change) onResumable(e Resumable) {
	i, ok := c.current(e.Attempt)
	if !ok || !c.since(7) || c.Probing(i) || !e.Resume.Harmless || !c.holds(i, e.Worker) {
		return
	}
	rec := c.Units[i].Current()
	if old := rec.Left; old != nil && old.About == e.Resume.About && bytes.Equal(old.Value, e.Resume.Value) {
		return
	}
	rec.Left = &e.Resume
	c.touch(i)
}

// holds reports whether a worker's word counts on how the current attempt of unit i goes on: if it must be claimed, only that
// of whoever has claimed it.
func (c *change) holds(i int, worker string) bool {
	rec := c.Units[i].Current()
	return !c.claimed(i) || !rec.claimed.IsZero() && rec.Worker == worker
}

// leave notes what a failed attempt leaves, and reports whether it asks something.
func (c *change) leave(i int, e Failed, holder bool) (asks bool) {
	if !c.since(7) || !holder || c.Probing(i) || !c.Units[i].is(e.Attempt) {
		return false
	}
	rec := c.Units[i].Current()
	rec.spent = rec.spent || e.Spent
	if e.Resume != nil && e.Resume.Anew && (c.Tool(i).Effects.Unsafe() || len(c.Units[i].permit.grants) > 0) {
		return false
	}
	if e.Resume != nil {
		rec.Left, rec.spent = e.Resume, false
	}
	return e.Resume != nil && e.Question != nil
}

// askBack asks a person what the other side of unit i's call asks. It does not in a run that is ending, nor for a call whose
// turn was taken back: nobody needs the answer.
func (c *change) askBack(i int, e Failed) bool {
	if c.Stopping(i) || c.unwanted(i) {
		return false
	}
	rec := c.Units[i].Current()
	rec.State, rec.Ended, rec.Fault = AttemptFailed, c.Now, &e.Fault
	c.Units[i].Fault, c.Units[i].onward = &e.Fault, nil
	c.raise(Escalation{Kind: KindQuestion, Unit: i, Fault: e.Fault, Question: e.Question, Resume: e.Resume})
	return true
}

// reply sends what a person has decided back to the other side: the next attempt goes on with it.
func (c *change) reply(i int, r *Resume, d Decided) {
	next := &Continuation{Resume: *r}
	if d.Verb == VerbAnswer {
		next.Answer = d.Answer
	} else {
		next.Declined = d.Reason
	}
	c.goOnWith(i, next)
}

// goOnWith queues the attempt of unit i that goes on after a person has decided, in the same round and on the same rung: the
// approval for the call is the one that it has.
func (c *change) goOnWith(i int, next *Continuation) {
	u := &c.Units[i]
	if next.Anew && c.Tool(i).Effects.Unsafe() && c.leftOff(i) {
		c.leaveOff(i, "a worker's tools file says so by now")
		return
	}
	u.Fault, u.ladder.faults, u.ladder.named, u.doubt, u.onward = nil, nil, 0, 0, next
	c.newBudget(i)
	c.queue(i, 0)
}

// Standing is what unit i, whose attempt has an unknown outcome, can be gone on with although nothing does any more; nil: nothing.
func (s *State) Standing(i int) *Continuation {
	c := change{State: s}
	if s.Units[i].phase != PhaseUnknown {
		return nil
	}
	if next := c.onward(i, true); next != nil && next.Harmless {
		return next
	}
	return nil
}

// look has unit i, whose attempt has an unknown outcome, looked after once more, or the tool's probe look.
func (c *change) look(i int) {
	if next := c.Standing(i); next != nil {
		c.goOnWith(i, next)
		return
	}
	c.probe(i)
}

// onward is what the attempt after the current one of unit i would go on with, where that one has ended or was lost; nil:
// there is nothing. What acts is gone on with once, unless it may be repeated or surely did nothing.
func (c *change) onward(i int, acted bool) *Continuation {
	rec, unsafe := c.Units[i].Current(), c.Tool(i).Effects.Unsafe()
	next := rec.Continues
	if rec.Left != nil {
		next = &Continuation{Resume: *rec.Left}
	}
	switch {
	case !c.since(7) || rec.spent || c.Probing(i) || next == nil || next.Anew && unsafe:
		return nil
	case rec.Left == nil && !next.Harmless && acted && unsafe:
		return nil
	}
	return next
}

// goOnFrom lets unit i go on from where its attempt has left off, in place of what else follows from fault f. It reports
// whether it does; where it does not any more, the fault says that the other side may.
func (c *change) goOnFrom(i int, f *Fault) bool {
	u := &c.Units[i]
	next := c.onward(i, f.MayHaveActed())
	if u.onward = nil; next == nil || c.Stopping(i) || c.unwanted(i) && !next.Harmless {
		return false // of a call whose turn was taken back nothing is done any more; what goes on anyway is looked after
	}
	if f.Class == NoWorker {
		u.onward = next
		c.ask(i, KindFailure, *f)
		return true
	}
	wait, ok := c.waitToGoOn(i, *f)
	if !ok {
		f.Message += c.atWork(i)
		return false
	}
	if until := c.mayRunUntil(i); f.Class == Unknown && until.After(c.Now) {
		u.Current().mayRunUntil = until // its worker may be cut off, and look on as well
	}
	u.onward = next
	c.queue(i, wait)
	return true
}

// atWork says, of the attempt that unit i stands on, that what it has left may go on by itself; empty where nothing may.
func (c *change) atWork(i int) string {
	if next := c.onward(i, true); next != nil && next.Harmless {
		return "; " + next.About + " may still be at work on the other side"
	}
	return ""
}

// waitToGoOn says whether unit i may go on after f, and after which wait. That a worker was lost under what must not be begun
// anew counts like its other crashes.
func (c *change) waitToGoOn(i int, f Fault) (wait time.Duration, ok bool) {
	if f.Class == Unknown || f.Class == Crashed && c.claimed(i) {
		return 0, c.Units[i].count(f.Class) < CrashBudget && c.inBudget(i, 0)
	}
	return c.retry(i, &f)
}

// leftOff reports whether unit i has a call that may have acted before it was left off, and that must not be begun anew.
func (c *change) leftOff(i int) bool { return c.since(7) && c.otherInDoubt(i) >= 0 }

// leaveOff hands the call of unit i that was left off to a probe or a person, because it does not go on.
func (c *change) leaveOff(i int, why string) {
	c.Units[i].onward = nil
	c.standOn(i, c.otherInDoubt(i))
	c.inDoubt(i, "it may have happened already, and must not be repeated: "+why)
}
