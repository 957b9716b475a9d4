package handoff

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"belay/internal/people"
	"belay/internal/runlog"
	"belay/internal/steps"
	"belay/internal/steps/view"
)

// results are what became of the runs, by their ids.
func results(s Redrive) map[string]string {
	all := map[string]string{}
	for _, it := range s.Items {
		all[it.ID] = it.Result + it.Code
	}
	return all
}

// TestManyRunsAreCancelled: once each, those that have changed since they were shown are left as they are, and what an interrupt has
// left over is done when somebody says to go on.
func TestManyRunsAreCancelled(t *testing.T) {
	t.Parallel()
	l, _ := newLog(t)
	for i := range 4 {
		held(t, l, fmt.Sprint("run", i), steps.Approval{})
	}
	b, _ := crew(t, l)
	var recorded []Redrive
	b.Record = func(_ context.Context, _ people.Actor, s Redrive) error {
		recorded = append(recorded, s)
		return nil
	}
	order := RunOrder{Verb: people.Cancel, Where: "pay", Reason: "twice", Rate: 1000}
	found, err := b.FindRuns(t.Context(), order)
	if err != nil || len(found.Runs) != 4 || found.Total != 4 {
		t.Fatalf("%+v, %v", found, err)
	}
	list := found.Chosen()
	list[1].State = steps.RunRunning // it was shown like that
	if _, err := l.Cancel(t.Context(), list[2].ID, steps.Cancelled{By: "bo"}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.StartRuns(t.Context(), people.Actor{Name: "vi", Role: people.Viewer}, order, list, nil); !errors.Is(err, people.ErrForbidden) {
		t.Errorf("a viewer cancels runs: %v", err)
	}
	s := startRuns(t, b, order, list)
	s = ended(t, l, b, s.ID)
	want := map[string]string{list[0].ID: "done", list[1].ID: "refusedchanged", list[2].ID: "refusedagain", list[3].ID: "done"}
	if got := results(s); fmt.Sprint(got) != fmt.Sprint(want) || s.State != RedriveDone {
		t.Errorf("%v, %+v; want %v", got, s, want)
	}
	if len(recorded) != 1 || recorded[0].Lot() != "4 runs, found by pay" || len(recorded[0].Order()) == 0 {
		t.Errorf("recorded: %+v", recorded)
	}
	if st := l.state(t, list[1].ID); st.Status() != steps.RunWaiting {
		t.Errorf("the run that has changed is %s", st.Status())
	}

	// Interrupted before it reached anything, it goes on.
	first, err := b.Get(t.Context(), s.ID)
	if err != nil {
		t.Fatal(err)
	}
	first.State, first.Items[1].Result, first.Items[1].Was = RedriveInterrupted, ItemNotReached, string(steps.RunWaiting)
	again := b.redrivingRuns(people.Trusted("mia", "console"), first)
	if _, _, again.revision, err = b.stored(t.Context(), s.ID); err != nil {
		t.Fatal(err)
	}
	if again.bucket, err = b.bucket(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := again.save(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s, err = b.Resume(t.Context(), people.Trusted("mia", "console"), s.ID, nil); err != nil || s.State != RedriveRunning {
		t.Fatalf("%+v, %v", s, err)
	}
	s = ended(t, l, b, s.ID)
	if got := results(s); got[list[1].ID] != "done" || got[list[0].ID] != "done" || len(recorded) != 2 {
		t.Errorf("%v, %d records", got, len(recorded))
	}
}

// startRuns begins an order; a dispatcher that is just starting says to try again.
func startRuns(t *testing.T, b *Redrives, o RunOrder, list []Chosen) Redrive {
	t.Helper()
	for {
		s, err := b.StartRuns(t.Context(), people.Trusted("mia", "console"), o, list, nil)
		if err == nil {
			return s
		}
		if !errors.Is(err, errEnding) {
			t.Fatal(err)
		}
	}
}

// TestWhatWasRetriedBeforeIsReadInOneGo, and not for each run: also what was cancelled since, and what nobody can retry.
func TestWhatWasRetriedBeforeIsReadInOneGo(t *testing.T) {
	t.Parallel()
	l, b := newLog(t)
	cancelledRuns(t, l, 3)
	for _, run := range []string{"run1", "run2"} {
		if _, _, err := l.RetryOnce(t.Context(), run, runlog.Retried{By: "ann"}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.Cancel(t.Context(), "run2-r1", steps.Cancelled{By: "bo"}); err != nil {
		t.Fatal(err)
	}
	ids := []string{"not a name", strings.Repeat("x", 200)}
	for i := range 50 {
		ids = append(ids, fmt.Sprint("run", i))
	}
	asked := b.Traffic().Requests
	before, err := l.RetriedBefore(t.Context(), ids)
	if n := b.Traffic().Requests - asked; err != nil || n > uint64(len(ids)/2) {
		t.Errorf("%d requests for %d runs, %v", n, len(ids), err)
	}
	for _, run := range ids {
		once, err := l.RetriedOnce(t.Context(), run)
		if err != nil || before[run] != once {
			t.Errorf("%s: %t, and alone %t, %v", run, before[run], once, err)
		}
	}
	if !before["run1"] || !before["run2"] || before["run0"] {
		t.Error(before)
	}
}

// TestRunsAreRetriedOnce: whoever says it twice has not said it twice.
func TestRunsAreRetriedOnce(t *testing.T) {
	t.Parallel()
	l, _ := newLog(t)
	for i := range 3 {
		id := fmt.Sprint("run", i)
		held(t, l, id, steps.Approval{})
		if _, err := l.Cancel(t.Context(), id, steps.Cancelled{By: "bo"}); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Append(t.Context(), id, steps.Closed{State: steps.RunCancelled}); err != nil {
			t.Fatal(err)
		}
	}
	m := &Alike{Runs: l.Log, Now: l.desk.Now}
	order := RunOrder{Verb: people.Retry, Where: "pay", Rate: 1000}
	if _, _, err := l.RetryOnce(t.Context(), "run1", runlog.Retried{By: "ann"}); err != nil {
		t.Fatal(err)
	}
	found, err := m.Find(t.Context(), order)
	if err != nil || len(found.Runs) != 2 || found.Before != 1 {
		t.Fatalf("%+v, %v", found, err)
	}
	for _, want := range []string{string(view.FateDone), ItemRefused} {
		var list []RedriveResult
		for _, c := range found.Chosen() {
			list = append(list, RedriveResult{ID: c.ID, Was: string(c.State)})
		}
		err := m.Do(t.Context(), people.Trusted("mia", "cli"), order, list, func(r RedriveResult) {
			if r.Result != want {
				t.Errorf("%+v, want %s", r, want)
			}
		})
		if err != nil {
			t.Error(err)
		}
	}
	if page, err := l.List(t.Context(), runlog.Filter{}); err != nil || len(page.Items) != 6 {
		t.Errorf("%d runs, %v", len(page.Items), err)
	}
	if _, err := m.Find(t.Context(), RunOrder{Verb: people.Retry, Where: " "}); !errors.Is(err, ErrInvalid) {
		t.Errorf("all runs there are: %v", err)
	}
}
