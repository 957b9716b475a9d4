package belay_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"belay"
	"belay/belaytype"
)

// TestATurnIsTakenBack: what an agent paid in it stays paid, and is not paid again where its model wants to.
func TestATurnIsTakenBack(t *testing.T) {
	t.Parallel()
	var turns, paid atomic.Int64
	call := func(name string, arguments map[string]any) map[string]any {
		return map[string]any{"text": name, "calls": []any{map[string]any{"id": "x", "name": name, "arguments": arguments}}}
	}
	b := open(t,
		belay.Handle("work", func(context.Context, map[string]any) (map[string]any, error) {
			switch turns.Add(1) {
			case 1, 3:
				return call("pay", map[string]any{"x": 1}), nil
			case 2:
				return call("ask_person", map[string]any{"question": "One more?"}), nil
			}
			return map[string]any{"text": "done"}, nil
		}),
		belay.Handle("pay", func(context.Context, params) (int64, error) { return paid.Add(1), nil }))
	p, err := belay.ParsePlan("plan.yaml", []byte("name: one\nsteps:\n  - {id: resolve, agent: {model: work, prompt: go, tools: [pay, ask_person]}}\n"), b.tools)
	if err != nil {
		t.Fatal(err)
	}
	r, err := b.Submit(t.Context(), p, belay.Submission{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Rest(t.Context()); err != nil {
		t.Fatal(err)
	}
	for turn, is := range map[int]error{0: belay.ErrInvalid, 3: belay.ErrNoTurn} {
		if err := r.TakeBack(t.Context(), "mia", "", turn, ""); !errors.Is(err, is) {
			t.Errorf("%d: %v", turn, err)
		}
	}
	if err := r.TakeBack(t.Context(), "mia", "resolve", 1, "ask nobody"); err != nil {
		t.Fatal(err)
	}
	doc, err := r.Wait(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all := doc.Agents[0].Turns
	if n := paid.Load(); n != 1 || len(all) != 4 || all[2].Calls[0].ResultOf != "resolve~t1.1" || all[0].Back == nil || all[0].Back.Reason != "ask nobody" || !all[0].Calls[0].Stays || all[1].Notes[0].TakesBack != 1 {
		t.Errorf("paid %d times: %+v", n, all)
	}
	if err := r.TakeBack(t.Context(), "mia", "", 1, ""); !errors.Is(err, belay.ErrEnded) {
		t.Error(err)
	}
	for e, err := range r.Events(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Type == belaytype.EventSteered {
			if e.TakeBack != 1 || e.By != "mia" || e.Message != "ask nobody" {
				t.Errorf("%+v", e)
			}
			return
		}
	}
	t.Error("the events do not say who took it back")
}
