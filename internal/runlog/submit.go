package runlog

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"belay/internal/bus"
	"belay/internal/steps"
	"belay/internal/wire"
)

// Submit starts a run. It is safe to repeat: the same content under the same id is one run, and created says whether
// this call started it; other content is [ErrConflict] and changes nothing.
//
// A run is accepted only when the server has confirmed a write of its submission. One that is there already, from this
// call or an earlier one, may only stand in the memory of a server whose disk fails; so it is written again behind
// itself, which the fold ignores.
func (l *Log) Submit(ctx context.Context, run string, s steps.Submitted) (created bool, err error) {
	if !wire.ValidName(run) {
		return false, badID(run)
	}
	m, stream, err := l.submission(run, s)
	if err != nil {
		return false, fmt.Errorf("submit run %s: %w", run, err)
	}
	if s.Trace != "" {
		m.Header[wire.HeaderTrace] = []string{s.Trace}
	}
	w := &submitting{Log: l, run: run, Submitted: s, first: m, message: m, stream: stream, until: time.Now().Add(submitPatience)}
	err = w.store(ctx)
	return w.created && err == nil, err
}

// submission checks what can be checked before anything is stored: an id, a size or a plan that would be refused later
// would leave a run behind that nobody can run.
func (l *Log) submission(run string, s steps.Submitted) (bus.Message, string, error) {
	s.Epoch = steps.Epoch
	var err error
	if s.Program, err = l.programs.Program(s.Document); err != nil {
		return bus.Message{}, "", fmt.Errorf("the plan does not compile: %w", err)
	}
	m, stream, err := l.Message(run, s)
	if err != nil {
		return m, stream, err
	}
	if len(m.Data) > steps.MaxSubmitted {
		return m, stream, fmt.Errorf("%w: plan, tools and input have %d bytes, %d are allowed; pass large inputs by reference", ErrTooLarge, len(m.Data), steps.MaxSubmitted)
	}
	m.Expect = new(uint64)
	return m, stream, nil
}

// Message is an event as a message for a run's log, and the stream that it belongs to.
func (l *Log) Message(run string, e steps.Event) (bus.Message, string, error) {
	kind, body, err := wire.EncodeEvent(e)
	if err != nil {
		return bus.Message{}, "", err
	}
	p := wire.Partition(run, l.bus.Partitions())
	m := bus.Message{Subject: l.names.Log(p, run, kind), Header: map[string][]string{wire.HeaderRun: {run}}, Data: body}
	if act := actOf(e); act != "" {
		m.Header[wire.HeaderAct] = []string{act}
	}
	if c, is := e.(steps.Claimed); is {
		m.Subject = l.names.Claim(p, run, c.Attempt)
	}
	return m, l.names.RunsStream(p), nil
}

// actOf is what somebody did to a run as a whole, for the audit trail; empty where it is no such thing. It stands in a
// header, since nobody should have to read every plan to find the few.
func actOf(e steps.Event) string {
	switch e := e.(type) {
	case steps.Cancelled:
		return "cancel"
	case steps.Submitted:
		if e.RetryOf != "" {
			return "retry"
		}
	}
	return ""
}

// Append stores an event in a run's log and gives its sequence. It does not look at the run; the fold ignores what
// comes twice or too late, so an [bus.ErrUncertain] append may be repeated.
func (l *Log) Append(ctx context.Context, run string, e steps.Event) (uint64, error) {
	m, stream, err := l.Message(run, e)
	if err != nil {
		return 0, err
	}
	seq, err := l.bus.PublishWait(ctx, stream, m)
	if err != nil {
		return 0, fmt.Errorf("append to the log of run %s: %w", run, err)
	}
	return seq, nil
}

