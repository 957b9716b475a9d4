package runlog

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"belay/internal/bus"
	"belay/internal/plan"
	"belay/internal/steps"
	"belay/internal/wire"
)

// document is a plan of two steps, one after the other, of the tool `t`.
func document(t testing.TB, name string) json.RawMessage {
	t.Helper()
	rung := steps.Rung{Name: "primary", Executor: "go", Retry: steps.RetryPolicy{MaxAttempts: 1, Factor: 2}}
	d := steps.Definition{
		Plan: steps.Plan{Name: name, Steps: []steps.Step{
			{ID: "a", Tool: "t", OnFailure: steps.OnFailureEscalate},
			{ID: "b", Tool: "t", Needs: []string{"a"}, OnFailure: steps.OnFailureEscalate},
		}},
		Tools: map[string]steps.Tool{"t": {Name: "t", Effects: steps.EffectsIdempotent, Rungs: []steps.Rung{rung}}},
	}
	raw, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := plan.Compile(raw); err != nil {
		t.Fatalf("the test's plan does not compile: %v", err)
	}
	return raw
}

func submitted(t testing.TB) steps.Submitted {
	return steps.Submitted{Document: document(t, "two"), Input: json.RawMessage(`{}`)}
}

// offline is a Log that can fold, but not read.
func offline() *Log { return &Log{names: wire.Default, programs: plan.NewCache(4)} }

// writer makes entries of one run's log in memory.
type writer struct {
	t       *testing.T
	run     string
	entries []bus.Entry
}

func (w *writer) add(e steps.Event) uint64 {
	w.t.Helper()
	kind, body, err := wire.EncodeEvent(e)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.raw(kind, body)
}

func (w *writer) raw(kind string, body []byte) uint64 {
	return w.on(wire.Default.Log(0, w.run, kind), body)
}

// on adds an entry on a subject.
func (w *writer) on(subject string, body []byte) uint64 {
	seq := uint64(len(w.entries)+1) * 10
	w.entries = append(w.entries, bus.Entry{Seq: seq, Time: time.Unix(int64(seq), 0), Subject: subject, Data: body})
	return seq
}

func succeeded(step string) steps.Succeeded {
	return steps.Succeeded{Attempt: steps.Attempt{Step: step, Try: 1}, Worker: "w", Output: json.RawMessage(`1`)}
}

func TestPoisonFreezes(t *testing.T) {
	t.Parallel()
	for name, poison := range map[string]struct{ kind, body string }{
		"no JSON":                       {wire.KindOutcome, "\x00\x01"},
		"empty":                         {wire.KindOutcome, ""},
		"unknown type":                  {wire.KindOutcome, `{"v":1,"type":"exploded"}`},
		"another version":               {wire.KindOutcome, `{"v":2,"type":"succeeded"}`},
		"type that the kind forbids":    {wire.KindOutcome, `{"v":1,"type":"decided"}`},
		"unknown kind":                  {"gossip", `{"v":1,"type":"succeeded"}`},
		"a decision nobody can read":    {wire.KindDecision, `{"v":1,"type":"decided","escalation":7}`},
		"a second plan, uncompilable":   {wire.KindPlan, `{"v":1,"type":"submitted","document":{"plan":{}}}`},
		"fields of the wrong JSON type": {wire.KindOutcome, `{"v":1,"type":"failed","step":["a"]}`},
	} {
		t.Run(name, func(t *testing.T) {
			w := &writer{t: t, run: "r"}
			w.add(submitted(t))
			seq := w.raw(poison.kind, []byte(poison.body))
			last := w.add(succeeded("a"))
			f := offline().Fold("r", w.entries, nil)
			frozen, ok := errors.AsType[*Frozen](f.Frozen())
			if !ok {
				t.Fatal("the run is not frozen")
			}
			if frozen.DeadLetter != steps.DeadLetterID("r", seq) || !strings.Contains(frozen.Error(), frozen.DeadLetter) {
				t.Errorf("letter %q, error %q: want the letter about sequence %d named", frozen.DeadLetter, frozen.Error(), seq)
			}
			if f.Seq != last {
				t.Errorf("seen up to %d, want %d", f.Seq, last)
			}
			if got := f.State.Units[0].State(); got != steps.StepQueued {
				t.Errorf("a is %s: an event after the unreadable one was applied", got)
			}
		})
	}
}

