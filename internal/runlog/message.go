package runlog

import (
	"fmt"
	"maps"

	"belay/internal/bus"
	"belay/internal/plan"
	"belay/internal/steps"
	"belay/internal/wire"
)

// This file is the only builder of the messages of runs' logs, and their only parser. Publish a message unchanged; read one
// with [Parse] or, if plans must be compiled, with [Log.Record].

// Message is an event as a message for a run's log, and the stream to publish it to. A submission, a claim and a result
// are stored only if they are the first on their subject; whoever lost the race gets [bus.ErrConflict].
func (l *Log) Message(run string, e steps.Event) (m bus.Message, stream string, err error) {
	kind, body, err := wire.EncodeEvent(e)
	if err != nil {
		return bus.Message{}, "", err
	}
	p := wire.Partition(run, l.bus.Partitions())
	m = bus.Message{Run: run, Data: body}
	switch kind {
	case wire.KindClaim:
		m.Subject, m.Expect = l.names.Claim(p, run, e.(steps.Claimed).Attempt), new(uint64)
	case wire.KindPlan:
		m.Subject, m.Header = l.names.Log(p, run, kind), planHeader(e)
		if _, is := e.(steps.Submitted); is {
			m.Expect = new(uint64)
		}
	case wire.KindResult:
		m.Subject, m.Expect = l.names.Log(p, run, kind), new(uint64)
	default:
		m.Subject = l.names.Log(p, run, kind)
	}
	return m, l.names.RunsStream(p), nil
}

// Report is [Log.Message] for what a worker reports of a tool's attempt, and for its claim. Where the server lets this user report of some tools alone, the
// subject names the tool.
func (l *Log) Report(run, tool string, e steps.Event) (m bus.Message, stream string, err error) {
	m, stream, err = l.Message(run, e)
	if a, is := steps.Reports(e); err == nil && is && !l.bus.MayPublish(m.Subject) {
		m.Subject = l.byTool(run, tool, e, a)
	}
	return m, stream, err
}

func (l *Log) byTool(run, tool string, e steps.Event, a steps.Attempt) string {
	p := wire.Partition(run, l.bus.Partitions())
	if _, is := e.(steps.Claimed); is {
		return l.names.ToolClaim(p, run, tool, a)
	}
	return l.names.Outcome(p, run, tool)
}

// ClaimsByTool reports whether this user's claim of an attempt goes to a subject that names the tool, so that somebody else's may stand
// before it on that of all tools.
func (l *Log) ClaimsByTool(run string, a steps.Attempt) bool {
	return !l.bus.MayPublish(l.names.Claim(wire.Partition(run, l.bus.Partitions()), run, a))
}

// planHeader returns headers for the audit trail, which finds acts on whole runs by them without reading every plan, the
// trace context of the submitter, and who waits for the end.
func planHeader(e steps.Event) map[string][]string {
	switch e := e.(type) {
	case steps.Cancelled:
		return map[string][]string{wire.HeaderAct: {actCancel}}
	case steps.Migrated:
		return map[string][]string{wire.HeaderAct: {actMigrate}}
	case steps.Steered:
		return map[string][]string{wire.HeaderAct: {actSteer}}
	case steps.Submitted:
		h := map[string][]string{}
		if e.RetryOf != "" {
			h[wire.HeaderAct] = []string{"retry"}
		} else if e.Replay != nil {
			h[wire.HeaderAct] = []string{"replay"}
		} else if e.Via != "" && e.Migrates == nil { // that is recorded of the run that it goes on from
			h[wire.HeaderAct] = []string{actSubmit}
		}
		if e.Trace != "" {
			h[wire.HeaderTrace] = []string{e.Trace}
		}
		if e.ReportTo != "" {
			h[wire.HeaderReportTo] = []string{e.ReportTo}
		}
		return h
	}
	return nil
}

const (
	actSubmit  = "submit"  // marks a submission by somebody who was let in, through the API
	actCancel  = "cancel"  // marks that somebody cancelled the run
	actMigrate = "migrate" // marks that somebody lets the run go on under another plan
	actSteer   = "steer"   // marks that somebody wrote to an agent of the run
)

// repeated returns a submission with the body that is stored already, to be written after it; last is the last sequence on
// the subject. The fold ignores it, and it does not count as a second act of the submitter.
func repeated(m bus.Message, body []byte, last uint64) bus.Message {
	m.Header = maps.Clone(m.Header)
	m.Header[wire.HeaderRepeated] = []string{"1"}
	if act := m.Header[wire.HeaderAct]; len(act) == 1 && act[0] == actSubmit {
		delete(m.Header, wire.HeaderAct)
	}
	m.Data, m.Expect = body, &last
	return m
}

