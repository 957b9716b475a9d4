package steps_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"belay/internal/steps"
	"belay/internal/stepstest"
)

// TestAnAttemptIsNotLostForEver: it is over, as one that may have happened. One that must not happen twice is queued again once.
func TestAnAttemptIsNotLostForEver(t *testing.T) {
	t.Parallel()
	for effects, most := range map[steps.Effects]int{steps.EffectsNone: steps.CrashBudget, steps.EffectsIdempotent: steps.CrashBudget, steps.EffectsUnsafe: 1} {
		for _, begun := range []bool{false, true} {
			t.Run(fmt.Sprint(effects, " begun ", begun), func(t *testing.T) {
				t.Parallel()
				a := steps.Attempt{Step: "a", Try: 1}
				plan := &stepstest.Plan{}
				plan.Plan.Name, plan.Plan.Steps = "one", []steps.Step{{ID: "a", Tool: "t"}}
				tool := stepstest.ParseTool("t", nil)
				tool.Effects = effects
				plan.Tools = map[string]steps.Tool{"t": tool}
				var s *steps.State
				seq := uint64(0)
				next := func(e steps.Event) {
					seq++
					s, _ = steps.Apply(s, steps.Record{Seq: seq, Time: stepstest.Start, Run: "r", Event: e})
				}
				next(steps.Submitted{Program: plan.Program(), Input: json.RawMessage(`{}`), Epoch: steps.Epoch})
				if begun && effects == steps.EffectsUnsafe {
					next(steps.Claimed{Attempt: a, Worker: "w"})
				} else if begun {
					next(steps.Started{Attempt: a, Worker: "w"})
				}
				for lost := range most + 1 {
					if e := steps.Unsaid(s, a, lost); e != nil {
						t.Fatalf("lost %d times: %+v", lost, e)
					}
				}
				e := steps.Unsaid(s, a, most+1)
				if e == nil {
					t.Fatal("it is queued again for ever")
				}
				next(e)
				u := &s.Units[0]
				if want := map[bool]steps.StepState{true: steps.StepUnknown, false: steps.StepEscalated}[effects == steps.EffectsUnsafe]; u.State() != want || !u.Fault.MayHaveActed() {
					t.Errorf("the step is %s: %+v", u.State(), u.Fault)
				}
				if steps.Unsaid(s, a, 100) != nil {
					t.Error("it is over")
				}
			})
		}
	}
}
