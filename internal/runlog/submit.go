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
	"belay/internal/exactjson"
	"belay/internal/plan"
	"belay/internal/steps"
	"belay/internal/steps/view"
	"belay/internal/wire"
)

// Submit starts a run. It is safe to repeat: the same content with the same id is one run, and created says whether this
// call started it; other content is [ErrConflict] and changes nothing. Where an answer was lost and the run is there, created is
// true unless the log has had it since before the call.
//
// A run is accepted only when the server has confirmed a write of its submission. One that is there already, from this call
// or an earlier one, may be only in the memory of a server whose disk fails; so it is written again after itself, which the
// fold ignores.
func (l *Log) Submit(ctx context.Context, run string, s steps.Submitted) (created bool, err error) {
	w, err := l.submitting(run, s)
	if err != nil {
		return false, err
	}
	if l.elsewhere(run) != nil {
		var came [1]Stored
		l.submitElsewhere(ctx, []Submission{{run, s}}, came[:])
		return came[0].Created, came[0].Err
	}
	err = w.store(ctx)
	return w.created && err == nil, err
}

func (l *Log) submitting(run string, s steps.Submitted) (*submitting, error) {
	if !wire.ValidName(run) {
		return nil, badID(run)
	}
	m, stream, err := l.submission(run, s)
	if err != nil {
		return nil, fmt.Errorf("submit run %s: %w", run, err)
	}
	return &submitting{Log: l, run: run, Submitted: s, first: m, message: m, stream: stream, began: time.Now()}, nil
}

// submission checks everything that can be checked before anything is stored: a bad id, size or plan would leave behind a
// run that nobody can execute.
func (l *Log) submission(run string, s steps.Submitted) (bus.Message, string, error) {
	s.Epoch = steps.Epoch
	err := l.checkStart(s)
	if err != nil {
		return bus.Message{}, "", err
	}
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
	return m, stream, nil
}

// Check says what would be refused about a submission, however often it is tried. It asks nobody.
func (l *Log) Check(run string, s steps.Submitted) error {
	_, _, err := l.submission(run, s)
	return err
}

// checkStart refuses a time to begin that cannot be meant.
func (l *Log) checkStart(s steps.Submitted) error {
	err := plan.CheckStart(s.At, s.In)
	if err == nil && s.At.After(l.bus.Now().Add(plan.MostAhead)) {
		err = errors.New("it is more than ten years away: is the year right?")
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrBadStart, err)
	}
	return nil
}

// Append stores an event in a run's log and returns its sequence. It does not look at the run; the fold ignores events that
// are repeated or too late, so an [bus.ErrUncertain] append can be repeated.
func (l *Log) Append(ctx context.Context, run string, e steps.Event) (uint64, error) {
	m, stream, err := l.Message(run, e)
	if err != nil {
		return 0, err
	}
	seq, err := l.bus.PublishWait(ctx, stream, m)
	if err != nil {
		return 0, fmt.Errorf("append to the log of run %s: %w", run, err)
	}
	l.announce(m)
	return seq, nil
}

// announce lets the audit trail know that something was done to a run as a whole; where nobody hears it, it is found a few
// seconds later.
func (l *Log) announce(m bus.Message) {
	if len(m.Header[wire.HeaderAct]) > 0 {
		_ = l.bus.Tell(l.names.Acts(), nil)
	}
}

// Cancel asks an open run to stop, and says what followed. Repeating it does nothing more; if the run has ended, also in the
// meantime, the error is [ErrEnded].
func (l *Log) Cancel(ctx context.Context, run string, e steps.Cancelled) (w view.Reply, err error) {
	if other := l.elsewhere(run); other != nil {
		return other.Cancel(ctx, run, e)
	}
	s, err := l.Open(ctx, run)
	frozen := errors.Is(err, ErrFrozen) && !errors.Is(err, ErrStray)
	if err != nil && !frozen {
		return w, fmt.Errorf("cancel: %w", err)
	}
	if s.State != nil {
		if w = view.Tell(s.State, view.Act{Event: e}); w.Outcome == view.OutcomeRunOver {
			return w, fmt.Errorf("cancel run %s: %w: %s", run, ErrEnded, w.Text)
		}
	}
	seq, err := l.AppendSurely(ctx, run, e)
	if err != nil {
		return w, fmt.Errorf("cancel: %w", err)
	}
	if frozen {
		return view.Reply{Outcome: view.OutcomeCounts, Text: "the run is frozen; it stops once its dead letter is decided"}, nil
	}
	w, err = s.cameOf(ctx, e, seq)
	switch {
	case err != nil:
		return w, fmt.Errorf("cancel run %s: %w", run, err)
	case w.Outcome == view.OutcomeRunOver:
		return w, fmt.Errorf("cancel run %s: %w: %s", run, ErrEnded, w.Text)
	}
	return w, nil
}

