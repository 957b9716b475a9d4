package belay

import (
	"strings"

	"belay/belaytype"
	"belay/internal/steps"
)

// event shows a record of a run's log, with the state of the run after it.
func event(s *steps.State, r steps.Record) belaytype.Event {
	e := belaytype.Event{Seq: r.Seq, Time: r.Time.UTC(), Run: r.Run, State: belaytype.RunState(s.Status())}
	switch ev := r.Event.(type) {
	case steps.Submitted:
		e.Type, e.By = belaytype.EventSubmitted, ev.By
	case steps.Cancelled:
		e.Type, e.By, e.Reason = belaytype.EventCancelled, ev.By, ev.Reason
	case steps.Migrated:
		e.Type, e.By, e.Reason, e.GoesOnAs = belaytype.EventMigrated, ev.By, ev.Reason, ev.To
	case steps.Steered:
		e.Type, e.Step, e.By, e.Message, e.TakeBack = belaytype.EventSteered, ev.Step, ev.By, ev.Text, ev.TakeBack
	case steps.Decided:
		e.Type, e.Escalation, e.Verb, e.By, e.Reason = belaytype.EventDecided, ev.Escalation, belaytype.Verb(ev.Verb), ev.By, ev.Reason
	case steps.Fired:
		e.Type = belaytype.EventFired
	case steps.Damaged:
		e.Type, e.Message, e.By, e.Reason = belaytype.EventDamaged, ev.What, ev.By, ev.Reason
	case steps.Closed:
		e.Type, e.Reason = belaytype.EventClosed, ev.Reason
	default:
		attemptEvent(&e, s, r.Event)
	}
	return e
}

// attemptEvent fills in an event that concerns one attempt.
func attemptEvent(e *belaytype.Event, s *steps.State, ev steps.Event) {
	var a steps.Attempt
	switch ev := ev.(type) {
	case steps.Started:
		e.Type, a, e.Worker = belaytype.EventStarted, ev.Attempt, ev.Worker
	case steps.Claimed:
		e.Type, a, e.Worker = belaytype.EventClaimed, ev.Attempt, ev.Worker
	case steps.Progress:
		e.Type, a, e.Worker, e.Message = belaytype.EventProgress, ev.Attempt, ev.Worker, ev.Message
	case steps.Resumable:
		e.Type, a, e.Worker, e.Message = belaytype.EventResumable, ev.Attempt, ev.Worker, ev.Resume.About
	case steps.Succeeded:
		e.Type, a, e.Worker = belaytype.EventSucceeded, ev.Attempt, ev.Worker
	case steps.Failed:
		e.Type, a, e.Worker, e.Class, e.Message = belaytype.EventFailed, ev.Attempt, ev.Worker, belaytype.Class(ev.Fault.Class), ev.Fault.Message
	case steps.Junk:
		a = ev.Attempt
		if f := endedWith(s, a); f != nil {
			e.Type, e.Class, e.Message = belaytype.EventFailed, belaytype.Class(f.Class), f.Message
		}
	case steps.Objected:
		e.Type, a, e.Worker = belaytype.EventObjected, ev.Attempt, ev.Worker
	case steps.Unserved:
		e.Type, a = belaytype.EventUnserved, ev.Attempt
	case steps.Held:
		e.Type, a, e.By, e.Reason = belaytype.EventHeld, ev.Attempt, ev.Hold.By, ev.Hold.Reason
	case steps.Released:
		e.Type, a, e.By, e.Reason = belaytype.EventReleased, ev.Attempt, ev.By, ev.Reason
	case steps.Withdrawn:
		e.Type, a = belaytype.EventWithdrawn, ev.Attempt
	}
	e.Worker, _, _ = strings.Cut(e.Worker, "#") // the rest is the claim's token
	e.Step, e.Round, e.Try = a.Step, a.Round, a.Try
	if i := s.Unit(a.Step); i >= 0 {
		e.StepState = belaytype.StepState(s.Units[i].State())
		if t := s.Tool(i); a.Rung >= 0 && a.Rung < len(t.Rungs) || a.Rung == len(t.Rungs) && t.Verify != nil {
			e.Rung = t.Rung(a.Rung).Name
		}
	}
}

// endedWith is the fault with which the last record has ended an attempt; nil if it has not.
func endedWith(s *steps.State, a steps.Attempt) *steps.Fault {
	i := s.Unit(a.Step)
	if i < 0 {
		return nil
	}
	for _, rec := range s.Units[i].Attempts {
		if rec.Round == a.Round && rec.Rung == a.Rung && rec.Try == a.Try && rec.Ended.Equal(s.Now) {
			return rec.Fault
		}
	}
	return nil
}