func TestAClaimOfAnotherAttemptIsPoison(t *testing.T) {
	t.Parallel()
	_, body, err := wire.EncodeEvent(steps.Claimed{Attempt: steps.Attempt{Step: "a", Try: 1}, Worker: "w"})
	if err != nil {
		t.Fatal(err)
	}
	for a, ok := range map[steps.Attempt]bool{{Step: "a", Try: 1}: true, {Step: "a", Try: 2}: false, {Step: "b", Try: 1}: false} {
		e := bus.Entry{Seq: 2, Subject: wire.Default.Claim(0, "r", a), Data: body}
		if _, err := offline().Record("r", e); (err == nil) != ok || err != nil && !errors.Is(err, wire.ErrPoison) {
			t.Errorf("on the subject of %v: %v", a, err)
		}
	}
}

func TestSkipDiscardsTheEntryForEveryReader(t *testing.T) {
	t.Parallel()
	w := &writer{t: t, run: "r"}
	w.add(submitted(t))
	poison := w.raw(wire.KindOutcome, []byte("garbage"))
	w.add(succeeded("a"))
	w.add(steps.Decided{Escalation: steps.DeadLetterID("r", poison), Verb: steps.VerbSkip, By: "mia"})
	w.add(succeeded("b"))
	var seen []uint64
	f := offline().Fold("r", w.entries, func(_ *steps.State, r steps.Record, _ []int) { seen = append(seen, r.Seq) })
	if err := f.Frozen(); err != nil {
		t.Fatalf("still frozen: %v", err)
	}
	if got := f.State.Status(); got != steps.RunSucceeded {
		t.Errorf("the run is %s, want succeeded", got)
	}
	if len(seen) != 3 {
		t.Errorf("observed %v, want the three readable records that are no verdict", seen)
	}
	if len(f.DeadLetters) != 1 || f.Stale {
		t.Errorf("letters %v, stale %v", f.DeadLetters, f.Stale)
	}
}

func TestRetryLeavesTheRunFrozenWhileNobodyCanReadTheEntry(t *testing.T) {
	t.Parallel()
	w := &writer{t: t, run: "r"}
	w.add(submitted(t))
	poison := w.raw(wire.KindOutcome, []byte("garbage"))
	w.add(steps.Decided{Escalation: steps.DeadLetterID("r", poison), Verb: steps.VerbRetry, By: "mia"})
	f := offline().Fold("r", w.entries, nil)
	if !errors.Is(f.Frozen(), ErrFrozen) {
		t.Fatal("retry discarded the entry")
	}
}

func TestVerdictOnALiveFoldMakesItStale(t *testing.T) {
	t.Parallel()
	w := &writer{t: t, run: "r"}
	w.add(submitted(t))
	poison := w.raw(wire.KindOutcome, []byte("garbage"))
	l := offline()
	f := l.Fold("r", w.entries, nil)
	w.add(steps.Decided{Escalation: steps.DeadLetterID("r", poison), Verb: steps.VerbSkip, By: "mia"})
	l.Apply(f, w.entries[2])
	if !f.Stale {
		t.Fatal("the fold does not say that it has to be made anew")
	}
}

func TestVerdictOnAnotherRunsLetterIsNobodysBusiness(t *testing.T) {
	t.Parallel()
	w := &writer{t: t, run: "r"}
	w.add(submitted(t))
	w.raw(wire.KindOutcome, []byte("garbage"))
	w.add(steps.Decided{Escalation: steps.DeadLetterID("other", 20), Verb: steps.VerbSkip, By: "mia"})
	if f := offline().Fold("r", w.entries, nil); f.Frozen() == nil {
		t.Fatal("a decision about another run's letter discarded an entry of this one")
	}
}

func TestPanicInTheCoreFreezes(t *testing.T) {
	t.Parallel()
	w := &writer{t: t, run: "r"}
	w.add(succeeded("a"))
	f := &Fold{Run: "r", State: &steps.State{Run: "r"}} // without a program no event can be applied
	if _, _, ok := offline().Apply(f, w.entries[0]); ok {
		t.Fatal("the record counts as applied")
	}
	if f.Poison == nil || !strings.Contains(f.Poison.Why.Error(), "panicked") {
		t.Fatalf("poison: %+v", f.Poison)
	}
}