// cameOf reads on until the log has shown what came of an event of the run.
func (s *Snapshot) cameOf(ctx context.Context, e steps.Event, seq uint64) (w view.Reply, err error) {
	err = s.Follow(ctx, func(s *steps.State, r steps.Record, _ []int) bool {
		if r.Seq < seq && !s.Closed() {
			return true
		}
		w = view.Tell(s, view.Act{Event: e, Seq: seq})
		return false
	})
	if err != nil {
		err = fmt.Errorf("it is stored; what followed is not known: %w", err)
	}
	return w, err
}

// Submitted returns what a run was submitted with; nil if there is no such run. Its plan is not compiled. If it cannot be
// read, the error is an [ErrFrozen]. However long the log is, it asks the server once.
func (l *Log) Submitted(ctx context.Context, run string) (*steps.Submitted, error) {
	if !wire.ValidName(run) {
		return nil, badID(run)
	}
	p := wire.Partition(run, l.bus.Partitions())
	e, ok, err := l.bus.First(ctx, l.names.RunsStream(p), l.names.Log(p, run, wire.KindPlan))
	if err != nil {
		return nil, fmt.Errorf("read what run %s was submitted with: %w", run, err)
	}
	if !ok {
		return nil, nil
	}
	_, event, err := Parse(l.names, e)
	if s, is := event.(steps.Submitted); err == nil && is {
		return &s, nil
	}
	var s *steps.Submitted
	if err == nil { // the log begins with something else
		s, err = l.submitted(ctx, run)
	}
	if errors.Is(err, wire.ErrPoison) {
		err = fmt.Errorf("%w: %w", ErrFrozen, err)
	}
	return s, err
}

// submitted returns what a run was submitted with; nil if there is no such run.
func (l *Log) submitted(ctx context.Context, run string) (*steps.Submitted, error) {
	p, err := l.plans(ctx, run)
	return p.Submitted, err
}

// plans is what the log of a run has on the subject for submissions.
type plans struct {
	*steps.Submitted           // the first; nil when there is none
	body             []byte    // of that
	at               time.Time // when the log got it
	last             uint64    // sequence of the last entry; 0 when there is none
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
		_, event, err := Parse(l.names, e)
		if err != nil {
			return p, err
		}
		if s, is := event.(steps.Submitted); is {
			p.Submitted, p.body, p.at = &s, e.Data, e.Time
		}
	}
	return p, nil
}

// differs names the parts of two submissions that differ. Who submitted, and from which file, does not count.
func differs(run string, stored, now steps.Submitted) error {
	var parts []string
	add := func(part string, same bool) {
		if !same {
			parts = append(parts, part)
		}
	}
	add(planDifference(stored.Document, now.Document), sameJSON(stored.Document, now.Document))
	add(fmt.Sprintf("the input (stored %.80s, now %.80s)", stored.Input, now.Input), sameJSON(stored.Input, now.Input))
	add(fmt.Sprintf("when it begins (stored %s, now %s)", view.StartText(stored), view.StartText(now)), stored.At.Equal(now.At) && stored.In == now.In)
	add(fmt.Sprintf("the labels (stored %v, now %v)", stored.Labels, now.Labels), maps.Equal(stored.Labels, now.Labels))
	add(fmt.Sprintf("the run that it goes on from (stored %q, now %q)", stored.RetryOf, now.RetryOf), stored.RetryOf == now.RetryOf)
	add("the run that goes on as it", sameValue(stored.Migrates, now.Migrates))
	add("what it does again", sameValue(stored.Replay, now.Replay))
	add("the idempotency keys", keyRun(run, stored) == keyRun(run, now) && maps.Equal(stored.Keys, now.Keys))
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
	if exactjson.Unmarshal(stored, &a) != nil || exactjson.Unmarshal(now, &b) != nil || a.Plan.Name == b.Plan.Name {
		return "the plan or its tools"
	}
	return fmt.Sprintf("the plan (stored %s, now %s)", a.Plan.Name, b.Plan.Name)
}

func sameValue(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

// sameJSON compares without spaces, because an encoder may have dropped them.
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
