package chaos

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"belay/internal/plan"
	"belay/internal/steps"
)

var poisons = flag.Int("chaos.poisons", 1, "steps that kill their worker each time, with 40 others beside each; the figure in docs/reliability.md is of 5")

// TestAStepThatKillsItsWorker: each call ends the worker that makes it. A call that may be made again is made three times at
// most, of which it is alone the last two times, one that must not once; then a person is asked. Whatever its workers executed
// beside it is done, and has lost no try.
func TestAStepThatKillsItsWorker(t *testing.T) {
	if testing.Short() {
		t.Skip("workers that come back, for half a minute")
	}
	t.Parallel()
	w := newWorld(t)
	calls := t.TempDir()
	f := startFleet(t, build(t, ""), "", w.tools("100ms")+strings.NewReplacer("CALLS", calls, "URL", w.URL).Replace(`
  poison: {effects: idempotent, timeout: 10m, rungs: [{name: primary, command: {argv: [sh, -c, 'echo x >> CALLS/$BELAY_RUN_ID; kill -9 $PPID']}}]}
  venom: {effects: unsafe, timeout: 10m, rungs: [{name: primary, command: {argv: [sh, -c, 'echo x >> CALLS/$BELAY_RUN_ID; kill -9 $PPID']}}]}
  innocent: {effects: idempotent, timeout: 10m, rungs: [{name: primary, http: {method: POST, url: "URL/innocent"}, timeout: 10s}]}
`))
	c := f.client(w)
	tools, err := plan.LoadTools(filepath.Join(f.dir, "tools.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	submit := func(tool string, n int) (run string) {
		doc, err := plan.ParsePlan("plan.yaml", []byte("name: p\nsteps: [{id: a, tool: "+tool+"}]\n"), tools)
		if err == nil {
			run = fmt.Sprint(tool, "-", n)
			_, err = c.runs.Submit(t.Context(), run, steps.Submitted{Document: doc.JSON, Input: []byte("{}")})
		}
		if err != nil {
			t.Fatal(err)
		}
		return run
	}
	var poisoned, innocents []string
	for n := range *poisons {
		for k := range 40 {
			if innocents = append(innocents, submit("innocent", 40*n+k)); k == 20 {
				poisoned = append(poisoned, submit("poison", n))
			}
		}
	}
	poisoned = append(poisoned, submit("venom", 0))
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	until := func(run string, is func(*steps.State) bool) *steps.State {
		for ctx.Err() == nil {
			if s, err := c.runs.Load(ctx, run); err == nil && is(s) {
				return s
			}
			pause(ctx, 100*time.Millisecond)
		}
		t.Fatalf("%s stands still\n%s", run, f.logs())
		return nil
	}
	began, deaths, lost := time.Now(), 0, 0
	for _, run := range innocents {
		s := until(run, func(s *steps.State) bool { return s.Status().Ended() || len(s.Escalations) > 0 })
		if u := &s.Units[0]; s.Status() != steps.RunSucceeded || len(u.Attempts) != 1 || u.Try != 1 {
			t.Errorf("%s is %s after %+v", run, s.Status(), u.Attempts)
		}
		lost += len(s.Units[0].Attempts[0].Lost)
	}
	for _, run := range poisoned {
		e := until(run, func(s *steps.State) bool { return len(s.Escalations) > 0 }).Escalations[0]
		made, err := os.ReadFile(filepath.Join(calls, run))
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // another one may have ended its worker before it began
			t.Fatal(err)
		}
		class, most, says := steps.Crashed, 3, "alone"
		if strings.HasPrefix(run, "venom") {
			class, most, says = steps.Unknown, 1, ""
		}
		n := strings.Count(string(made), "x")
		if deaths += n; n > most || e.Fault.Class != class || !strings.Contains(e.Fault.Message, says) {
			t.Errorf("%s: %d calls, at most %d may be; asked because of %s: %s", run, n, most, e.Fault.Class, e.Fault.Message)
		}
		t.Logf("%s: %s", run, e.Fault.Message)
	}
	t.Logf("%d workers killed, %d executions of others lost with them, all over in %s", deaths, lost, time.Since(began).Round(time.Second))
}