// Cancel asks an open run to stop, and says what came of that. Asking twice is asking once; a run that has ended, also
// while it was asked, is an [ErrEnded].
func (l *Log) Cancel(ctx context.Context, run string, e steps.Cancelled) (w steps.Word, err error) {
	s, err := l.Load(ctx, run)
	frozen := errors.Is(err, ErrFrozen) && !errors.Is(err, ErrStray)
	if err != nil && !frozen {
		return w, fmt.Errorf("cancel: %w", err)
	}
	if s != nil {
		if w = steps.Tell(s, steps.Deed{Event: e}); w.Outcome == steps.OutcomeRunOver {
			return w, fmt.Errorf("cancel run %s: %w: %s", run, ErrEnded, w.Text)
		}
	}
	seq, err := l.AppendSurely(ctx, run, e)
	if err != nil {
		return w, fmt.Errorf("cancel: %w", err)
	}
	if frozen {
		return steps.Word{Outcome: steps.OutcomeCounts, Text: "the run is frozen; it stops once its dead letter is decided"}, nil
	}
	err = l.Follow(ctx, run, func(s *steps.State, r steps.Record, _ []int) bool {
		if r.Seq < seq && !s.Closed() {
			return true
		}
		w = steps.Tell(s, steps.Deed{Event: e, Seq: seq})
		return false
	})
	switch {
	case err != nil:
		return w, fmt.Errorf("cancel run %s: it is stored; what came of it is not known: %w", run, err)
	case w.Outcome == steps.OutcomeRunOver:
		return w, fmt.Errorf("cancel run %s: %w: %s", run, ErrEnded, w.Text)
	}
	return w, nil
}

// submitted is what a run was submitted with; nil when there is no such run.
func (l *Log) submitted(ctx context.Context, run string) (*steps.Submitted, error) {
	p, err := l.plans(ctx, run)
	return p.Submitted, err
}

// plans is what the log of a run has on the subject of submissions.
type plans struct {
	*steps.Submitted        // the first; nil when there is none
	body             []byte // of that
	last             uint64 // sequence of the last entry; 0 when there is none
}

func (l *Log) plans(ctx context.Context, run string) (p plans, err error) {
	entries, err := l.bus.ReadLog(ctx, run, 0)
	if err != nil {
		return p, fmt.Errorf("read the log of run %s: %w", run, err)
	}
	subject := l.names.Log(wire.Partition(run, l.bus.Partitions()), run, wire.KindPlan)
	for _, e := range entries {
		if e.Subject != subject {
			continue
		}
		p.last = e.Seq
		if p.Submitted != nil {
			continue
		}
		event, err := wire.DecodeEvent(wire.KindPlan, e.Data)
		if err != nil {
			return p, err
		}
		if s, is := event.(steps.Submitted); is {
			p.Submitted, p.body = &s, e.Data
		}
	}
	return p, nil
}

// differs names the parts of two submissions that are not the same. Who submitted, and from which file, is no part.
func differs(run string, stored, now steps.Submitted) error {
	var parts []string
	add := func(part string, same bool) {
		if !same {
			parts = append(parts, part)
		}
	}
	add(planDifference(stored.Document, now.Document), sameJSON(stored.Document, now.Document))
	add(fmt.Sprintf("the input (stored %.80s, now %.80s)", stored.Input, now.Input), sameJSON(stored.Input, now.Input))
	add(fmt.Sprintf("the labels (stored %v, now %v)", stored.Labels, now.Labels), maps.Equal(stored.Labels, now.Labels))
	add(fmt.Sprintf("the run that it goes on from (stored %q, now %q)", stored.RetryOf, now.RetryOf), stored.RetryOf == now.RetryOf)
	add("the idempotency keys", keyRun(run, stored) == keyRun(run, now))
	add("the steps carried over", sameValue(stored.Carried, now.Carried))
	if len(parts) == 0 {
		return nil
	}
	return fmt.Errorf("submit run %s: %w: it differs in %s; choose another id", run, ErrConflict, strings.Join(parts, ", "))
}

func keyRun(run string, s steps.Submitted) string {
	if s.KeyRun == "" {
		return run
	}
	return s.KeyRun
}

func planDifference(stored, now json.RawMessage) string {
	var a, b steps.Definition
	if json.Unmarshal(stored, &a) != nil || json.Unmarshal(now, &b) != nil || a.Plan.Name == b.Plan.Name {
		return "the plan or its tools"
	}
	return fmt.Sprintf("the plan (stored %s, now %s)", a.Plan.Name, b.Plan.Name)
}

func sameValue(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

// sameJSON compares without regard to spaces; an encoder on the way may have dropped them.
func sameJSON(a, b json.RawMessage) bool {
	return bytes.Equal(compact(a), compact(b))
}

func compact(raw json.RawMessage) []byte {
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return raw
	}
	return b.Bytes()
}
