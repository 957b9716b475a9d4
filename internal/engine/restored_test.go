package engine

import (
	"context"
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
	"belay/internal/steps"
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
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for _, id := range ids {
		if err := e.Runs.Follow(ctx, id, func(s *steps.State, _ steps.Record, _ []int) bool { return !s.Status().Ended() }); err != nil {
			t.Fatalf("%s: %v", id, err)
		}
	}
}

// TestAnOldCopyOfTheStore: payments that were made after the copy are not made once more before somebody says so; calls that do no
// harm go on.
func TestAnOldCopyOfTheStore(t *testing.T) {
	t.Parallel()
	const runs = 30
	r := &restored{dir: t.TempDir(), shop: &shop{}}
	srv := httptest.NewServer(r.shop)
	t.Cleanup(srv.Close)
	var err error
	if r.tools, err = plan.ParseTools("tools.yaml", []byte(strings.ReplaceAll(restoredTools, "URL", srv.URL))); err != nil {
		t.Fatal(err)
	}
	var pays, looks []string
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
	if got := r.shop.paid.Load(); got != runs || r.shop.looked.Load() != runs {
		t.Fatalf("%d payments, %d looks", got, r.shop.looked.Load())
	}

	if err := os.RemoveAll(filepath.Join(r.dir, "store")); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(r.dir, "store"), os.DirFS(old)); err != nil {
		t.Fatal(err)
	}
	e = r.start(t, true)
	ended(t, e, looks...)
	if got := r.shop.paid.Load(); got != runs {
		t.Errorf("%d payments before anybody has said that work may go on, not %d", got, runs)
	}
	if err := e.Ready(); err == nil || !strings.Contains(err.Error(), "lost: the log ends before") {
		t.Errorf("ready: %v", err)
	}
	if _, err := e.AcceptDamage(t.Context(), people.Actor{Name: "bo", Role: people.Approver}, "why not"); err == nil {
		t.Error("an approver has accepted it")
	}
	accepted, err := e.AcceptDamage(t.Context(), people.Trusted("mia", "cli"), "the bank knows of no payment")
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
	ended(t, e, pays...)
	if err := e.Ready(); err != nil || r.shop.paid.Load() != 2*runs {
		t.Errorf("%v, %d payments", err, r.shop.paid.Load())
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
