package handoff

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"belay/internal/people"
	"belay/internal/runlog"
	"belay/internal/steps"
)

// cancelledRuns are runs that were cancelled and have ended.
func cancelledRuns(t *testing.T, l *office, n int) (all []runlog.ManyRun) {
	t.Helper()
	for i := range n {
		id := fmt.Sprint("run", i)
		held(t, l, id, steps.Approval{})
		if _, err := l.Cancel(t.Context(), id, steps.Cancelled{By: "bo"}); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Append(t.Context(), id, steps.Closed{State: steps.RunCancelled}); err != nil {
			t.Fatal(err)
		}
		all = append(all, runlog.ManyRun{Run: id, Was: string(steps.RunCancelled)})
	}
	return all
}

// part asks for a part; a dispatcher that is just starting does nothing yet.
func part(t *testing.T, b *Redrives, who people.Actor, allowed func(context.Context, string) error, p runlog.Many) ([]runlog.ManyResult, error) {
	t.Helper()
	for {
		did, err := b.Part(t.Context(), who, allowed, p)
		if err != nil || len(did) > 0 {
			return did, err
		}
	}
}

func anyRun(context.Context, string) error { return nil }

// TestAPartIsDoneOnce: asked for again, by whichever dispatcher, it has the same results, and nothing is done twice; the audit trail
// has the whole before anything is done.
func TestAPartIsDoneOnce(t *testing.T) {
	t.Parallel()
	l, _ := newLog(t)
	b, stop := crew(t, l)
	all, mia := cancelledRuns(t, l, 4), people.Trusted("mia", "cli")
	var recorded []Redrive
	record := func(_ context.Context, _ people.Actor, s Redrive) error {
		recorded = append(recorded, s)
		return nil
	}
	b.Record = record
	p := runlog.Many{ID: uuid.NewString(), Verb: "retry", Where: "pay", Rate: 1000, All: all, Runs: []string{"run0", "run1"}}
	first, err := part(t, b, mia, anyRun, p)
	if err != nil || len(first) != 2 || first[0] != (runlog.ManyResult{Run: "run0", Result: "done", Detail: "it goes on as run0-r1"}) {
		t.Fatalf("%+v, %v", first, err)
	}
	again, err := part(t, b, mia, anyRun, p) // the answer was lost
	if err != nil || !slices.Equal(again, first) {
		t.Errorf("%+v, %v", again, err)
	}
	stop()
	b, _ = crew(t, l)
	b.Record = record
	p.All = nil
	if again, err = part(t, b, mia, anyRun, p); err != nil || !slices.Equal(again, first) {
		t.Errorf("another dispatcher: %+v, %v", again, err)
	}
	p.Runs = []string{"run2", "run3"}
	no := func(_ context.Context, run string) error {
		if run == "run3" {
			return fmt.Errorf("%w: you have started no run %s", runlog.ErrNoRun, run)
		}
		return nil
	}
	rest, err := part(t, b, mia, no, p)
	if err != nil || len(rest) != 2 || rest[0].Result != "done" || rest[1] != (runlog.ManyResult{Run: "run3", Result: "refused", Code: "forbidden", Detail: "you have started no run run3"}) {
		t.Errorf("%+v, %v", rest, err)
	}
	if len(recorded) != 1 || recorded[0].Lot() != "4 runs, found by pay" {
		t.Errorf("recorded: %+v", recorded)
	}
	if s, err := b.Get(t.Context(), p.ID); err != nil || s.State != RedriveDone || s.Counts()["done"] != 3 {
		t.Errorf("%+v, %v", s, err)
	}
	if page, err := l.List(t.Context(), runlog.Filter{}); err != nil || len(page.Items) != 7 {
		t.Errorf("%d runs, %v", len(page.Items), err)
	}
}

// TestWhatIsNoPartIsRefused, and nothing is done.
func TestWhatIsNoPartIsRefused(t *testing.T) {
	t.Parallel()
	l, _ := newLog(t)
	b, _ := crew(t, l)
	all, mia := cancelledRuns(t, l, 2), people.Trusted("mia", "cli")
	p := runlog.Many{ID: uuid.NewString(), Verb: "retry", Rate: 1000, All: all[:1], Runs: []string{"run0"}}
	full := errors.New("full")
	b.Record = func(context.Context, people.Actor, Redrive) error { return full }
	if did, err := part(t, b, mia, anyRun, p); !errors.Is(err, full) {
		t.Errorf("without the audit trail: %+v, %v", did, err)
	}
	if there, err := l.RetriedOnce(t.Context(), "run0"); there || err != nil {
		t.Errorf("it was retried: %v", err)
	}
	b.Record = nil
	if _, err := part(t, b, mia, anyRun, p); err != nil {
		t.Fatal(err)
	}
	many := make([]runlog.ManyRun, MaxRedrive+1)
	for what, c := range map[string]struct {
		who people.Actor
		p   runlog.Many
	}{
		"nobody has begun it":           {mia, runlog.Many{ID: uuid.NewString(), Verb: "retry", Runs: []string{"run1"}}},
		"a run that was not in it":      {mia, runlog.Many{ID: p.ID, Verb: "retry", Runs: []string{"run1"}}},
		"somebody else's":               {people.Trusted("bo", "cli"), runlog.Many{ID: p.ID, Verb: "retry", Runs: []string{"run0"}}},
		"another verb":                  {mia, runlog.Many{ID: p.ID, Verb: "cancel", Runs: []string{"run0"}}},
		"a verb that is not for many":   {mia, runlog.Many{ID: p.ID, Verb: "approve", Runs: []string{"run0"}}},
		"more than are done at a time":  {mia, runlog.Many{ID: uuid.NewString(), Verb: "retry", All: many, Runs: []string{"run1"}}},
		"under something else than ids": {mia, runlog.Many{ID: "*", Verb: "retry", All: all, Runs: []string{"run1"}}},
	} {
		if did, err := part(t, b, c.who, anyRun, c.p); err == nil {
			t.Errorf("%s: %+v", what, did)
		}
	}
	if there, err := l.RetriedOnce(t.Context(), "run1"); there || err != nil {
		t.Errorf("it was retried: %v", err)
	}
}

// TestAPartThatAPersonHasStopped goes on with nothing.
func TestAPartThatAPersonHasStopped(t *testing.T) {
	t.Parallel()
	l, _ := newLog(t)
	b, _ := crew(t, l)
	all, mia := cancelledRuns(t, l, 2), people.Trusted("mia", "cli")
	p := runlog.Many{ID: uuid.NewString(), Verb: "retry", Rate: 1000, All: all, Runs: []string{"run0"}}
	if _, err := part(t, b, mia, anyRun, p); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Stop(t.Context(), people.Trusted("bo", "console"), p.ID); err != nil {
		t.Fatal(err)
	}
	p.Runs = []string{"run1"}
	if did, err := part(t, b, mia, anyRun, p); !errors.Is(err, runlog.ErrStopped) || !strings.HasPrefix(err.Error(), "it was stopped by bo, ") {
		t.Errorf("%+v, %v", did, err)
	}
	if there, err := l.RetriedOnce(t.Context(), "run1"); there || err != nil {
		t.Errorf("it was retried: %v", err)
	}
}