func TestSeenEntriesChangeNothing(t *testing.T) {
	t.Parallel()
	w := &writer{t: t, run: "r"}
	w.add(submitted(t))
	w.add(succeeded("a"))
	l := offline()
	f := l.Fold("r", w.entries, nil)
	for _, e := range w.entries {
		if _, touched, ok := l.Apply(f, e); ok {
			t.Errorf("sequence %d touched %v again", e.Seq, touched)
		}
	}
}

func TestEventsWithoutASubmissionMakeNoRun(t *testing.T) {
	t.Parallel()
	w := &writer{t: t, run: "r"}
	w.add(succeeded("a"))
	f := offline().Fold("r", w.entries, func(*steps.State, steps.Record, []int) { t.Error("observed") })
	if f.State != nil || f.Poison != nil || f.Seq != 10 {
		t.Errorf("%+v", f)
	}
}

func TestDifferencesAreNamed(t *testing.T) {
	t.Parallel()
	base := steps.Submitted{Document: json.RawMessage(`{"plan":{"name":"x"}}`), Input: json.RawMessage(`{"a":1}`), Labels: map[string]string{"k": "v"}}
	with := func(f func(*steps.Submitted)) steps.Submitted {
		s := base
		f(&s)
		return s
	}
	for name, c := range map[string]struct {
		now  steps.Submitted
		says string // empty: the same
	}{
		"same":           {base, ""},
		"spaces":         {with(func(s *steps.Submitted) { s.Input = json.RawMessage(`{ "a": 1 }`) }), ""},
		"who and where":  {with(func(s *steps.Submitted) { s.By, s.ToolsFile = "bo", "/x" }), ""},
		"own key":        {with(func(s *steps.Submitted) { s.KeyRun = "r" }), ""},
		"number written": {with(func(s *steps.Submitted) { s.Input = json.RawMessage(`{"a":1.0}`) }), `the input (stored {"a":1}, now {"a":1.0})`},
		"other plan":     {with(func(s *steps.Submitted) { s.Document = json.RawMessage(`{"plan":{"name":"y"}}`) }), "the plan (stored x, now y)"},
		"edited plan":    {with(func(s *steps.Submitted) { s.Document = json.RawMessage(`{"plan":{"name":"x"},"tools":{}}`) }), "the plan or its tools"},
		"labels":         {with(func(s *steps.Submitted) { s.Labels = nil }), "the labels"},
		"another time":   {with(func(s *steps.Submitted) { s.At = time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC) }), "when it begins (stored at once, now at 2026-01-02T00:00:00Z)"},
		"a wait":         {with(func(s *steps.Submitted) { s.In = steps.Duration(time.Hour) }), "when it begins (stored at once, now in 1h0m0s)"},
		"carried":        {with(func(s *steps.Submitted) { s.Carried = []steps.Carried{{Step: "a"}} }), "carried over"},
		"keys":           {with(func(s *steps.Submitted) { s.KeyRun = "q" }), "idempotency keys"},
	} {
		t.Run(name, func(t *testing.T) {
			err := differs("r", base, c.now)
			switch {
			case c.says == "" && err != nil:
				t.Errorf("not the same: %v", err)
			case c.says != "" && (!errors.Is(err, ErrConflict) || !strings.Contains(err.Error(), c.says)):
				t.Errorf("%v does not say %q", err, c.says)
			}
		})
	}
}

func TestAnEpochNobodyKnowsFreezes(t *testing.T) {
	t.Parallel()
	for epoch, known := range map[int]bool{0: true, 1: true, steps.Epoch: true, steps.Epoch + 1: false, -1: false} {
		w := &writer{t: t, run: "r"}
		sub := submitted(t)
		sub.Epoch = epoch
		w.add(sub)
		f := offline().Fold("r", w.entries, nil)
		if frozen := f.Frozen(); (frozen == nil) != known {
			t.Errorf("epoch %d: %v", epoch, frozen)
		} else if !known && !strings.Contains(frozen.Error(), "upgrade") {
			t.Errorf("epoch %d: %q does not say what to do", epoch, frozen)
		}
	}
}
