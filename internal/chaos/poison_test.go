package chaos

import (
	"context"
	"errors"
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

// TestAStepThatKillsItsWorker: each call ends the worker that makes it. A call that may be made again is made three times at
// most, one that must not once; then a person is asked.
func TestAStepThatKillsItsWorker(t *testing.T) {
	if testing.Short() {
		t.Skip("workers that come back, for half a minute")
	}
	t.Parallel()
	w := newWorld(t)
	calls := t.TempDir()
	f := startFleet(t, build(t, ""), "", w.tools("100ms")+fmt.Sprintf(`
  poison: {effects: idempotent, timeout: 10m, rungs: [{name: primary, command: {argv: [sh, -c, 'echo x >> %[1]s/poison; kill -9 $PPID']}}]}
  venom: {effects: unsafe, timeout: 10m, rungs: [{name: primary, command: {argv: [sh, -c, 'echo x >> %[1]s/venom; kill -9 $PPID']}}]}
`, calls))
	c := f.client(w)
	tools, err := plan.LoadTools(filepath.Join(f.dir, "tools.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	submit := func(tool string) {
		doc, err := plan.ParsePlan("plan.yaml", []byte("name: p\nsteps: [{id: a, tool: "+tool+"}]\n"), tools)
		if err == nil {
			_, err = c.runs.Submit(t.Context(), tool, steps.Submitted{Document: doc.JSON, Input: []byte("{}")})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	submit("poison")
	submit("venom")
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	asked := func(run string) *steps.Escalation {
		for ctx.Err() == nil {
			if s, err := c.runs.Load(ctx, run); err == nil && len(s.Escalations) > 0 {
				return &s.Escalations[0]
			}
			pause(ctx, 100*time.Millisecond)
		}
		t.Fatalf("nobody is asked about %s\n%s", run, f.logs())
		return nil
	}
	for run, want := range map[string]struct {
		class steps.Class
		calls int
	}{"poison": {steps.Crashed, 3}, "venom": {steps.Unknown, 1}} {
		e := asked(run)
		made, err := os.ReadFile(filepath.Join(calls, run))
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // the other one may have ended its worker before it began
			t.Fatal(err)
		}
		if n := strings.Count(string(made), "x"); n > want.calls || e.Fault.Class != want.class {
			t.Errorf("%s: %d calls, at most %d may be; asked because of %s: %s", run, n, want.calls, e.Fault.Class, e.Fault.Message)
		}
	}
}
