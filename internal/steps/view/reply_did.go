package view

import (
	"cmp"
	"fmt"
	"strconv"

	"belay/internal/steps"
)

// did says what the decision that counts on e has done, from what has become of its unit and its run.
func (s run) did(e *steps.Escalation, d steps.Decided) string {
	text := s.didRun(d)
	if e.AboutDamage() && d.Verb == steps.VerbRetry {
		text = goesOnDamaged
	}
	if e.Unit != steps.RunUnit {
		text = s.didUnit(e, d)
	}
	if d.Reopens != "" {
		text += "; the rejection that " + d.Reopens + " ended in is taken back"
	}
	if n := s.openedBy(e.DecisionSeq, e.Unit); n >= 0 {
		text += "; it is asked about again as " + s.Escalations[n].ID + ": " + s.Escalations[n].Fault.Message
	}
	if s.Status().Ended() {
		text += "; the run " + ended(s.Status())
	}
	return text
}

// openedBy is the escalation about a unit that a record opened; -1 when it opened none.
func (s run) openedBy(seq uint64, unit int) int {
	for n := len(s.Escalations) - 1; n >= 0 && s.Escalations[n].Revision >= seq; n-- {
		if e := &s.Escalations[n]; e.Revision == seq && e.Unit == unit && e.State == steps.EscalationOpen {
			return n
		}
	}
	return -1
}

func (s run) didRun(d steps.Decided) string {
	switch d.Verb {
	case steps.VerbAbort:
		return s.endingNow()
	case steps.VerbAnswer:
		return "your answer is the run's output"
	case steps.VerbRetry:
		return "the run has its time budget again and goes on"
	}
	return "noted; the run goes on"
}

// endingNow says how far a run has come that was told to end.
func (s run) endingNow() string {
	out, undos, left := 0, 0, 0
	for i := range s.Units {
		u := &s.Units[i]
		if !u.Over() {
			left++
		}
		switch {
		case u.State().InQueue() && !u.FannedOut() && !u.IsUndo():
			out++
		case u.IsUndo() && !u.Over():
			undos++
		}
	}
	switch {
	case s.Status().Ended():
		return "nothing was executing"
	case out > 0:
		return "the run is told to stop; " + count(out, "attempt that is out is", "attempts that are out are") + " stopped first"
	case undos > 0 || left > 0:
		return "the run is told to stop; what was done is being undone where plan or tools say how"
	}
	return "the run is told to stop"
}

func (s run) didUnit(e *steps.Escalation, d steps.Decided) string {
	u, tool := &s.Units[e.Unit], s.Tool(e.Unit).Name
	if text := s.didOnServer(e, d); text != "" {
		return text
	}
	switch d.Verb {
	case steps.VerbApprove:
		return s.queued(e.Unit, tool+" is queued to run once, with exactly these parameters")
	case steps.VerbReject:
		return s.didReject(e.Unit) + s.refusedToo(e)
	case steps.VerbRetry:
		if u.Params == nil || u.Phase() == steps.PhaseWaiting {
			return u.ID + "'s expressions are evaluated again"
		}
		return s.queued(e.Unit, tool+" is queued again from its first rung, with the same parameters and the same idempotency key")
	case steps.VerbEdit:
		return s.queued(e.Unit, tool+" is queued with the parameters that you gave, under a new idempotency key")
	case steps.VerbAnswer:
		return "what you gave is " + u.ID + "'s output, marked as yours; nothing was executed"
	case steps.VerbSkip:
		if s.TakenBack(e.Unit) && s.Ending() == "" {
			return u.ID + " is skipped; its turn was taken back, and the agent hears of it only if it may have happened"
		}
		if u.IsCall() && s.Ending() == "" {
			return u.ID + " is skipped; the agent is told that there is no result"
		}
		return u.ID + " is skipped; its output is null"
	case steps.VerbExtend:
		return s.loops(u, "the agent goes on")
	case steps.VerbFinish:
		return s.loops(u, "the agent is asked once more, without its tools")
	case steps.VerbVerify:
		return s.queued(e.Unit, "the tool's probe is queued, to look whether it has happened; nothing is repeated")
	case steps.VerbAbort:
		if u.IsUndo() {
			return "this and all further compensations are left out"
		}
		return s.endingNow()
	}
	return ""
}