// isRepeated reports whether a submission repeats an earlier one.
func isRepeated(header map[string][]string) bool { return len(header[wire.HeaderRepeated]) > 0 }

// RemovalMark is the message that stays for a while after a run was removed. It is a Fired, which has no effect on a run
// that has ended, also for programs that do not know the mark.
func (l *Log) RemovalMark(run string) (m bus.Message, stream string, err error) {
	m, stream, err = l.Message(run, steps.Fired{})
	m.Header = map[string][]string{wire.HeaderRemoved: {"1"}}
	return m, stream, err
}

// IsRemovalMark reports whether an entry is a [Log.RemovalMark].
func IsRemovalMark(e bus.Entry) bool { return len(e.Header[wire.HeaderRemoved]) > 0 }

// Parse reads an entry of a run's log. An entry that this program cannot read is a [wire.ErrPoison]; run is set even then if
// the subject names one. Plans and policies are not compiled.
func Parse(names wire.Names, e bus.Entry) (run string, event steps.Event, err error) {
	p, run, kind, ok := names.ParseLog(e.Subject)
	if !ok {
		return "", nil, fmt.Errorf("%w: %q is not a subject of a run's log", wire.ErrPoison, e.Subject)
	}
	event, err = wire.DecodeEvent(kind, e.Data)
	if err != nil {
		return run, nil, err
	}
	switch kind {
	case wire.KindOutcome:
		if _, ok := names.LogTool(e.Subject); !ok {
			return run, nil, fmt.Errorf("%w: %q is not a subject of outcomes", wire.ErrPoison, e.Subject)
		}
	case wire.KindClaim:
		c, tool := event.(steps.Claimed), toolOf(names, e)
		if e.Subject != names.Claim(p, run, c.Attempt) && e.Subject != names.ToolClaim(p, run, tool, c.Attempt) {
			// Only the first claim on a subject can be stored: one with another attempt in it would bypass that.
			return run, nil, fmt.Errorf("%w: a claim of %s on the subject %s", wire.ErrPoison, steps.AttemptName(run, c.Attempt), e.Subject)
		}
	}
	return run, event, nil
}

// toolOf is the tool whose workers can have written an entry; empty = anybody who may write entries of its kind.
func toolOf(names wire.Names, e bus.Entry) string {
	tool, _ := names.LogTool(e.Subject)
	return tool
}

// Record reads an entry of a run's log for its fold: it compiles the plan of a Submitted, once per content, and a worker's
// policy.
func (l *Log) Record(run string, e bus.Entry) (steps.Record, error) {
	_, event, err := Parse(l.names, e)
	if err != nil {
		return steps.Record{}, err
	}
	switch ev := event.(type) {
	case steps.Objected:
		if ev.Asks, err = plan.CompilePolicy(ev.Policy); err != nil {
			return steps.Record{}, fmt.Errorf("%w: the policy of worker %s: %w", wire.ErrPoison, ev.Worker, err)
		}
		event = ev
	case steps.Submitted:
		if ev.Epoch > steps.Epoch || ev.Epoch < 0 {
			return steps.Record{}, fmt.Errorf("%w: the run was submitted under epoch %d of the rules, and this program knows up to %d: upgrade it, then retry this dead letter", wire.ErrPoison, ev.Epoch, steps.Epoch)
		}
		if ev.Program, err = l.programs.Program(ev.Document); err != nil {
			return steps.Record{}, fmt.Errorf("%w: its plan does not compile: %w", wire.ErrPoison, err)
		}
		if v := e.Header[wire.HeaderTrace]; len(v) > 0 {
			ev.Trace = v[0]
		}
		if v := e.Header[wire.HeaderReportTo]; len(v) > 0 && wire.ValidName(v[0]) { // nobody chooses another subject with it
			ev.ReportTo = v[0]
		}
		event = ev
	}
	return steps.Record{Seq: e.Seq, Time: e.Time, Run: run, Event: event, Tool: toolOf(l.names, e)}, nil
}

// verdictOf returns the decision on a dead letter about an entry of this run's log: which entry, and whether every reader
// leaves it out from now on (skip) or reads it again (retry).
func verdictOf(run string, event steps.Event) (seq uint64, skip, ok bool) {
	d, is := event.(steps.Decided)
	if !is {
		return 0, false, false
	}
	of, seq, ok := steps.ParseDeadLetterID(d.Escalation)
	return seq, d.Verb == steps.VerbSkip, ok && of == run
}
