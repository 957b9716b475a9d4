package runindex

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"belay/internal/runlog"
	"belay/internal/steps"
)

var searched = flag.Int("runindex.runs", 2000, "how many runs TestASearchReadsNoMoreThanItMust keeps")

// met is a run with what it has met and when it ended, as it was written.
type met struct {
	id, tool string
	faults   []steps.Fault
	ended    time.Time
}

// failing is a definition whose only step has one tool; then is what follows if it fails.
func failing(t testing.TB, tool string, then steps.OnFailure) json.RawMessage {
	t.Helper()
	raw, err := json.Marshal(steps.Definition{
		Plan:  steps.Plan{Name: "w", Steps: []steps.Step{{ID: "a", Tool: tool, OnFailure: then}}},
		Tools: map[string]steps.Tool{tool: {Name: tool, Effects: steps.EffectsIdempotent, Rungs: []steps.Rung{{Name: "primary", Executor: "go", Retry: steps.RetryPolicy{MaxAttempts: 1, Factor: 2}}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// meet submits a run that meets a fault, or none, and ends unless it is to stay open. The end of every third one says nothing
// of faults, as it was before ends did.
func (w *world) meet(i int, open bool) met {
	w.t.Helper()
	r := met{id: fmt.Sprintf("run-%d", i), tool: fmt.Sprint("tool", i%3)}
	then := steps.OnFailureFail
	if open {
		then = steps.OnFailureEscalate
	}
	if _, err := w.log.Submit(w.t.Context(), r.id, steps.Submitted{Document: failing(w.t, r.tool, then), Input: json.RawMessage(fmt.Sprintf(`{"order":{"id":%d},"api_key":"k%d"}`, i, i))}); err != nil {
		w.t.Fatal(err)
	}
	first := steps.Attempt{Step: "a", Try: 1}
	kinds := []*steps.Fault{nil, {Class: steps.Timeout, Message: "no answer of Card " + r.id}, {Class: steps.Unavailable, Reason: steps.Overloaded, Message: "busy", Detail: "card expired"}}
	var event steps.Event = steps.Succeeded{Attempt: first, Output: json.RawMessage("1")}
	if f := kinds[i%len(kinds)]; f != nil {
		r.faults, event = append(r.faults, *f), steps.Failed{Attempt: first, Fault: *f}
	} else if open {
		return r
	}
	if _, err := w.log.Append(w.t.Context(), r.id, event); err != nil {
		w.t.Fatal(err)
	}
	if open {
		return r
	}
	s, err := w.log.Load(w.t.Context(), r.id)
	if err != nil {
		w.t.Fatal(err)
	}
	m, stream, err := w.log.End(r.id, steps.Closed{State: s.Status()}, runlog.FaultsMet(s))
	if i%9 < 3 {
		m.Header = nil
	}
	if err == nil {
		_, err = w.bus.PublishWait(w.t.Context(), stream, m)
	}
	if err == nil {
		s, err = w.log.Load(w.t.Context(), r.id)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	r.ended = s.Ended
	return r
}

func (r met) fits(f runlog.Filter) bool {
	if f.Tool != "" && f.Tool != r.tool || !f.EndedSince.IsZero() && (r.ended.IsZero() || r.ended.Before(f.EndedSince)) || !f.EndedUntil.IsZero() && (r.ended.IsZero() || !r.ended.Before(f.EndedUntil)) {
		return false
	}
	return f.Class == "" && f.Reason == "" && f.Text == "" || slices.ContainsFunc(r.faults, func(x steps.Fault) bool {
		return (f.Class == "" || f.Class == x.Class) && (f.Reason == "" || f.Reason == x.Reason) && strings.Contains(strings.ToLower(x.Message+"\n"+x.Detail), strings.ToLower(f.Text))
	})
}

// TestSearch: whatever is searched for, an index, one of another process, one that was opened again and a look at the logs find
// the same.
func TestSearch(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	dir := t.TempDir()
	x := w.open(dir)
	ready := make(chan struct{})
	go func() { _ = x.Serve(t.Context(), func() { close(ready) }) }()
	<-ready
	var all []met
	for i := range 45 {
		all = append(all, w.meet(i, i%5 == 4))
	}
	var filters []runlog.Filter
	times := 60
	if testing.Short() {
		times = 15
	}
	for range times {
		f := runlog.Filter{Limit: 1 + rand.N(60)}
		f.Class = []steps.Class{"", "", steps.Timeout, steps.Unavailable, steps.ToolError}[rand.N(5)]
		f.Reason = []steps.Reason{"", "", "", steps.Overloaded, steps.Refusal}[rand.N(5)]
		f.Text = []string{"", "", "CARD", "card expired", "no such text"}[rand.N(5)]
		f.Tool = []string{"", "", "tool1", "tool9"}[rand.N(4)]
		if at := all[rand.N(len(all))].ended; rand.N(2) == 0 {
			f.EndedSince = at
		}
		if at := all[rand.N(len(all))].ended; rand.N(3) == 0 {
			f.EndedUntil = at
		}
		filters = append(filters, f)
	}
	check := func(name string, p runlog.Picker) {
		w.log.Picker = p
		for _, f := range filters {
			var want []string
			for _, r := range slices.Backward(all) {
				if r.fits(f) {
					want = append(want, r.id)
				}
			}
			if got := w.listed(f); !slices.Equal(got, want) {
				t.Fatalf("%s: %s\ngot  %v\nwant %v", name, f.Query(), got, want)
			}
		}
	}
	check("index", x)
	check("remote", Remote{w.bus})
	check("tail", runlog.Tail{Bus: w.bus})
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	again := w.open(dir)
	if n, err := again.Catch(t.Context()); n != 0 || err != nil {
		t.Errorf("it read %d messages anew, %v", n, err)
	}
	check("opened again", again)
}

// TestSecretsAreNotSearched: nobody finds a run by guessing what its input keeps secret.
func TestSecretsAreNotSearched(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.meet(7, false)
	for name, p := range map[string]runlog.Picker{"index": w.open(""), "tail": runlog.Tail{Bus: w.bus}} {
		w.log.Picker = p
		for path, found := range map[string]int{"order.id=7": 1, "api_key=k7": 0} {
			k, v, _ := strings.Cut(path, "=")
			if got := w.listed(runlog.Filter{Limit: 5, Input: map[string]string{k: v}}); len(got) != found {
				t.Errorf("%s: %s finds %v", name, path, got)
			}
		}
	}
}

// TestASearchReadsNoMoreThanItMust: of many runs a page looks at those that it shows, whatever is searched for, but for the text of
// a fault, for which it reads the logs of runs that have met one, says how many, and goes on where it stopped.
func TestASearchReadsNoMoreThanItMust(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	began := time.Now()
	w.fillMet(*searched)
	x := w.open(t.TempDir())
	t.Logf("%d runs were written in %s", *searched, time.Since(began).Round(time.Millisecond))
	began = time.Now()
	if _, err := x.Catch(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Logf("the index was made in %s", time.Since(began).Round(time.Millisecond))
	w.log.Picker = x
	for _, c := range []struct {
		query string
		found int
		read  int
	}{
		{"input:n=17", 1, 0},
		{"input:n=18 fault:timeout", 0, 0},
		{"fault:timeout", 50, 0},
		{"fault:timeout tool:tool1", 0, 0},
		{"fault:timeout tool:tool0 since:1h", 50, 0},
		{"reason:overloaded ended-since:1h", 0, 0},
		{"ended-until:1h", 0, 0},
		{"text:nothing", 0, min(*searched/100, 1000)},
	} {
		f, err := runlog.ParseQuery(c.query, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		f.Limit = 50
		began := time.Now()
		page, err := w.log.List(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%-40s %3d of %d found in %s, %d logs read", c.query, len(page.Items), page.Total, time.Since(began).Round(10*time.Microsecond), page.Read)
		if want := min(c.found, *searched/100); len(page.Items) != want || page.Read != c.read {
			t.Errorf("%s: %d found and %d logs read, want %d and %d", c.query, len(page.Items), page.Read, want, c.read)
		}
	}
}

// fillMet submits n runs that have ended, every hundredth after a timeout.
func (w *world) fillMet(n int) {
	w.t.Helper()
	document := failing(w.t, "tool0", steps.OnFailureFail)
	for from := 0; from < n; from += 500 {
		var some []runlog.Submission
		for i := from; i < min(n, from+500); i++ {
			some = append(some, runlog.Submission{Run: fmt.Sprint("r", i), Submitted: steps.Submitted{Document: document, Input: json.RawMessage(fmt.Sprintf(`{"n":%d}`, i))}})
		}
		for _, s := range w.log.SubmitMany(w.t.Context(), some) {
			if s.Err != nil {
				w.t.Fatal(s.Err)
			}
		}
		stored := make(chan error, len(some))
		for i, s := range some {
			var faults []string
			if (from+i)%100 == 17 {
				faults = []string{string(steps.Timeout)}
			}
			m, stream, err := w.log.End(s.Run, steps.Closed{State: steps.RunFailed}, faults)
			if err != nil {
				w.t.Fatal(err)
			}
			w.bus.Publish(stream, m, func(_ uint64, err error) { stored <- err })
		}
		for range some {
			if err := <-stored; err != nil {
				w.t.Fatal(err)
			}
		}
	}
}
