package handoff

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"belay/internal/bus"
	"belay/internal/people"
)

// archivedRuns are so many runs of an archive, r0 to r<n-1>.
func archivedRuns(n int) (list []Removal) {
	for i := range n {
		list = append(list, Removal{"r" + strconv.Itoa(i), "sum" + strconv.Itoa(i)})
	}
	return list
}

// resultsOf is what became of runs, in a row.
func resultsOf(became []Removed) (all []RemovedResult) {
	for _, r := range became {
		all = append(all, r.Result)
	}
	return all
}

// TestRemovalsGoSideBySide: many runs take as long as a few, each is removed once, and what became of them is in their order.
func TestRemovalsGoSideBySide(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var together sync.WaitGroup // nobody goes on before so many are there
		together.Add(removesAtOnce)
		var begun atomic.Int32
		act := func(_ context.Context, who people.Actor, id string, a people.Act) (Done, error) {
			if n := begun.Add(1); n <= removesAtOnce {
				together.Done()
				together.Wait()
			}
			if who.Name != "mia" || a.Verb != people.RemoveRun || a.Text != "a.jsonl" || a.Digest != "sum"+id[1:] {
				t.Errorf("%s: %+v by %+v", id, a, who)
			}
			return Done{Repeated: id == "r7"}, nil
		}
		list := archivedRuns(5 * removesAtOnce)
		became, err := Removals{act, people.Trusted("mia", "cli"), "a.jsonl"}.Do(t.Context(), list)
		if err != nil || int(begun.Load()) != len(list) {
			t.Fatalf("%v, %d of %d", err, begun.Load(), len(list))
		}
		for i, r := range became {
			if want := map[bool]RemovedResult{true: RunGone, false: RunRemoved}[r.ID == "r7"]; r.ID != list[i].ID || r.Result != want {
				t.Errorf("%d: %+v", i, r)
			}
		}
	})
}

// TestARemovalThatIsRefused keeps its run and no other one.
func TestARemovalThatIsRefused(t *testing.T) {
	t.Parallel()
	act := func(_ context.Context, _ people.Actor, id string, _ people.Act) (Done, error) {
		switch id {
		case "r1":
			return Done{}, fmt.Errorf("%w: archive it once more", ErrChanged)
		case "r2":
			return Done{}, fmt.Errorf("%w: it is open", ErrNotAllowed)
		}
		return Done{}, nil
	}
	became, err := Removals{Act: act}.Do(t.Context(), archivedRuns(4))
	if want := []RemovedResult{RunRemoved, RunKept, RunKept, RunRemoved}; err != nil || !slices.Equal(resultsOf(became), want) {
		t.Fatalf("%v, %v", became, err)
	}
	if became[1].Code != "changed" || became[2].Code != "not_allowed" || became[2].Detail == "" {
		t.Error(became)
	}
}

// TestRemovalsEnd at what is about no single run: none begins after it, and each says what is known of it.
func TestRemovalsEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var begun atomic.Int32
		act := func(context.Context, people.Actor, string, people.Act) (Done, error) {
			if begun.Add(1) == 1 {
				return Done{}, bus.ErrUncertain
			}
			time.Sleep(time.Second) // until the others have seen it
			return Done{}, nil
		}
		list := archivedRuns(100 * removesAtOnce)
		became, err := Removals{Act: act}.Do(t.Context(), list)
		if !errors.Is(err, bus.ErrUncertain) || became[len(list)-1].Result != RunNoTurn || !slices.ContainsFunc(became, func(r Removed) bool { return r.Result == RunBegun && r.Code == "uncertain" }) {
			t.Fatalf("%v, last %+v", err, became[len(list)-1])
		}
		ctx, stop := context.WithCancel(t.Context())
		stop()
		if became, err := (Removals{Act: act}).Do(ctx, archivedRuns(3)); !errors.Is(err, context.Canceled) || !slices.Equal(resultsOf(became), []RemovedResult{RunNoTurn, RunNoTurn, RunNoTurn}) {
			t.Errorf("%v, %v", became, err)
		}
	})
}

// TestARemovalWaitsForTheTrail, and not for ever.
func TestARemovalWaitsForTheTrail(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		act := func(context.Context, people.Actor, string, people.Act) (Done, error) {
			if asked.Add(1) < 4 {
				return Done{}, fmt.Errorf("%w: %w", ErrNotAllowed, ErrUnrecorded)
			}
			return Done{}, nil
		}
		if became, err := (Removals{Act: act}).Do(t.Context(), archivedRuns(1)); err != nil || became[0].Result != RunRemoved {
			t.Errorf("%v, %v", became, err)
		}
		asked.Store(-1_000_000)
		if became, err := (Removals{Act: act}).Do(t.Context(), archivedRuns(1)); !errors.Is(err, ErrUnrecorded) || became[0].Result != RunKept {
			t.Errorf("%v, %v", became, err)
		}
	})
}
