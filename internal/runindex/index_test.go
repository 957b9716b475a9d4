package runindex

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"belay/internal/bus"
	"belay/internal/bus/bustest"
	"belay/internal/plan"
	"belay/internal/runlog"
	"belay/internal/steps"
	"belay/internal/wire"
)

// world is a store with runs, and what is known of them.
type world struct {
	t    testing.TB
	bus  *bus.Bus
	log  *runlog.Log
	runs []known // in the order of submission
}

type known struct {
	runlog.Summary
	input map[string]string
	owner string
}

func newWorld(t testing.TB, partitions int) *world {
	t.Helper()
	b := bustest.Start(t, partitions)
	return &world{t: t, bus: b, log: runlog.New(b, plan.NewCache(8))}
}

func (w *world) open(dir string) *Index {
	w.t.Helper()
	x, err := Open(w.t.Context(), w.bus, dir, slog.New(slog.DiscardHandler))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = x.Close() })
	return x
}

func document(t testing.TB, name string) json.RawMessage {
	t.Helper()
	raw, err := json.Marshal(steps.Definition{
		Plan:  steps.Plan{Name: name, Steps: []steps.Step{{ID: "a", Tool: "t", OnFailure: steps.OnFailureEscalate}}},
		Tools: map[string]steps.Tool{"t": {Name: "t", Effects: steps.EffectsIdempotent, Rungs: []steps.Rung{{Name: "primary", Executor: "go", Retry: steps.RetryPolicy{MaxAttempts: 1, Factor: 2}}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func (w *world) submit(id, workflow string, labels, input map[string]string) {
	w.t.Helper()
	body, err := json.Marshal(input)
	if err != nil {
		w.t.Fatal(err)
	}
	if input == nil {
		body = []byte("{}")
	}
	s := steps.Submitted{Document: document(w.t, workflow), Input: body, Labels: labels, By: fmt.Sprint("p", len(w.runs)%2)}
	owner := ""
	if len(w.runs)%4 < 2 { // a name alone owns nothing
		owner, s.Token = s.By, "t1"
	}
	if _, err := w.log.Submit(w.t.Context(), id, s); err != nil {
		w.t.Fatal(err)
	}
	w.runs = append(w.runs, known{runlog.Summary{ID: id, Workflow: workflow, State: steps.RunRunning, Labels: labels}, input, owner})
}

func (w *world) end(i int, s steps.RunState) {
	w.t.Helper()
	r := &w.runs[i]
	for _, e := range []steps.Event{steps.Succeeded{Attempt: steps.Attempt{Step: "a", Try: 1}, Output: json.RawMessage("1")}, steps.Closed{State: s}} {
		if _, err := w.log.Append(w.t.Context(), r.ID, e); err != nil {
			w.t.Fatal(err)
		}
	}
	r.State = s
}

// want are the ids that a filter should give, the newest first.
func (w *world) want(f runlog.Filter) []string {
	var ids []string
	for _, r := range slices.Backward(w.runs) {
		fits := f.State == "" || f.State == r.State
		fits = fits && (f.Owner == "" || f.Owner == r.owner)
		fits = fits && (f.Workflow == "" || f.Workflow == r.Workflow)
		for k, v := range f.Labels {
			fits = fits && r.Labels[k] == v
		}
		for k, v := range f.Input {
			fits = fits && r.input[k] == v
		}
		if fits && r.ID != "" {
			ids = append(ids, r.ID)
		}
	}
	return ids
}

// listed are the ids that all pages give together.
func (w *world) listed(f runlog.Filter) []string {
	w.t.Helper()
	var ids []string
	for {
		page, err := w.log.List(w.t.Context(), f)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, s := range page.Items {
			ids = append(ids, s.ID)
		}
		if page.Short != "" {
			w.t.Fatal(page.Short)
		}
		if f.After = page.Next; f.After == "" {
			return ids
		}
		if len(page.Items) != f.Limit {
			w.t.Fatalf("a page of %d with a limit of %d is not the last one", len(page.Items), f.Limit)
		}
	}
}

func (w *world) check(f runlog.Filter) {
	w.t.Helper()
	if got, want := w.listed(f), w.want(f); !slices.Equal(got, want) {
		w.t.Fatalf("%+v\ngot  %v\nwant %v", f, got, want)
	}
}

func random(n int) runlog.Filter {
	f := runlog.Filter{Limit: 1 + rand.N(7)}
	if rand.N(3) == 0 {
		f.State = append(slices.Clone(ends), steps.RunRunning)[rand.N(len(ends)+1)]
	}
	if rand.N(3) == 0 {
		f.Workflow = fmt.Sprint("w", rand.N(4)) // w3 is never there
	}
	if rand.N(3) == 0 {
		f.Labels = map[string]string{"team": fmt.Sprint(rand.N(3))}
	}
	if rand.N(3) == 0 {
		f.Input = map[string]string{"order": fmt.Sprint("A-", rand.N(n))}
	}
	if rand.N(3) == 0 {
		f.Owner = fmt.Sprint("p", rand.N(3))
	}
	return f
}

// TestPages: whatever is asked for, all pages together are what is there, in every way of asking.
func TestPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 3)
	x := w.open("")
	ready := make(chan struct{})
	go func() { _ = x.Serve(t.Context(), func() { close(ready) }) }()
	<-ready
	const n = 60
	for i := range n {
		w.submit(fmt.Sprintf("run-%d", i), fmt.Sprint("w", i%3), map[string]string{"team": fmt.Sprint(i % 2)}, map[string]string{"order": fmt.Sprint("A-", i%20)})
		if back := rand.N(len(w.runs)); w.runs[back].State == steps.RunRunning { // not in the order of their submission
			w.end(back, ends[i%len(ends)])
		}
	}
	for name, p := range map[string]runlog.Picker{"index": x, "remote": Remote{w.bus}, "tail": runlog.Tail{Bus: w.bus}} {
		w.log.Picker = p
		times := 50
		if testing.Short() {
			times = 12
		}
		for range times {
			f := random(20)
			t.Logf("%s %+v", name, f)
			w.check(f)
		}
	}
}

func TestAnIndexGoesOnWhereItsFileEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	dir := t.TempDir()
	x := w.open(dir)
	for i := range 30 {
		w.submit(fmt.Sprint("r", i), "w", map[string]string{"n": fmt.Sprint(i)}, nil)
		if i%2 == 0 {
			w.end(i, steps.RunSucceeded)
		}
		if i%10 == 9 { // several chunks
			if _, err := x.Catch(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.index"))
	if err != nil || len(files) != 2 {
		t.Fatal(files, err)
	}
	x = w.open(dir)
	if n, err := x.Catch(t.Context()); n != 0 || err != nil {
		t.Errorf("it read %d messages anew, %v", n, err)
	}
	w.log.Picker = x
	w.check(runlog.Filter{Limit: 4})
	w.check(runlog.Filter{Limit: 4, State: steps.RunSucceeded})
	w.check(runlog.Filter{Limit: 4, Labels: map[string]string{"n": "7"}})

	// Cut off and overwritten anywhere, it is what the log says all the same.
	for range 40 {
		if err := x.Close(); err != nil {
			t.Fatal(err)
		}
		damage(t, files[rand.N(2)])
		x = w.open(dir)
		w.log.Picker = x
		w.check(runlog.Filter{Limit: 50})
		w.check(runlog.Filter{Limit: 50, State: steps.RunSucceeded})
	}
}

func damage(t *testing.T, file string) {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if len(raw) == 0 {
		return
	}
	if at := rand.N(len(raw)); rand.N(2) == 0 {
		raw = raw[:at]
	} else {
		raw[at] ^= 1 << rand.N(8)
	}
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestAFileOfAnotherLogIsNotUsed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	one := newWorld(t, 1)
	one.submit("theirs", "w", nil, nil)
	x := one.open(dir)
	if _, err := x.Catch(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	two := newWorld(t, 1)
	two.submit("ours", "w", nil, nil)
	two.log.Picker = two.open(dir)
	two.check(runlog.Filter{})
}

func TestTwoProcessesDoNotShareAFile(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.submit("r", "w", nil, nil)
	dir := t.TempDir()
	for range 2 {
		w.log.Picker = w.open(dir) // the second one keeps its index in memory
		w.check(runlog.Filter{})
	}
}

// TestRunsThatAreRemoved leave the list at once, and the index when it is told or looks.
func TestRunsThatAreRemoved(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	x := w.open(t.TempDir())
	w.log.Picker = x
	for i := range 20 {
		w.submit(fmt.Sprint("r", i), "w", nil, nil)
		if i != 3 {
			w.end(i, steps.RunSucceeded)
		}
	}
	w.check(runlog.Filter{Limit: 3})
	w.remove(0, 1, 2, 4)
	w.check(runlog.Filter{Limit: 3})
	if err := x.prune(t.Context()); err != nil {
		t.Fatal(err)
	}
	if page, err := w.log.List(t.Context(), runlog.Filter{Limit: 3}); err != nil || page.Total != 16 {
		t.Errorf("%d runs in all, %v; want 16", page.Total, err)
	}
	w.remove(10)
	x.Drop("r10")
	if page, err := w.log.List(t.Context(), runlog.Filter{Limit: 3}); err != nil || page.Total != 15 {
		t.Errorf("%d runs in all, %v; want 15", page.Total, err)
	}
	w.submit("r0", "anew", nil, nil) // the same id, once more
	w.check(runlog.Filter{Limit: 3})
	w.check(runlog.Filter{Limit: 3, Workflow: "anew"})
}

// TestOpenRuns: those that a dispatcher must look after are those that the server lists, also where an id was used again
// before the index heard that the first run of it was removed.
func TestOpenRuns(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	x := w.open("")
	same := func() {
		t.Helper()
		for p := range 2 {
			got, err := x.OpenRuns(t.Context(), p)
			if err != nil {
				t.Fatal(err)
			}
			want, err := w.bus.OpenRuns(t.Context(), p)
			slices.Sort(got)
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("open are %v, the server says %v, %v", got, want, err)
			}
		}
	}
	for i := range 20 {
		w.submit(fmt.Sprint("r", i), "w", nil, nil)
		if i%3 != 0 {
			w.end(i, steps.RunSucceeded)
		}
	}
	same()
	w.remove(1, 3, 5)
	w.submit("r1", "w", nil, nil)
	w.submit("r5", "w", nil, nil)
	w.end(21, steps.RunFailed)
	x.Drop("r3")
	same()
}

func (w *world) remove(all ...int) {
	w.t.Helper()
	for _, i := range all {
		p := wire.Partition(w.runs[i].ID, w.bus.Partitions())
		if err := w.bus.Purge(w.t.Context(), w.bus.Names().RunsStream(p), w.bus.Names().LogOf(p, w.runs[i].ID)); err != nil {
			w.t.Fatal(err)
		}
		w.runs[i].ID = ""
	}
}

// TestWhatWasSubmittedIsListed: a list that is asked for after a submission was acknowledged has it, whoever asks.
func TestWhatWasSubmittedIsListed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	x := w.open("")
	w.log.Picker = x
	var mu sync.Mutex
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 25 {
				id := fmt.Sprintf("r-%d-%d", g, i)
				s := steps.Submitted{Document: document(t, "w"), Input: json.RawMessage("{}")}
				if _, err := w.log.Submit(t.Context(), id, s); err != nil {
					t.Error(err)
				}
				page, err := w.log.List(t.Context(), runlog.Filter{Limit: 100}) // others submit meanwhile
				mu.Lock()
				if err != nil || !slices.ContainsFunc(page.Items, func(s runlog.Summary) bool { return s.ID == id }) {
					t.Errorf("%s is not among %v, %v", id, page.Items, err)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
}

// TestARunThatHasEndedBeforeItIsKnown: it was submitted and has ended after the submissions were read and before the results were.
func TestARunThatHasEndedBeforeItIsKnown(t *testing.T) {
	t.Parallel()
	w, dir := newWorld(t, 1), t.TempDir()
	x := w.open(dir)
	if _, err := x.Catch(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.submit("quick", "p", nil, nil)
	w.end(0, steps.RunSucceeded)
	part := x.parts[0]
	if _, err := x.follow(t.Context(), part, wire.KindResult, &part.at.result, x.ended); err != nil {
		t.Fatal(err)
	}
	if _, err := x.Catch(t.Context()); err != nil {
		t.Fatal(err)
	}
	if open, err := x.OpenRuns(t.Context(), 0); err != nil || len(open) > 0 || len(part.early) > 0 {
		t.Errorf("open are %v, %v, early %v", open, err, part.early)
	}
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	if open, err := w.open(dir).OpenRuns(t.Context(), 0); err != nil || len(open) > 0 {
		t.Errorf("once its file is read: %v, %v", open, err)
	}
}

func TestWaitingRuns(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.log.Picker = w.open("")
	for i := range 9 {
		w.submit(fmt.Sprint("r", i), "w", nil, nil)
	}
	for _, i := range []int{2, 5} {
		id := w.runs[i].ID
		if _, err := w.log.Append(t.Context(), id, steps.Failed{Attempt: steps.Attempt{Step: "a", Try: 1}, Fault: steps.Fault{Class: steps.Conflict}}); err != nil {
			t.Fatal(err)
		}
		s, err := w.log.Load(t.Context(), id)
		if err != nil || s.Status() != steps.RunWaiting {
			t.Fatal(s.Status(), err)
		}
		w.runs[i].State = steps.RunWaiting
		m := bus.Message{Subject: w.bus.Names().Escalation(steps.KindFailure, "t", id+"-1"), Header: map[string][]string{}, Data: []byte("{}")}
		if _, err := w.bus.PublishWait(t.Context(), w.bus.Names().EscalationsStream(), m); err != nil {
			t.Fatal(err)
		}
	}
	w.check(runlog.Filter{State: steps.RunWaiting, Limit: 1})
	w.check(runlog.Filter{State: steps.RunRunning, Limit: 2})
}

func TestAListGoesOnBehindARunThatIsThere(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.submit("r", "w", nil, nil)
	x := w.open("")
	ready := make(chan struct{})
	go func() { _ = x.Serve(t.Context(), func() { close(ready) }) }()
	<-ready
	for _, p := range []runlog.Picker{x, Remote{w.bus}, runlog.Tail{Bus: w.bus}} {
		w.log.Picker = p
		if page, err := w.log.List(t.Context(), runlog.Filter{After: "r"}); err != nil || len(page.Items) > 0 {
			t.Errorf("%T: %v, %v", p, page, err)
		}
		for _, bad := range []string{"x", "*", "a.b"} {
			_, err := w.log.List(t.Context(), runlog.Filter{After: bad})
			if want := fmt.Sprintf("list runs: no such run to go on behind: %q is not kept; begin with the newest", bad); !errors.Is(err, runlog.ErrNoPlace) || err.Error() != want {
				t.Errorf("%T after %q: %v", p, bad, err)
			}
		}
	}
}

func TestSuffixes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 3)
	x := w.open("")
	for _, id := range []string{"one-17", "two-17", "three"} {
		w.submit(id, "w", nil, nil)
	}
	for _, p := range []runlog.Picker{x, runlog.Tail{Bus: w.bus}} {
		w.log.Picker = p
		if id, err := w.log.Find(t.Context(), "ree"); id != "three" || err != nil {
			t.Errorf("%T: %q, %v", p, id, err)
		}
		if _, err := w.log.Find(t.Context(), "17"); !errors.Is(err, runlog.ErrAmbiguous) {
			t.Errorf("%T: %v", p, err)
		}
		if _, err := w.log.Find(t.Context(), "none"); !errors.Is(err, runlog.ErrNoRun) {
			t.Errorf("%T: %v", p, err)
		}
	}
}

// TestManyKept puts ended runs straight into the logs and measures lists of them. BELAY_KEPT says how many.
func TestManyKept(t *testing.T) {
	kept, _ := strconv.Atoi(os.Getenv("BELAY_KEPT"))
	if kept == 0 {
		kept = 5000
		if testing.Short() {
			t.Skip("measures") // what it counts is counted by TestPages too
		}
	}
	w := newWorld(t, 2)
	begun := time.Now()
	w.fill(kept)
	t.Logf("%d runs written in %v", kept, time.Since(begun).Round(time.Millisecond))
	dir := t.TempDir()
	x := w.open(dir)
	begun = time.Now()
	if _, err := x.Catch(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Logf("index made in %v", time.Since(begun).Round(time.Millisecond))
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	begun = time.Now()
	x = w.open(dir)
	if _, err := x.Catch(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Logf("index opened in %v", time.Since(begun).Round(time.Millisecond))
	w.log.Picker = x
	middle := fmt.Sprint("run-", kept/2)
	for name, f := range map[string]runlog.Filter{
		"newest":   {Limit: 50},
		"workflow": {Limit: 50, Workflow: "rare"},
		"label":    {Limit: 50, Labels: map[string]string{"customer": "4711"}},
		"input":    {Limit: 50, Input: map[string]string{"order": "A-99"}},
		"failed":   {Limit: 50, State: steps.RunFailed},
		"waiting":  {Limit: 50, State: steps.RunWaiting},
		"running":  {Limit: 50, State: steps.RunRunning},
	} {
		page, took := w.timed(f)
		t.Logf("%-9s %3d of %7d in %v", name, len(page.Items), page.Total, took)
		if name == "newest" {
			if page.Total != kept || len(page.Items) != 50 {
				t.Errorf("newest: %d of %d", len(page.Items), page.Total)
			}
		}
		if (name == "label" || name == "input") && len(page.Items) != 1 {
			t.Errorf("%s: %d runs, want 1", name, len(page.Items))
		}
	}
	page, took := w.timed(runlog.Filter{Limit: 50, After: middle})
	t.Logf("a page in the middle: %d in %v", len(page.Items), took)
	begun = time.Now()
	if id, err := w.log.Find(t.Context(), "n-4711"); err != nil || id != "run-4711" {
		t.Error(id, err)
	}
	t.Logf("found by its suffix in %v", time.Since(begun))
}

func (w *world) timed(f runlog.Filter) (runlog.Page, time.Duration) {
	w.t.Helper()
	begun := time.Now()
	page, err := w.log.List(w.t.Context(), f)
	if err != nil {
		w.t.Fatal(err)
	}
	return page, time.Since(begun).Round(10 * time.Microsecond)
}

// fill writes runs that have ended.
func (w *world) fill(kept int) {
	w.t.Helper()
	common, rare := document(w.t, "common"), document(w.t, "rare")
	slots := make(chan struct{}, 4096)
	put := func(run string, e steps.Event) {
		m, stream, err := w.log.Message(run, e)
		if err != nil {
			w.t.Fatal(err)
		}
		m.Expect = nil
		slots <- struct{}{}
		w.bus.Publish(stream, m, func(_ uint64, err error) {
			if err != nil {
				w.t.Error(err)
			}
			<-slots
		})
	}
	for i := range kept {
		s := steps.Submitted{Document: common, Input: json.RawMessage(fmt.Sprintf(`{"order": "A-%d"}`, i)), Labels: map[string]string{"customer": strconv.Itoa(i)}}
		if i%1000 == 7 {
			s.Document = rare
		}
		end := steps.Closed{State: steps.RunSucceeded}
		if i%100 == 9 {
			end.State = steps.RunFailed
		}
		run := fmt.Sprintf("run-%d", i)
		put(run, s)
		put(run, end)
	}
	for range cap(slots) {
		slots <- struct{}{}
	}
}

// TestALogThatLostItsEnd: a server whose disk failed comes back without the end of the log, and other runs stand there now.
func TestALogThatLostItsEnd(t *testing.T) {
	t.Parallel()
	f := bustest.StartForgetful(t, 1)
	w := &world{t: t, bus: f.Bus, log: runlog.New(f.Bus, plan.NewCache(8))}
	dir := t.TempDir()
	x := w.open(dir)
	w.log.Picker = x
	w.submit("before", "w", nil, nil)
	f.Keep()
	for i, reopen := range []bool{false, true} {
		kept := w.runs
		w.submit(fmt.Sprint("lost-", i), "w", nil, nil)
		w.submit(fmt.Sprint("lost-too-", i), "w", nil, nil)
		w.end(len(kept), steps.RunSucceeded)
		w.check(runlog.Filter{})
		if reopen {
			if err := x.Close(); err != nil {
				t.Fatal(err)
			}
		}
		f.Forget()
		w.runs = kept[:1:1]
		for n := range 4 { // beyond all sequences that were lost
			w.submit(fmt.Sprint("new-", i, "-", n), "w", nil, nil)
		}
		w.end(2, steps.RunFailed)
		if reopen {
			x = w.open(dir)
			w.log.Picker = x
		}
		w.check(runlog.Filter{})
		w.check(runlog.Filter{State: steps.RunFailed})
	}
}