// loops is text if the agent is at work, otherwise where it stands.
func (s run) loops(u *steps.Unit, text string) string {
	switch {
	case u.State() == steps.StepRunning:
		return text
	case u.State() == steps.StepEscalated:
		return u.ID + " has reached a limit again at once"
	}
	return u.ID + " is " + string(u.State())
}

// queued is text if unit i is in the queue, otherwise where it stands.
func (s run) queued(i int, text string) string {
	u := &s.Units[i]
	switch {
	case s.held(i) != nil:
		return u.ID + " is held back"
	case u.State() == steps.StepHeld:
		return u.ID + " waits for approval first"
	case u.State() == steps.StepEscalated, u.State() == steps.StepUnknown:
		return u.ID + " stopped again at once"
	case u.Deferred():
		return u.ID + " goes on once the run has its time budget again"
	case u.State().InQueue() && u.Approved() && s.Escalations[u.Escalation()].Kind != steps.KindApproval:
		return text + "; your decision is its approval too"
	case u.State().InQueue():
		return text
	}
	if u.Fault != nil {
		return u.ID + " " + ended(steps.RunState(u.State())) + ": " + u.Fault.Message
	}
	return u.ID + " is " + string(u.State())
}

// refusedToo says which other calls the rejection of e covers.
func (s run) refusedToo(e *steps.Escalation) string {
	for _, d := range s.RejectedBefore(e.Unit) {
		if d.Escalation == e.ID && d.Covers != "" {
			return "; " + d.Covers + " is refused from now on"
		}
	}
	return ""
}

func (s run) didReject(i int) string {
	u := &s.Units[i]
	switch {
	case u.IsCall() && s.Ending() == "" && !u.State().InQueue():
		return "not executed; the agent is told so, with your reason"
	case u.State() == steps.StepSkipped:
		return u.ID + " is left out, not executed; the plan goes on and can read your reason"
	case u.State().InQueue():
		return "not executed; rung " + s.RungName(i) + " is queued to give the result, labelled with your reason"
	case u.IsUndo():
		return "the compensation " + u.ID + " is left out"
	case s.Status().Ended():
		return "not executed"
	}
	return "not executed; the run fails with your reason, and what was done is undone where plan or tools say how"
}

// ended says in the past tense how a run has ended.
func ended(st steps.RunState) string {
	switch st {
	case steps.RunDegraded:
		return "succeeded, degraded"
	case steps.RunAborted, steps.RunCancelled, steps.RunMigrated:
		return "is " + string(st)
	}
	return string(st)
}

// tellCancelled is about a cancel.
func (s run) tellCancelled(d Act) Reply {
	as, from, seq := s.EndingSince()
	switch {
	case d.Seq != 0 && seq == d.Seq:
		w := Reply{Outcome: OutcomeCounts, Text: s.endingNow()}
		if s.Status().Ended() {
			w.Text += "; the run " + ended(s.Status())
		}
		return w
	case s.Status().Ended():
		return Reply{Outcome: OutcomeRunOver, At: s.Ended, Text: s.howEnded()}
	case as != "":
		return Reply{Outcome: OutcomeRepeated, At: from, Text: "it is ending already: " + cmp.Or(s.Reason, string(as))}
	}
	return Reply{Outcome: OutcomeUncertain, Text: "it is not known whether this is stored; it can be repeated without harm"}
}

// tellMigrated is about a migration. One that was repeated, and one of which the proof was of an earlier moment, has changed nothing.
func (s run) tellMigrated(e steps.Migrated) Reply {
	by := s.MigratedBy()
	switch {
	case by != nil && by.To == e.To && by.Seen == e.Seen:
		return Reply{Outcome: OutcomeCounts, Text: "it goes on as " + e.To + ", with " + count(len(e.Next.Carried), "result", "results") + " taken over"}
	case s.Status().Ended():
		return Reply{Outcome: OutcomeRunOver, At: s.Ended, Text: s.howEnded()}
	}
	return Reply{Outcome: OutcomeChanged, Text: "it has moved on meanwhile, and goes on as it was"}
}

