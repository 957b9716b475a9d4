package runlog

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"belay/internal/bus"
	"belay/internal/bus/bustest"
	"belay/internal/plan"
	"belay/internal/steps"
	"belay/internal/wire"
)

// TestMessagesAreReadBack: what the builder makes of an event, the parser reads as that event, and every message names
// its run. What there is only once is stored only as the first.
func TestMessagesAreReadBack(t *testing.T) {
	t.Parallel()
	b := bustest.Start(t, 2)
	l := New(b, plan.NewCache(4))
	a := steps.Attempt{Step: "a", Try: 1}
	for name, c := range map[string]struct {
		event steps.Event
		once  bool
		act   string
	}{
		"submit":    {event: submitted(t), once: true},
		"retry":     {event: steps.Submitted{Document: document(t, "two"), Input: json.RawMessage(`{}`), RetryOf: "r0"}, once: true, act: "retry"},
		"cancel":    {event: steps.Cancelled{By: "mia"}, act: "cancel"},
		"outcome":   {event: succeeded("a")},
		"claim":     {event: steps.Claimed{Attempt: a, Worker: "w"}, once: true},
		"decision":  {event: steps.Decided{Escalation: "r-1", Verb: steps.VerbSkip}},
		"clock":     {event: steps.Fired{}},
		"withdrawn": {event: steps.Withdrawn{Attempt: a}},
		"held":      {event: steps.Held{Attempt: a, Hold: steps.Hold{Why: steps.HoldGate, Gate: "g1", By: "mia", Reason: "wrong"}}},
		"released":  {event: steps.Released{Attempt: a, Gate: "g1", By: "mia"}},
		"result":    {event: steps.Closed{State: steps.RunSucceeded}, once: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run := "run-" + name
			m, stream, err := l.Message(run, c.event)
			if err != nil || m.Run != run || (m.Expect != nil) != c.once {
				t.Fatalf("%+v, %v; want it stored only once: %v", m, err, c.once)
			}
			if act := m.Header[wire.HeaderAct]; c.act != "" != (len(act) == 1) || c.act != "" && act[0] != c.act {
				t.Errorf("the audit trail reads %q, want %q", act, c.act)
			}
			if _, err := b.PublishWait(t.Context(), stream, m); err != nil {
				t.Fatal(err)
			}
			e, ok, err := b.Last(t.Context(), stream, m.Subject)
			if err != nil || !ok || len(e.Header[wire.HeaderRun]) != 1 || e.Header[wire.HeaderRun][0] != run {
				t.Fatalf("%v, %v, %v", e.Header, ok, err)
			}
			got, event, err := Parse(b.Names(), e)
			if diff := cmp.Diff(c.event, event); err != nil || got != run || diff != "" {
				t.Errorf("run %s, %v\n%s", got, err, diff)
			}
			if _, err := b.PublishWait(t.Context(), stream, m); errors.Is(err, bus.ErrConflict) != c.once {
				t.Errorf("a second one: %v", err)
			}
		})
	}
}

// TestHistoryIsRead: what a worker goes by has what stands behind an unreadable entry, and leaves out a claim on another
// attempt's subject and what a person discarded.
func TestHistoryIsRead(t *testing.T) {
	t.Parallel()
	w := &writer{t: t, run: "r"}
	w.add(submitted(t))
	w.raw(wire.KindOutcome, []byte("{"))
	forged := w.raw(wire.KindClaim+".a.0-0-1", encoded(t, steps.Claimed{Attempt: steps.Attempt{Step: "a", Try: 2}}))
	foreign := steps.Claimed{Attempt: steps.Attempt{Step: "a", Try: 1}, Worker: "evil"}
	w.raw(wire.KindClaim+".a.0-0-1.look~up", encoded(t, foreign))
	discarded := w.add(succeeded("a"))
	kept := w.add(succeeded("a"))
	w.add(succeeded("b"))
	w.add(steps.Decided{Escalation: steps.DeadLetterID("r", discarded), Verb: steps.VerbSkip})
	var h History
	for _, e := range w.entries {
		h.add(wire.Default, "r", e)
	}
	about := h.About("a", "t")
	if len(about) != 2 || about[1].Seq != kept || about[1].Event.(steps.Succeeded).Output != nil {
		t.Errorf("%+v, want the submission and %d without its output", about, kept)
	}
	if about := h.About("a", "look.up"); len(about) != 3 || about[1].Event != foreign {
		t.Errorf("%+v, want the claim of its own workers too", about)
	}
	if got := h.claims[wire.Default.Claim(0, "r", steps.Attempt{Step: "a", Try: 1})]; got != forged {
		t.Errorf("the last claim on the subject is %d, want %d, also when it cannot be read", got, forged)
	}
}

func encoded(t *testing.T, e steps.Event) []byte {
	t.Helper()
	_, body, err := wire.EncodeEvent(e)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// BenchmarkMessage builds the message of every step that succeeds.
func BenchmarkMessage(b *testing.B) {
	l := New(bustest.Start(b, 4), plan.NewCache(1))
	e := succeeded("a")
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := l.Message("0192f3aa-0000-7000-8000-000000000001", e); err != nil {
			b.Fatal(err)
		}
	}
}
