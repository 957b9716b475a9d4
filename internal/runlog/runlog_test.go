package runlog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"belay/internal/bus"
	"belay/internal/bus/bustest"
	"belay/internal/plan"
	"belay/internal/steps"
	"belay/internal/wire"
)

// online is a Log on a real server.
func online(t testing.TB) (*Log, *bus.Bus) {
	t.Helper()
	b := bustest.Start(t, 2)
	return New(b, plan.NewCache(8)), b
}

func submit(t testing.TB, l *Log, run string, s steps.Submitted) {
	t.Helper()
	created, err := l.Submit(t.Context(), run, s)
	if err != nil || !created {
		t.Fatalf("submit %s: created %v, %v", run, created, err)
	}
}

func appendAll(t testing.TB, l *Log, run string, events ...steps.Event) {
	t.Helper()
	for _, e := range events {
		if _, err := l.Append(t.Context(), run, e); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSubmitRefuses(t *testing.T) {
	t.Parallel()
	l, b := online(t)
	ok := submitted(t)
	big := ok
	big.Input = json.RawMessage(`{"x":"` + strings.Repeat("x", steps.MaxSubmitted) + `"}`)
	broken := ok
	broken.Document = json.RawMessage(`{"plan":{"name":"x","steps":[{"id":"a","tool":"missing"}]}}`)
	both, split, far := ok, ok, ok
	both.At, both.In = time.Now(), steps.Duration(time.Second)
	split.In = steps.Duration(1500 * time.Millisecond)
	far.At = time.Now().AddDate(100, 0, 0)
	for name, c := range map[string]struct {
		run  string
		s    steps.Submitted
		want error
	}{
		"two times":        {"two-times", both, ErrBadStart},
		"half a second":    {"half", split, ErrBadStart},
		"in 100 years":     {"far", far, ErrBadStart},
		"no id":            {"", ok, ErrBadID},
		"dot":              {"a.b", ok, ErrBadID},
		"star":             {"*", ok, ErrBadID},
		"wildcard":         {">", ok, ErrBadID},
		"space":            {"a b", ok, ErrBadID},
		"newline":          {"a\n", ok, ErrBadID},
		"too long":         {strings.Repeat("a", 65), ok, ErrBadID},
		"not ASCII":        {"ä", ok, ErrBadID},
		"too large":        {"large", big, ErrTooLarge},
		"does not compile": {"broken", broken, plan.ErrDocument},
	} {
		t.Run(name, func(t *testing.T) {
			if created, err := l.Submit(t.Context(), c.run, c.s); created || !errors.Is(err, c.want) {
				t.Errorf("created %v, %v; want %v", created, err, c.want)
			}
		})
	}
	for p := range b.Partitions() {
		if runs, err := b.Runs(t.Context(), p); err != nil || len(runs) > 0 {
			t.Errorf("partition %d holds %v, %v", p, runs, err)
		}
	}
}

func TestSubmitTwiceIsOnce(t *testing.T) {
	t.Parallel()
	l, b := online(t)
	submit(t, l, "run", submitted(t))
	again := submitted(t)
	again.By = "somebody else"
	if created, err := l.Submit(t.Context(), "run", again); created || err != nil {
		t.Errorf("the same again: created %v, %v", created, err)
	}
	other := submitted(t)
	other.Input = json.RawMessage(`{"n":1}`)
	if created, err := l.Submit(t.Context(), "run", other); created || !errors.Is(err, ErrConflict) || !strings.Contains(err.Error(), "input") {
		t.Errorf("other content: created %v, %v", created, err)
	}
	onlyOneSubmission(t, b, 2)
}

func TestSubmitByManyAtOnceIsOnce(t *testing.T) {
	t.Parallel()
	l, b := online(t)
	var wg sync.WaitGroup
	created := make([]bool, 16)
	for i := range created {
		wg.Go(func() {
			var err error
			if created[i], err = l.Submit(t.Context(), "run", submitted(t)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	n := 0
	for _, c := range created {
		if c {
			n++
		}
	}
	if n != 1 {
		t.Errorf("created %d times", n)
	}
	onlyOneSubmission(t, b, len(created))
}

// onlyOneSubmission makes sure that the log of "run" says n times the same: what is submitted again is confirmed by being
// written again, whoever submits it.
func onlyOneSubmission(t *testing.T, b *bus.Bus, n int) {
	t.Helper()
	entries, err := b.ReadLog(t.Context(), "run", 0)
	if err != nil || len(entries) != n {
		t.Errorf("%d entries, %v; want %d", len(entries), err, n)
	}
	for _, e := range entries {
		if string(e.Data) != string(entries[0].Data) {
			t.Errorf("entry %d says %.200s, the first %.200s", e.Seq, e.Data, entries[0].Data)
		}
	}
}

// A run that was cancelled has a Cancelled as the last word on its plan subject; submitting it again is still once.
func TestSubmitAgainAfterCancel(t *testing.T) {
	t.Parallel()
	l, _ := online(t)
	submit(t, l, "run", submitted(t))
	if _, err := l.Cancel(t.Context(), "run", steps.Cancelled{By: "mia", Reason: "why not"}); err != nil {
		t.Fatal(err)
	}
	if created, err := l.Submit(t.Context(), "run", submitted(t)); created || err != nil {
		t.Errorf("created %v, %v", created, err)
	}
}

func TestLoadAndCancelOfNothing(t *testing.T) {
	t.Parallel()
	l, _ := online(t)
	if _, err := l.Load(t.Context(), "nobody"); !errors.Is(err, ErrNoRun) {
		t.Errorf("load: %v", err)
	}
	if _, err := l.Cancel(t.Context(), "nobody", steps.Cancelled{By: "", Reason: ""}); !errors.Is(err, ErrNoRun) {
		t.Errorf("cancel: %v", err)
	}
	if _, err := l.Load(t.Context(), "a.>"); !errors.Is(err, ErrBadID) {
		t.Errorf("load of a wildcard: %v", err)
	}
	err := l.Follow(t.Context(), "nobody", func(*steps.State, steps.Record, []int) bool { return true })
	if !errors.Is(err, ErrNoRun) {
		t.Errorf("follow: %v", err)
	}
}

func TestFollowSeesEveryRecordOnceAndEnds(t *testing.T) {
	t.Parallel()
	l, _ := online(t)
	submit(t, l, "run", submitted(t))
	appendAll(t, l, "run", succeeded("a"))
	reached := make(chan struct{})
	done := make(chan error, 1)
	var seen []string
	go func() {
		done <- l.Follow(t.Context(), "run", func(s *steps.State, r steps.Record, _ []int) bool {
			seen = append(seen, fmt.Sprintf("%T", r.Event))
			if len(seen) == 2 {
				close(reached)
			}
			return true
		})
	}()
	<-reached
	appendAll(t, l, "run", succeeded("b"), steps.Closed{State: steps.RunSucceeded}, succeeded("a"))
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	want := "steps.Submitted steps.Succeeded steps.Succeeded steps.Closed"
	if got := strings.Join(seen, " "); got != want {
		t.Errorf("saw  %s\nwant %s", got, want)
	}
}

func TestFollowStopsWhenToldTo(t *testing.T) {
	t.Parallel()
	l, _ := online(t)
	submit(t, l, "run", submitted(t))
	calls := 0
	if err := l.Follow(t.Context(), "run", func(*steps.State, steps.Record, []int) bool { calls++; return false }); err != nil || calls != 1 {
		t.Errorf("%d calls, %v", calls, err)
	}
}

func TestFollowEndsWithItsContext(t *testing.T) {
	t.Parallel()
	l, _ := online(t)
	submit(t, l, "run", submitted(t))
	ctx, cancel := context.WithCancel(t.Context())
	err := l.Follow(ctx, "run", func(*steps.State, steps.Record, []int) bool { cancel(); return true })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want that it was cancelled", err)
	}
}

func TestFollowTellsOfAFreeze(t *testing.T) {
	t.Parallel()
	l, b := online(t)
	submit(t, l, "run", submitted(t))
	p := wire.Partition("run", b.Partitions())
	garbage := bus.Message{Subject: b.Names().Log(p, "run", wire.KindOutcome), Header: map[string][]string{}, Data: []byte("{")}
	err := l.Follow(t.Context(), "run", func(*steps.State, steps.Record, []int) bool {
		if _, err := b.PublishWait(t.Context(), b.Names().RunsStream(p), garbage); err != nil {
			t.Error(err)
		}
		return true
	})
	if !errors.Is(err, ErrFrozen) {
		t.Errorf("%v, want ErrFrozen", err)
	}
	s, err := l.Load(t.Context(), "run")
	if !errors.Is(err, ErrFrozen) || s == nil {
		t.Errorf("load: %v, %v; want the state before the entry, and ErrFrozen", s, err)
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	l, _ := online(t)
	for _, run := range []string{"aa-111222", "bb-333222", "222", "cc-444555"} {
		submit(t, l, run, submitted(t))
	}
	for suffix, want := range map[string]string{"cc-444555": "cc-444555", "555": "cc-444555", "222": "222", "3222": "bb-333222"} {
		if got, err := l.Find(t.Context(), suffix); err != nil || got != want {
			t.Errorf("Find(%q) = %q, %v; want %q", suffix, got, err, want)
		}
	}
	if _, err := l.Find(t.Context(), "22"); !errors.Is(err, ErrAmbiguous) || !strings.Contains(err.Error(), "22") {
		t.Errorf("ambiguous: %v", err)
	}
	if _, err := l.Find(t.Context(), "xyz"); !errors.Is(err, ErrNoRun) {
		t.Errorf("none: %v", err)
	}
	for _, bad := range []string{"", "*", ">", "a.b"} {
		if _, err := l.Find(t.Context(), bad); !errors.Is(err, ErrBadID) {
			t.Errorf("Find(%q): %v", bad, err)
		}
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	l, b := online(t)
	labelled := submitted(t)
	labelled.Labels = map[string]string{"team": "payments"}
	other := submitted(t)
	other.Document = document(t, "other")
	submit(t, l, "open", submitted(t))
	submit(t, l, "labelled", labelled)
	submit(t, l, "done", other)
	appendAll(t, l, "done", succeeded("a"), succeeded("b"), steps.Closed{State: steps.RunSucceeded})
	submit(t, l, "stopped", submitted(t))
	if _, err := l.Cancel(t.Context(), "stopped", steps.Cancelled{By: "mia", Reason: ""}); err != nil {
		t.Fatal(err)
	}
	appendAll(t, l, "stopped", steps.Withdrawn{Attempt: steps.Attempt{Step: "a", Try: 1}}, steps.Closed{State: steps.RunCancelled})
	submit(t, l, "stopping", submitted(t))
	if _, err := l.Cancel(t.Context(), "stopping", steps.Cancelled{By: "mia"}); err != nil {
		t.Fatal(err)
	}
	if s, err := l.summary(t.Context(), Ref{ID: "stopping", Open: true}, &Filter{}); err != nil || s.State != steps.RunRunning || s.Ending != steps.RunCancelled {
		t.Errorf("a run whose attempts may still begin is %s, ending %q, %v", s.State, s.Ending, err)
	}
	appendAll(t, l, "stopping", steps.Withdrawn{Attempt: steps.Attempt{Step: "a", Try: 1}}, steps.Closed{State: steps.RunCancelled})
	submit(t, l, "stuck", submitted(t))
	p := wire.Partition("stuck", b.Partitions())
	if _, err := b.PublishWait(t.Context(), b.Names().RunsStream(p), bus.Message{Subject: b.Names().Log(p, "stuck", "outcome"), Header: map[string][]string{}, Data: []byte("{")}); err != nil {
		t.Fatal(err)
	}
	done, err := l.Load(t.Context(), "done")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		f    Filter
		want string
	}{
		"all, newest first": {Filter{}, "stuck waiting, stopping cancelled, stopped cancelled, done succeeded, labelled running, open running"},
		"limit":             {Filter{Limit: 3}, "stuck waiting, stopping cancelled, stopped cancelled"},
		"state":             {Filter{State: steps.RunSucceeded}, "done succeeded"},
		"running":           {Filter{State: steps.RunRunning}, "labelled running, open running"},
		"workflow":          {Filter{Workflow: "other"}, "done succeeded"},
		"labels":            {Filter{Labels: map[string]string{"team": "payments"}}, "labelled running"},
		"other labels":      {Filter{Labels: map[string]string{"team": "x"}}, ""},
		"since":             {Filter{Since: done.Submitted}, "stuck waiting, stopping cancelled, stopped cancelled, done succeeded"},
	} {
		t.Run(name, func(t *testing.T) {
			page, err := l.List(t.Context(), c.f)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, s := range page.Items {
				got = append(got, s.ID+" "+string(s.State))
				if s.State.Ended() != (s.Ended != nil) {
					t.Errorf("%s is %s and ended %v", s.ID, s.State, s.Ended)
				}
				if s.Labels == nil || s.Workflow == "" || s.Started.IsZero() {
					t.Errorf("incomplete: %+v", s)
				}
			}
			if strings.Join(got, ", ") != c.want {
				t.Errorf("got  %s\nwant %s", strings.Join(got, ", "), c.want)
			}
		})
	}
}

func TestListOfNothing(t *testing.T) {
	t.Parallel()
	l, _ := online(t)
	if page, err := l.List(t.Context(), Filter{}); err != nil || len(page.Items) != 0 || page.Next != "" {
		t.Errorf("%v, %v", page, err)
	}
}

func BenchmarkListEnded(b *testing.B) {
	l, _ := online(b)
	const runs = 500
	for i := range runs {
		run := fmt.Sprintf("run-%d", i)
		submit(b, l, run, submitted(b))
		appendAll(b, l, run, steps.Closed{State: steps.RunSucceeded})
	}
	for b.Loop() {
		if page, err := l.List(b.Context(), Filter{}); err != nil || len(page.Items) != runs {
			b.Fatal(len(page.Items), err)
		}
	}
	b.ReportMetric(float64(runs*b.N)/b.Elapsed().Seconds(), "runs/s")
}

func TestSubmitSaysTheEpoch(t *testing.T) {
	t.Parallel()
	l, _ := online(t)
	submit(t, l, "r", submitted(t))
	stored, err := l.submitted(t.Context(), "r")
	if err != nil || stored.Epoch != steps.Epoch {
		t.Errorf("stored %+v, %v; want epoch %d", stored, err, steps.Epoch)
	}
}
