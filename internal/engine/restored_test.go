package engine

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"belay/internal/bus/embedded"
	"belay/internal/dispatch"
	"belay/internal/people"
	"belay/internal/plan"
	"belay/internal/runlog"
	"belay/internal/steps"
	"belay/internal/steps/view"
	"belay/internal/tally"
	"belay/internal/worker"
)

const restoredTools = `
tools:
  pay: {effects: unsafe, rungs: [{name: primary, http: {method: POST, url: "URL/pay"}}]}
  look: {effects: none, rungs: [{name: primary, http: {url: "URL/look"}}]}
`

// shop counts payments, and how often something was looked up.
type shop struct{ paid, looked atomic.Int64 }

func (b *shop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/pay" {
		b.paid.Add(1)
	} else {
		b.looked.Add(1)
	}
	_, _ = w.Write([]byte(`{}`))
}

// restored is a state directory that engines are started on, one after the other.
type restored struct {
	dir   string
	tools *plan.Tools
	shop  *shop
}

func (r *restored) start(t *testing.T, works bool) *Engine {
	t.Helper()
	o := Options{
		Embedded: &embedded.Options{StoreDir: filepath.Join(r.dir, "store"), Durability: embedded.Interval}, Dispatch: &dispatch.Options{Name: "d1"},
		People: &PeopleOptions{Keys: filepath.Join(r.dir, "keys"), Tally: filepath.Join(r.dir, "tally")},
	}
	if works {
		o.Worker = &WorkerOptions{Options: worker.Options{Name: "w1"}, Tools: r.tools}
	}
	e, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Stop)
	return e
}

// ended waits until runs have ended.
func ended(t *testing.T, e *Engine, ids ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for _, id := range ids {
		if err := e.Runs.Follow(ctx, id, func(s *steps.State, _ steps.Record, _ []int) bool { return !s.Status().Ended() }); err != nil {
			t.Fatalf("%s: %v", id, err)
		}
	}
}

// restore makes runs, copies the store, lets all of them end, and puts the copy into its place; it returns the ids.
func restore(t *testing.T, runs int) (r *restored, pays, looks []string) {
	t.Helper()
	r = &restored{dir: t.TempDir(), shop: &shop{}}
	srv := httptest.NewServer(r.shop)
	t.Cleanup(srv.Close)
	var err error
	if r.tools, err = plan.ParseTools("tools.yaml", []byte(strings.ReplaceAll(restoredTools, "URL", srv.URL))); err != nil {
		t.Fatal(err)
	}
	e := r.start(t, false)
	for n := range runs {
		pays, looks = append(pays, fmt.Sprint("pay-", n)), append(looks, fmt.Sprint("look-", n))
		submitTo(t, e, r.tools, pays[n], "pay")
		submitTo(t, e, r.tools, looks[n], "look")
	}
	e.Stop()
	old := filepath.Join(t.TempDir(), "old")
	if err := os.CopyFS(old, os.DirFS(filepath.Join(r.dir, "store"))); err != nil {
		t.Fatal(err)
	}
	e = r.start(t, true)
	ended(t, e, append(pays, looks...)...)
	e.Stop()
	if got := r.shop.paid.Load(); got != int64(runs) || r.shop.looked.Load() != int64(runs) {
		t.Fatalf("%d payments, %d looks", got, r.shop.looked.Load())
	}
	if err := os.RemoveAll(filepath.Join(r.dir, "store")); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(r.dir, "store"), os.DirFS(old)); err != nil {
		t.Fatal(err)
	}
	return r, pays, looks
}

