package notify_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"belay/internal/bus/embedded"
	"belay/internal/dispatch"
	"belay/internal/engine"
	"belay/internal/notify"
	"belay/internal/plan"
	"belay/internal/steps"
	"belay/internal/steps/view"
)

// TestALimitIsSaidFromTheFirstMoment: a dispatcher puts it on the log of a run that a limit holds it back only once that has lasted, here never. What
// the run waits for is said all the same, and of a call that is in the queue that it waits for a worker.
func TestALimitIsSaidFromTheFirstMoment(t *testing.T) {
	t.Parallel()
	tools, err := plan.ParseTools(filepath.Join(t.TempDir(), "tools.yaml"), []byte(`
tools:
  pay: {effects: none, limits: {concurrency: 1}, rungs: [{remote: {}}]}
  sms: {effects: none, limits: {rate: 1/h}, rungs: [{remote: {}}]}
`))
	if err != nil {
		t.Fatal(err)
	}
	e, err := engine.Start(t.Context(), engine.Options{ // without a worker, what is in the queue stays there
		Embedded: &embedded.Options{StoreDir: t.TempDir(), Durability: embedded.Interval},
		Dispatch: &dispatch.Options{Name: "d1", SayAfter: time.Hour, UnservedAfter: time.Hour}, People: &engine.PeopleOptions{Keys: t.TempDir()},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Stop)
	why := notify.Asker{Bus: e.Bus, Items: e.Desk.Items}.Of
	for _, tool := range []string{"pay", "sms"} {
		submit(t, e, tools, tool+"-1", tool)
		untilQueued(t, e, tool+"-1")
		submit(t, e, tools, tool+"-2", tool)
		for run, want := range map[string]view.WaitFor{tool + "-1": view.ForWorker, tool + "-2": view.ForLimit} {
			s, err := e.Runs.Load(t.Context(), run)
			if err != nil {
				t.Fatal(err)
			}
			w, err := why(t.Context(), s)
			if err != nil || len(w.Waits) != 1 || w.Waits[0].For != want || s.Limited() > 0 {
				t.Errorf("%s: %+v, %v; want that it waits for a %s", run, w.Waits, err, want)
			}
			if want == view.ForLimit && (w.Waits[0].Since == nil || !strings.HasPrefix(w.Waits[0].Text, "held back by the ") || !strings.Contains(w.Waits[0].Text, " limit of "+tool)) {
				t.Errorf("%s: %+v", run, w.Waits[0])
			}
		}
	}
}

func submit(t *testing.T, e *engine.Engine, tools *plan.Tools, id, tool string) {
	t.Helper()
	doc, err := plan.ParsePlan("plan.yaml", []byte(`{name: p, steps: [{id: a, tool: `+tool+`}]}`), tools)
	if err != nil {
		t.Fatal(err)
	}
	input, err := doc.CheckInput(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Runs.Submit(t.Context(), id, steps.Submitted{Document: doc.JSON, Input: input}); err != nil {
		t.Fatal(err)
	}
	if err := e.Runs.Follow(t.Context(), id, func(s *steps.State, _ steps.Record, _ []int) bool { return !s.MayBeHeld(0) }); err != nil {
		t.Fatal(err)
	}
}

// untilQueued waits until the call of a run is in the queue.
func untilQueued(t *testing.T, e *engine.Engine, run string) {
	t.Helper()
	for n := 0; n == 0; {
		all, _, err := e.Bus.Queued(t.Context(), e.Bus.Names().StepsOf(run))
		if err != nil {
			t.Fatal(err)
		}
		n = len(all)
	}
}
