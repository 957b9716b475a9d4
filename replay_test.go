package belay_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"belay"
)

// TestARunIsDoneAgain: what stands before the step is taken over, and what would be paid again has to be confirmed.
func TestARunIsDoneAgain(t *testing.T) {
	t.Parallel()
	var worked, paid atomic.Int64
	b := open(t,
		belay.Handle("work", func(context.Context, params) (int64, error) { return worked.Add(1), nil }),
		belay.Handle("pay", func(_ context.Context, p params) (int64, error) { return paid.Add(1), nil }))
	p, err := belay.ParsePlan("plan.yaml", []byte("name: two\ninput: {x: 1, y: 1}\nsteps:\n  - {id: a, tool: work, with: {x: \"${ input.x }\"}}\n  - {id: b, tool: pay, with: {x: \"${ input.y }\"}}\n"), b.tools)
	if err != nil {
		t.Fatal(err)
	}
	first, err := b.Submit(t.Context(), p, belay.Submission{ID: "first"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := first.Replay(t.Context(), belay.Replaying{From: []string{"b"}}); !errors.Is(err, belay.ErrNoReplay) {
		t.Errorf("an open run: %v", err)
	}
	if _, err := first.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		o  belay.Replaying
		is error
		of string
	}{
		{belay.Replaying{From: []string{"b"}}, belay.ErrNoReplay, "key first/b/0"},
		{belay.Replaying{From: []string{"b"}, Confirmed: []string{"b"}, Input: map[string]int{"x": 2}}, belay.ErrNoReplay, "a cannot be taken over"},
		{belay.Replaying{From: []string{"b"}, Confirmed: []string{"b"}, Input: map[string]int{"z": 2}}, belay.ErrInvalid, "no such input"},
	} {
		if _, err := first.Replay(t.Context(), c.o); !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.of) {
			t.Errorf("%+v: %v", c.o, err)
		}
	}
	next, err := first.Replay(t.Context(), belay.Replaying{From: []string{"b"}, Confirmed: []string{"b"}, Input: map[string]int{"y": 2}, By: "mia", Reason: "too little"})
	if err != nil {
		t.Fatal(err)
	}
	doc, err := next.Wait(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if doc.ID != "first-p1" || doc.Replay == nil || doc.Replay.Run != "first" || doc.Steps[0].TakenOver != "first" || worked.Load() != 1 || paid.Load() != 2 {
		t.Errorf("worked %d times, paid %d times: %+v", worked.Load(), paid.Load(), doc)
	}
}
