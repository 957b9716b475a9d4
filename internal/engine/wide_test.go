//go:build unix

package engine

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"belay/internal/plan"
	"belay/internal/steps"
)

// outage is a service that is down for a while, with the runs that need it.
type outage struct {
	*rig
	up     atomic.Bool
	calls  atomic.Int64
	before atomic.Int64 // CPU time when the service was called first
	once   sync.Once
}

const (
	downFor   = 5 * time.Second  // longer than what waits in hand
	patience  = 45 * time.Second // after the service is back; a wait is at most three seconds, and longer than what is waited for in hand
	wideItems = 400
)

func startOutage(t *testing.T) *outage {
	t.Helper()
	o := &outage{}
	big := `{"x":"` + strings.Repeat("a", 250<<10) + `"}`
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/big" {
			fmt.Fprint(w, big)
			return
		}
		o.once.Do(func() { o.before.Store(int64(cpuTime())) })
		o.calls.Add(1)
		if !o.up.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		fmt.Fprint(w, `{}`)
	}))
	t.Cleanup(srv.Close)
	o.rig = startRig(t, strings.ReplaceAll(`tools:
  call: {effects: idempotent, rungs: [{http: {method: POST, url: "URL/a"}, retry: {max_attempts: 100, initial: 2s, max: 3s}}]}
  read: {effects: none, rungs: [{http: {url: "URL/big"}}]}
`, "URL", srv.URL))
	return o
}

// play submits runs of so many items each, lets the service come back, and waits for all of them. It returns the CPU time
// of the whole from the first call on.
func (o *outage) play(t *testing.T, runs, items, large int) time.Duration {
	t.Helper()
	doc, err := plan.ParsePlan("plan.yaml", []byte(fmt.Sprintf(`
name: wide
input: {all: [], large: []}
steps:
  - {id: large, tool: read, for_each: "${ input.large }"}
  - {id: a, tool: call, for_each: "${ input.all }", max_parallel: %d}
`, items)), o.tools)
	if err != nil {
		t.Fatal(err)
	}
	list := func(n int) json.RawMessage {
		return json.RawMessage("[" + strings.TrimSuffix(strings.Repeat("1,", n), ",") + "]")
	}
	input, err := doc.CheckInput(map[string]json.RawMessage{"all": list(items), "large": list(large)})
	if err != nil {
		t.Fatal(err)
	}
	for n := range runs {
		if _, err := o.Runs.Submit(t.Context(), fmt.Sprintf("r%d", n), steps.Submitted{Document: doc.JSON, Input: input}); err != nil {
			t.Fatal(err)
		}
	}
	back := time.AfterFunc(downFor, func() { o.up.Store(true) })
	defer back.Stop()
	began := time.Now()
	for n := range runs {
		o.await(t, fmt.Sprintf("r%d", n))
	}
	if late := time.Since(began) - downFor; late > patience {
		t.Errorf("%d runs of %d items: all were through %s after the service was back", runs, items, late)
	}
	return cpuTime() - time.Duration(o.before.Load())
}

func (o *outage) await(t *testing.T, run string) {
	t.Helper()
	err := o.Runs.Follow(t.Context(), run, func(s *steps.State, _ steps.Record, _ []int) bool { return !s.Status().Ended() })
	if err != nil {
		t.Fatal(err)
	}
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestAWideRunCostsWhatNarrowOnesDo: items of one run that retry while a service is down cost about as much as those of
// many runs, also where the run has 10 MB of outputs in its log. It would be a hundred times as much if each of them read
// the log of its run.
func TestAWideRunCostsWhatNarrowOnesDo(t *testing.T) {
	if testing.Short() {
		t.Skip("measures")
	}
	each := func(runs, large int) time.Duration {
		o := startOutage(t)
		cpu := o.play(t, runs, wideItems/runs, large)
		defer o.Stop()
		t.Logf("%d runs of %d items, %d kB of outputs before: %s CPU, %d calls", runs, wideItems/runs, 250*large, cpu, o.calls.Load())
		return cpu / time.Duration(o.calls.Load())
	}
	narrow := each(20, 0)
	for name, wide := range map[string]time.Duration{"wide": each(1, 0), "wide with large outputs": each(1, 40)} {
		if wide > 5*narrow { // it is the same where nothing else is at work
			t.Errorf("%s: a call costs %s of CPU, %s in narrow runs", name, wide, narrow)
		}
	}
}
