package observe

import (
	"context"
	"log/slog"
	"time"

	"belay/internal/steps"
	"belay/internal/steps/view"
)

// lines logs what a record did, with a line for every state change.
type lines struct {
	logger *slog.Logger
	*change
}

func (l lines) tell() {
	l.event()
	l.moved(l.step)
	l.expired(func(e *steps.Escalation) {
		l.say(slog.LevelWarn, "nobody decided in time", slog.String("escalation_id", e.ID), slog.String("kind", string(e.Kind)), slog.String("then", string(e.OnExpiry)))
	})
	l.opened(func(_ int, e *steps.Escalation) { l.escalation(e) })
}

// event tells of what the record says.
func (l lines) event() {
	if l.s.Foreign(l.r) {
		if j, is := l.r.Event.(steps.Junk); is {
			l.say(slog.LevelWarn, l.r.NotCounted(), slog.Uint64("sequence", l.r.Seq), slog.String("error", j.Why))
			return
		}
		a, _ := steps.Reports(l.r.Event)
		l.attemptLine(slog.LevelWarn, l.r.NotCounted(), a, "")
		return
	}
	switch e := l.r.Event.(type) {
	case steps.Junk:
		l.attemptLine(slog.LevelWarn, "a worker of "+l.r.Tool+" has written of this attempt what cannot be read", e.Attempt, "", slog.Uint64("sequence", l.r.Seq), slog.String("error", e.Why))
		l.outcome()
	case steps.Submitted:
		l.submitted(e)
	case steps.Succeeded, steps.Failed, steps.Unserved, steps.Withdrawn:
		l.outcome()
	case steps.Started:
		l.attemptLine(slog.LevelDebug, "attempt started", e.Attempt, e.Worker)
	case steps.Resumable:
		l.attemptLine(slog.LevelDebug, "attempt can be gone on with: "+e.Resume.About, e.Attempt, e.Worker)
	case steps.Objected:
		l.attemptLine(slog.LevelWarn, "not executed: the worker's tools file differs from the submitted one; the stricter one counts", e.Attempt, e.Worker)
	case steps.Claimed:
		if e.Worker == "" {
			l.attemptLine(slog.LevelDebug, "attempt withdrawn", e.Attempt, "")
		} else {
			l.attemptLine(slog.LevelDebug, "attempt claimed", e.Attempt, e.Worker)
		}
	case steps.Damaged:
		l.say(slog.LevelWarn, "run in doubt: the log may have forgotten what was done", slog.String("damage", e.Damage), slog.String("what", e.What))
	case steps.Held:
		l.attemptLine(slog.LevelInfo, "attempt "+e.Hold.Text(), e.Attempt, "")
	case steps.Released:
		l.attemptLine(slog.LevelInfo, "attempt released", e.Attempt, "", slog.String("gate_id", e.Gate), slog.String("by", e.By))
	case steps.Cancelled:
		l.cancelled(e)
	case steps.Steered:
		l.steered(e)
	case steps.Decided:
		l.decision(e)
	case steps.Closed:
		l.end()
	}
}

func (l lines) submitted(e steps.Submitted) {
	attrs := []slog.Attr{slog.String("by", e.By)}
	if l.s.Status() == steps.RunScheduled {
		attrs = append(attrs, slog.Time("scheduled_for", l.s.Scheduled.UTC()))
	}
	l.say(slog.LevelInfo, "run submitted", attrs...)
}

// say writes a line about the run.
func (l lines) say(level slog.Level, msg string, attrs ...slog.Attr) {
	if !l.logger.Enabled(context.Background(), level) {
		return
	}
	all := append(make([]slog.Attr, 0, len(attrs)+3), slog.String("run_id", l.s.Run), slog.String("workflow", l.s.Program.Plan.Name))
	if id := traceID(l.s.Trace); id != "" {
		all = append(all, slog.String("trace_id", id))
	}
	l.logger.LogAttrs(context.Background(), level, msg, append(all, attrs...)...)
}

// attemptLine writes a line about an attempt.
func (l lines) attemptLine(level slog.Level, msg string, a steps.Attempt, worker string, more ...slog.Attr) {
	i := l.s.Unit(a.Step)
	if i < 0 || !l.logger.Enabled(context.Background(), level) {
		return
	}
	tool, rung := l.where(i, a.Rung)
	attrs := []slog.Attr{slog.String("step_id", a.Step), slog.String("attempt", a.Token()), slog.String("tool", tool), slog.String("rung", rung)}
	if worker != "" {
		attrs = append(attrs, slog.String("worker", workerName(worker)))
	}
	l.say(level, msg, append(attrs, more...)...)
}

func (l lines) outcome() {
	t := l.attempt
	if t == nil {
		return // a repeat, or too late to count
	}
	a := steps.Attempt{Step: l.s.Units[l.unit].ID, Round: t.Round, Rung: t.Rung, Try: t.Try}
	took := slog.Duration("took", time.Duration(t.Took))
	if t.State == steps.AttemptSucceeded {
		more := []slog.Attr{took}
		if d := l.s.Units[l.unit].Degraded; d != nil {
			more = append(more, slog.String("degraded", d.Cause))
		}
		l.attemptLine(slog.LevelInfo, "attempt succeeded", a, t.Worker, more...)
		return
	}
	more := []slog.Attr{took}
	if t.Fault != nil {
		more = append(more, slog.String("error.type", string(t.Fault.Class)), slog.String("error", t.Fault.Message))
		if t.Fault.Injected != "" {
			more = append(more, slog.String("fault_id", t.Fault.Injected))
		}
	}
	l.attemptLine(slog.LevelWarn, "attempt failed", a, t.Worker, append(more, l.sequel(t)...)...)
}