// howEnded says of a run that has ended how, and where it goes on if it does.
func (s run) howEnded() string {
	text := "it " + ended(s.Status())
	if to := s.GoesOnAs(); to != "" {
		text += ", and goes on as " + to
	}
	return text
}

// tellSteered is about a message to an agent.
func (s run) tellSteered(d Act, e steps.Steered) Reply {
	i := s.Unit(e.Step)
	if i < 0 {
		return Reply{Outcome: OutcomeNoQuestion, Text: "the run has no step " + strconv.Quote(e.Step)}
	}
	switch in, other := s.SteeredIn(i, e); {
	case other:
		return Reply{Outcome: OutcomeSameID, Text: "another message has this id; give this one an id of its own"}
	case in != 0 && in == d.Seq:
		return Reply{Outcome: OutcomeCounts, Text: s.whatSteers(i, e)}
	case in != 0:
		return Reply{Outcome: OutcomeRepeated, Text: "this message has been written before, and stands once"}
	}
	why := s.MayNotSteer(i)
	switch {
	case why == "" && e.TakeBack != 0 && s.MayNotTakeBack(i, e.TakeBack) != "":
		return Reply{Outcome: OutcomeNoTurn, Text: s.MayNotTakeBack(i, e.TakeBack)}
	case why == "":
		return Reply{Outcome: OutcomeUncertain, Text: "it is not known whether this is stored; it can be repeated without harm"}
	case s.Status().Ended():
		return Reply{Outcome: OutcomeRunOver, At: s.Ended, Text: s.howEnded()}
	}
	return Reply{Outcome: OutcomeNotAllowed, Text: why}
}

// whenRead says when the model of agent i reads what was written to it now.
func (s run) whenRead(i int) string {
	w, _ := s.AgentWork(i)
	last := &w.Turns[len(w.Turns)-1]
	switch {
	case s.Units[i].State() == steps.StepEscalated:
		return s.Units[i].ID + " waits for a person, and reads it if it goes on"
	case !s.Units[last.Unit].Over():
		return fmt.Sprintf("turn %d of %s is out and does not know of it; the next one reads it, if its limits allow one", len(w.Turns), s.Units[i].ID)
	}
	if n := len(w.Summaries); n > 0 && !s.Units[w.Summaries[n-1].Unit].Over() {
		return s.Units[i].ID + " reads it with its next turn, once its first turns are summarised"
	}
	return s.Units[i].ID + " reads it before its next turn, when its calls are over"
}

// tellRetried is about a retry: of the run that is to go on it says whether that is possible, of the new run how it goes
// on. Of a run that goes on from no other it says that it was started.
func (s run) tellRetried(e steps.Submitted) Reply {
	if text := ReplayedText(s.State); e.Replay != nil && text != "" {
		return Reply{Outcome: OutcomeCounts, Text: text}
	}
	if e.RetryOf == "" && s.RetryOf == "" {
		return Reply{Outcome: OutcomeCounts, Text: "started " + s.Program.Plan.Name}
	}
	if s.RetryOf == e.RetryOf && s.Run != e.RetryOf {
		return Reply{Outcome: OutcomeCounts, Text: "goes on as " + s.Run + ", with " + count(s.CarriedOver(), "step", "steps") + " taken over"}
	}
	switch st := s.Status(); st {
	case steps.RunFailed, steps.RunAborted, steps.RunCancelled:
		return Reply{Outcome: OutcomeUncertain, Text: "it is not known whether this is stored; it can be repeated without harm"}
	case steps.RunSucceeded, steps.RunDegraded:
		return Reply{Outcome: OutcomeRunOver, At: s.Ended, Text: "it " + ended(st) + ", there is nothing to do again"}
	case steps.RunMigrated:
		return Reply{Outcome: OutcomeRunOver, At: s.Ended, Text: s.howEnded()}
	default:
		return Reply{Outcome: OutcomeRunOpen, Text: "it is " + string(st) + "; decide its escalation, or cancel it first"}
	}
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}