// whatFor is what a run waits for.
func whatFor(t *testing.T, e *Engine, id string) view.Wait {
	t.Helper()
	s, err := e.Runs.Load(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	doubt, err := tally.InDoubt(e.Bus)(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	all := view.WhyOf(s, view.Foresight{Doubt: doubt}).Waits
	if len(all) != 1 {
		t.Fatalf("%s waits for %+v", id, all)
	}
	return all[0]
}

// asked waits until a run is there and asks people, and returns the last question.
func asked(t *testing.T, e *Engine, id string) (q *steps.Escalation) {
	t.Helper()
	within(t, 60*time.Second, func() bool {
		s, err := e.Runs.Load(t.Context(), id)
		if errors.Is(err, runlog.ErrNoRun) { // not yet
			return false
		}
		if err != nil {
			t.Fatal(err)
		}
		for n := range s.Escalations {
			if s.Escalations[n].State == steps.EscalationOpen {
				q = &s.Escalations[n]
			}
		}
		return q != nil
	}, func() string { return id + " asks nobody" })
	return q
}

// TestAnOldCopyOfTheStore: payments that were made after the copy are not made once more by themselves, neither before somebody
// says that work may go on nor after that; calls that do no harm, and new runs, go on.
func TestAnOldCopyOfTheStore(t *testing.T) {
	t.Parallel()
	const runs = 30
	r, pays, looks := restore(t, runs)
	e := r.start(t, true)
	ended(t, e, looks...)
	within(t, time.Minute, func() bool {
		return e.Ready() != nil && strings.Contains(e.Ready().Error(), "lost: the log ended before")
	}, func() string { return fmt.Sprint("ready: ", e.Ready()) })
	if got := r.shop.paid.Load(); got != runs {
		t.Errorf("%d payments before anybody has said that work may go on, not %d", got, runs)
	}
	submitTo(t, e, r.tools, "new", "pay") // it was not there then
	ended(t, e, "new")
	if w := whatFor(t, e, pays[0]); w.For != view.ForLog || !strings.Contains(w.Text, "store accept") || !strings.Contains(w.Text, "lost: the log ended before") {
		t.Errorf("%s waits for %s: %s", pays[0], w.For, w.Text)
	}
	if _, err := e.AcceptDamage(t.Context(), people.Actor{Name: "bo", Role: people.Approver}, tally.Verdict{Reason: "why not"}); err == nil {
		t.Error("an approver has accepted it")
	}
	accepted, err := e.AcceptDamage(t.Context(), people.Trusted("mia", "cli"), tally.Verdict{Reason: "yesterday's copy"})
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}
	for _, d := range accepted {
		for _, run := range d.Runs {
			named[run] = true
		}
	}
	if len(named) != 2*runs {
		t.Errorf("%d runs are named, not %d: %v", len(named), 2*runs, accepted)
	}
	for _, id := range pays {
		if q := asked(t, e, id); q.Kind != steps.KindUnknown || !strings.Contains(q.Fault.Message, "mia said that work may go on: yesterday's copy") {
			t.Errorf("%s: %s, %s", id, q.Kind, q.Fault.Message)
		}
		if w := whatFor(t, e, id); w.For == view.ForLog {
			t.Errorf("accepted, and %s waits for that still: %s", id, w.Text)
		}
	}
	if err := e.Ready(); err != nil || r.shop.paid.Load() != runs+1 {
		t.Errorf("%v, %d payments, not %d", err, r.shop.paid.Load(), runs+1)
	}
	for n, id := range pays {
		act := people.Act{Verb: people.Answer, Answer: []byte(`{}`)}
		if n == 0 {
			act = people.Act{Verb: people.Retry} // that one the bank knows nothing of
		}
		if _, err := e.Desk.Act(t.Context(), people.Trusted("mia", "cli"), asked(t, e, id).ID, act); err != nil {
			t.Fatal(err)
		}
	}
	ended(t, e, pays...)
	if got := r.shop.paid.Load(); got != runs+2 {
		t.Errorf("%d payments, not %d", got, runs+2)
	}
}

// TestAnOldCopyOfWhichSomeIsKnown: whoever knows of some runs that they have not paid lets these go on, and of the rest later.
func TestAnOldCopyOfWhichSomeIsKnown(t *testing.T) {
	t.Parallel()
	const runs = 4
	r, pays, looks := restore(t, runs)
	e := r.start(t, true)
	ended(t, e, looks...)
	within(t, time.Minute, func() bool { return len(e.Tally.Found()) > 0 }, func() string { return "nothing was found" })
	if _, err := e.AcceptDamage(t.Context(), people.Trusted("mia", "cli"), tally.Verdict{Reason: "not paid", Calls: tally.CallsRun, Runs: pays[:1]}); err != nil {
		t.Fatal(err)
	}
	ended(t, e, pays[0])
	if e.Ready() == nil || r.shop.paid.Load() != runs+1 {
		t.Errorf("ready: %v, %d payments", e.Ready(), r.shop.paid.Load())
	}
	if _, err := e.AcceptDamage(t.Context(), people.Trusted("mia", "cli"), tally.Verdict{Reason: "ask", Runs: pays[1:2]}); err != nil {
		t.Fatal(err)
	}
	asked(t, e, pays[1])
	if _, err := e.AcceptDamage(t.Context(), people.Trusted("mia", "cli"), tally.Verdict{Reason: "none of the others", Calls: tally.CallsRun}); err != nil {
		t.Fatal(err)
	}
	ended(t, e, pays[2:]...)
	if err := e.Ready(); err != nil || r.shop.paid.Load() != 2*runs-1 {
		t.Errorf("ready: %v, %d payments", err, r.shop.paid.Load())
	}
}

func submitTo(t *testing.T, e *Engine, tools *plan.Tools, id, tool string) {
	t.Helper()
	doc, err := plan.ParsePlan("plan.yaml", []byte("name: p\nsteps: [{id: s, tool: "+tool+"}]\n"), tools)
	if err == nil {
		_, err = e.Runs.Submit(t.Context(), id, steps.Submitted{Document: doc.JSON, Input: []byte(`{}`)})
	}
	if err != nil {
		t.Fatal(err)
	}
}

var _ dispatch.Guard = (*tally.Keeper)(nil)