// sequel says what follows a failed attempt.
func (l lines) sequel(t *steps.AttemptRecord) []slog.Attr {
	kind, next := view.SequelOf(l.s, l.unit, t)
	attrs := []slog.Attr{slog.String("next", string(kind))}
	switch kind {
	case view.SequelRetry:
		attrs = append(attrs, slog.Duration("wait", time.Duration(next.Wait)))
	case view.SequelRung:
		_, rung := l.where(l.unit, next.Rung)
		attrs = append(attrs, slog.String("next_rung", rung))
	}
	return attrs
}

// step logs units that ended without an attempt, or by a person.
func (l lines) step(i int, u *steps.Unit) {
	id, tool := slog.String("step_id", u.ID), slog.String("tool", l.s.Tool(i).Name)
	switch {
	case u.State() == steps.StepSkipped:
		l.say(slog.LevelInfo, "step skipped", id, tool)
	case u.State() == steps.StepCancelled:
		l.say(slog.LevelInfo, "step cancelled", id, tool)
	case u.ResultOf() >= 0:
		l.say(slog.LevelInfo, "call not made again", id, tool, slog.String("result_of", l.s.Units[u.ResultOf()].ID))
	case u.State() == steps.StepSucceeded && u.AnswerBy != "":
		l.say(slog.LevelInfo, "step answered", id, tool, slog.String("by", u.AnswerBy))
	case u.State() == steps.StepFailed && l.attempt == nil:
		l.say(slog.LevelWarn, "step failed", id, tool)
	}
}

func (l lines) escalation(e *steps.Escalation) {
	attrs := []slog.Attr{slog.String("escalation_id", e.ID), slog.String("kind", string(e.Kind))}
	if e.Unit != steps.RunUnit {
		attrs = append(attrs, slog.String("step_id", l.s.Units[e.Unit].ID), slog.String("tool", l.s.Tool(e.Unit).Name), slog.String("rung", e.Rung))
	}
	attrs = append(attrs, slog.String("error.type", string(e.Fault.Class)), slog.String("error", e.Fault.Message))
	l.say(slog.LevelWarn, "escalation opened: a person decides", attrs...)
}

// decision logs the result of a decision, in the words that the decider has read.
func (l lines) decision(d steps.Decided) {
	attrs := []slog.Attr{slog.String("escalation_id", d.Escalation), slog.String("verb", string(d.Verb)), slog.String("by", d.By)}
	w := view.Tell(l.s, view.Act{Event: d, Seq: l.r.Seq})
	attrs = append(attrs, slog.String("outcome", string(w.Outcome)), slog.String("effect", w.Text))
	if d.Reason != "" {
		attrs = append(attrs, slog.String("reason", d.Reason))
	}
	l.say(slog.LevelInfo, decisions[w.Outcome], attrs...)
}

// decisions are the messages by outcome.
var decisions = map[view.Outcome]string{
	view.OutcomeCounts: "escalation decided", view.OutcomePart: "approval given, others are needed", view.OutcomeRepeated: "decision repeated",
	view.OutcomeDecided: "decision came too late", view.OutcomeExpired: "decision came too late", view.OutcomeSuperseded: "decision came too late",
	view.OutcomeRunOver: "decision came too late", view.OutcomeApproved: "decision does not count", view.OutcomeSubmitter: "decision does not count",
	view.OutcomeNotAllowed: "decision does not count", view.OutcomeNoReason: "decision does not count", view.OutcomeChanged: "decision does not count",
	view.OutcomeNoQuestion: "decision does not count", view.OutcomeUncertain: "decision does not count",
}

// steered logs that somebody wrote to an agent or took turns of it back, and whether that counts. The message itself may hold anything, and is left
// out.
func (l lines) steered(e steps.Steered) {
	w := view.Tell(l.s, view.Act{Event: e, Seq: l.r.Seq})
	msg, attrs := "agent written to", []slog.Attr{slog.String("step", e.Step), slog.String("by", e.By), slog.String("via", e.Via), slog.String("effect", w.Text)}
	if e.TakeBack > 0 {
		msg, attrs = "turns of an agent taken back", append(attrs, slog.Int("from_turn", e.TakeBack))
	}
	if !w.Counts() {
		msg = "a message to an agent changes nothing"
	}
	l.say(slog.LevelInfo, msg, attrs...)
}

// cancelled logs a cancel, and whether it changed anything.
func (l lines) cancelled(e steps.Cancelled) {
	w := view.Tell(l.s, view.Act{Event: e, Seq: l.r.Seq})
	msg := "run cancelled"
	if !w.Counts() {
		msg = "cancel changes nothing"
	}
	l.say(slog.LevelInfo, msg, slog.String("by", e.By), slog.String("via", e.Via), slog.String("reason", e.Reason), slog.String("effect", w.Text))
}

func (l lines) end() {
	level, state := slog.LevelInfo, l.s.Status()
	if state == steps.RunFailed {
		level = slog.LevelWarn
	}
	attrs := []slog.Attr{slog.String("state", string(state)), slog.Duration("took", l.s.Lasted())}
	if l.s.Reason != "" {
		attrs = append(attrs, slog.String("reason", l.s.Reason))
	}
	l.say(level, "run ended", attrs...)
}
