package steps_test

import (
	"encoding/json"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"belay/internal/steps"
	"belay/internal/stepstest"
)

// TestReplays plays random runs to their end and does each of them again from a random step on, and that one again. All that
// [TestInvariants] holds is so for a replay, and
//   - by the run's own plan and input nothing is in its way but what has to be confirmed;
//   - nothing of what it has taken over is ever called, and nothing of it is undone;
//   - what it has taken over stays as it was;
//   - each of its calls has a key of its own.
func TestReplays(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		g := play(t, steps.Epoch, steps.Apply)
		for _, name := range []string{"q", "p"} {
			g.replay(name)
		}
	})
}

// replay goes on with a run that does the one before it again.
func (g *player) replay(name string) {
	first := g.State
	wish := steps.ReplayWish{Program: g.plan.Program(), Input: json.RawMessage(`{}`)}
	for range rapid.IntRange(1, 2).Draw(g.T, "from") {
		wish.From = append(wish.From, rapid.SampledFrom(g.plan.Plan.Steps).Draw(g.T, "step").ID)
	}
	plan := steps.PlanReplay(first, wish)
	wish.Confirmed = plan.Unconfirmed
	if plan = steps.PlanReplay(first, wish); len(plan.Refused)+len(plan.Unconfirmed) > 0 {
		g.Fatalf("a replay by the run's own plan is refused: %v, %v", plan.Refused, plan.Unconfirmed)
	}
	apply := g.Apply
	g.World, g.past, g.takenOver = stepstest.NewWorld(g.T), nil, plan.TakenOver()
	g.Run, g.Apply, g.Now = name, apply, first.Now
	g.Add(stepstest.Replayed(&plan, wish))
	g.check()
	for range rapid.IntRange(1, 30).Draw(g.T, "events") {
		g.move()
		g.check()
	}
	g.drain()
	g.checkCuts()
}

func (g *player) checkTakenOver() {
	if g.takenOver == nil {
		return
	}
	for _, m := range steps.Wants(g.State, nil).Steps {
		if !strings.HasPrefix(m.Key, g.Run+"/") {
			g.Fatalf("%s has the key %s of another run", m.Step, m.Key)
		}
	}
	for _, k := range g.takenOver {
		for i := range g.State.Units {
			u := &g.State.Units[i]
			base, part, _ := strings.Cut(u.ID, "~")
			switch {
			case base != k.Step:
			case part != "" || len(u.Attempts) > 0:
				g.Fatalf("%s is called, although it is taken over:\n%s", u.ID, stepstest.Picture(g.State))
			case u.Over() && u.State().Done() && (string(u.Output) != string(k.Output) || u.State() != k.State):
				g.Fatalf("%s is %s with %s, and was %s with %s", u.ID, u.State(), u.Output, k.State, k.Output)
			}
		}
	}
}
