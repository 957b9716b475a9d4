package steps

import (
	"cmp"
	"strconv"
)

// did says what the decision that counts on e has done: by what its unit, and the run, are after it.
func (s *State) did(e *Escalation, d Decided) string {
	text := s.didRun(d)
	if e.Unit != RunUnit {
		text = s.didUnit(e, d)
	}
	if d.Reopens != "" {
		text += "; the rejection that " + d.Reopens + " ended in is taken back"
	}
	if n := s.openedBy(e.decided, e.Unit); n >= 0 {
		text += "; it is asked about again as " + s.Escalations[n].ID + ": " + s.Escalations[n].Fault.Message
	}
	if s.Status().Ended() {
		text += "; the run " + ended(s.Status())
	}
	return text
}

// openedBy is the question about a unit that a record opened; -1 when it opened none.
func (s *State) openedBy(seq uint64, unit int) int {
	for n := len(s.Escalations) - 1; n >= 0 && s.Escalations[n].Revision >= seq; n-- {
		if e := &s.Escalations[n]; e.Revision == seq && e.Unit == unit && e.State == EscalationOpen {
			return n
		}
	}
	return -1
}

func (s *State) didRun(d Decided) string {
	switch d.Verb {
	case VerbAbort:
		return s.endingNow()
	case VerbAnswer:
		return "your answer is the run's output"
	case VerbRetry:
		return "the run has its time again and goes on"
	}
	return "noted; the run goes on"
}

// endingNow says how a run ends that was told to.
func (s *State) endingNow() string {
	out, undos := 0, 0
	for i := range s.Units {
		switch u := &s.Units[i]; {
		case u.State.InQueue() && u.fan == nil && u.kind != undo:
			out++
		case u.kind == undo && !u.over():
			undos++
		}
	}
	switch {
	case s.Status().Ended():
		return "nothing was executing"
	case out > 0:
		return "the run is told to stop; " + count(out, "attempt that is out is", "attempts that are out are") + " stopped first"
	case undos > 0 || s.left > 0:
		return "the run is told to stop; what was done is being undone where the plan says how"
	}
	return "the run is told to stop"
}

func (s *State) didUnit(e *Escalation, d Decided) string {
	u, tool := &s.Units[e.Unit], s.Tool(e.Unit).Name
	switch d.Verb {
	case VerbApprove:
		return s.queued(e.Unit, tool+" is queued to run once, with exactly these parameters")
	case VerbReject:
		return s.didReject(e.Unit)
	case VerbRetry:
		if u.Params == nil || u.State == StepPending {
			return u.ID + "'s expressions are evaluated again"
		}
		return s.queued(e.Unit, tool+" is queued again from its first rung, with the same parameters and the same idempotency key")
	case VerbEdit:
		return s.queued(e.Unit, tool+" is queued with the parameters that you gave, under a new idempotency key")
	case VerbAnswer:
		return "what you gave is " + u.ID + "'s output, marked as yours; nothing was executed"
	case VerbSkip:
		return u.ID + " is skipped; its output is null"
	case VerbVerify:
		return s.queued(e.Unit, "the tool's probe is queued, to look whether it has happened; nothing is repeated")
	case VerbAbort:
		if u.kind == undo {
			return "this and all further compensations stay undone"
		}
		return s.endingNow()
	}
	return ""
}

// queued is text where unit i is in the queue, else where it stands instead.
func (s *State) queued(i int, text string) string {
	u := &s.Units[i]
	switch {
	case u.State == StepHeld:
		return u.ID + " waits for approval first"
	case u.State == StepEscalated, u.State == StepUnknown:
		return u.ID + " stopped again at once"
	case u.deferred:
		return u.ID + " goes on once the run has its time again"
	case u.State.InQueue() && len(u.grants) > 0 && s.Escalations[u.escalation-1].Kind != KindApproval:
		return text + "; your decision is its approval too"
	case u.State.InQueue():
		return text
	}
	if u.Fault != nil {
		return u.ID + " " + ended(RunState(u.State)) + ": " + u.Fault.Message
	}
	return u.ID + " is " + string(u.State)
}

func (s *State) didReject(i int) string {
	u := &s.Units[i]
	switch {
	case u.State == StepSkipped:
		return u.ID + " is left out, not executed; the plan goes on and can read your reason"
	case u.State.InQueue():
		return "not executed; rung " + s.RungName(i) + " is queued to give the result, labelled with your reason"
	case u.kind == undo:
		return "not executed; " + u.ID + " stays undone"
	case s.Status().Ended():
		return "not executed"
	}
	return "not executed; the run fails with your reason, and what was done is undone where the plan says how"
}

// ended says in the past how a run has ended.
func ended(st RunState) string {
	switch st {
	case RunDegraded:
		return "succeeded, degraded"
	case RunAborted, RunCancelled:
		return "is " + string(st)
	}
	return string(st)
}

// tellCancelled tells of a cancel.
func (s *State) tellCancelled(d Deed) Word {
	switch {
	case d.Seq != 0 && s.endingSeq == d.Seq:
		w := Word{Outcome: OutcomeCounts, Text: s.endingNow()}
		if s.Status().Ended() {
			w.Text += "; the run " + ended(s.Status())
		}
		return w
	case s.Status().Ended():
		return Word{Outcome: OutcomeRunOver, At: s.Ended, Text: "it " + ended(s.Status())}
	case s.ending != "":
		return Word{Outcome: OutcomeAgain, At: s.endingFrom, Text: "it is ending already: " + cmp.Or(s.Reason, string(s.ending))}
	}
	return Word{Outcome: OutcomeUncertain, Text: "it is not known whether this is stored; it can be repeated without harm"}
}

// tellRetried tells of a retry: asked about the run that is to go on, whether it can; about the new run, how it does.
func (s *State) tellRetried(e Submitted) Word {
	if s.RetryOf == e.RetryOf && s.Run != e.RetryOf {
		return Word{Outcome: OutcomeCounts, Text: "goes on as " + s.Run + ", with " + count(len(s.carried), "step", "steps") + " taken over"}
	}
	switch st := s.Status(); st {
	case RunFailed, RunAborted, RunCancelled:
		return Word{Outcome: OutcomeUncertain, Text: "it is not known whether this is stored; it can be repeated without harm"}
	case RunSucceeded, RunDegraded:
		return Word{Outcome: OutcomeRunOver, At: s.Ended, Text: "it " + ended(st) + ", there is nothing to do again"}
	default:
		return Word{Outcome: OutcomeRunOpen, Text: "it is " + string(st) + "; decide its escalation, or cancel it first"}
	}
}

func number(n int) string { return strconv.Itoa(n) }

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return number(n) + " " + many
}
