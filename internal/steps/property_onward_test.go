package steps_test

import (
	"encoding/json"

	"pgregory.net/rapid"

	"belay/internal/steps"
)

// The part of [TestInvariants] that is about what attempts leave for others to go on with.

// leave lets an attempt fail that says how another one goes on, or that nothing does any more.
func (g *player) leave(m steps.StepMessage, worker string) {
	g.begin(m, worker)
	e := steps.Failed{Attempt: m.Attempt, Worker: worker, Fault: steps.Fault{
		Class: rapid.SampledFrom([]steps.Class{steps.NeedsHuman, steps.Unavailable}).Draw(g.T, "left with"), Message: "x",
		Acted: rapid.SampledFrom([]steps.Acted{steps.ActedNo, steps.ActedMaybe}).Draw(g.T, "acted"),
	}}
	switch rapid.IntRange(0, 3).Draw(g.T, "leaves") {
	case 0:
		e.Spent = true
	case 1:
		e.Resume = &steps.Resume{Value: json.RawMessage(`2`), About: "a state", Harmless: rapid.Bool().Draw(g.T, "harmless")}
	default:
		e.Resume = &steps.Resume{Value: json.RawMessage(`3`), About: "a state", Harmless: rapid.Bool().Draw(g.T, "harmless")}
		e.Question = &steps.Question{Text: "which?", URL: "https://x"}
	}
	g.say(e)
}

// checkOnward: an attempt goes on only with what one before it has left, on the same rung, and what acts only where nothing is in
// doubt or the other side has asked for it.
func (g *player) checkOnward(u *steps.Unit, n int) {
	a, next := &u.Attempts[n], u.Attempts[n+1].Continues
	if g.State.Epoch() < 7 || u.Attempts[n+1].Rung != a.Rung {
		g.Fatalf("%s goes on after %+v", u.ID, a)
	}
	stands := a.Left != nil && string(a.Left.Value) == string(next.Value) || a.Continues != nil && string(a.Continues.Value) == string(next.Value)
	repeats := a.Left == nil && !next.Harmless && a.Fault.MayHaveActed() && submitted(g.State, g.State.Unit(u.ID)).Effects == steps.EffectsUnsafe
	if !stands || repeats {
		g.Fatalf("%s goes on with %s after %+v", u.ID, next.Value, a)
	}
}

// checkBegunAnew: what was lost while something harmless stood to go on with was not begun anew in that round.
func (g *player) checkBegunAnew(u *steps.Unit, n int) {
	a := &u.Attempts[n]
	lost := a.Fault != nil && (a.Fault.Class == steps.Unknown || a.Fault.Class == steps.Timeout)
	if !lost || a.Left == nil || n+1 == len(u.Attempts) {
		return
	}
	if next := &u.Attempts[n+1]; next.Round == a.Round && next.Rung == a.Rung && next.Continues == nil {
		g.Fatalf("%s was begun anew although %s stood: %+v", u.ID, a.Left.About, next)
	}
}
