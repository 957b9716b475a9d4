package steps_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"belay/internal/steps"
	"belay/internal/stepstest"
)

// TestMigrations plays random runs, holds them back at any time and lets them go on under another plan wherever that is not refused. All
// that [TestInvariants] holds is so for the new run, and
//   - the old one is over: it wants nothing but that the new one begins, and nothing is under way in it;
//   - a migration that is of an earlier moment changes nothing;
//   - what was done is not called again, and its result is what it was;
//   - no call is made under a key under which another one has acted, or may have: only the same, if that may be repeated, and that under
//     no other key;
//   - whoever submitted the old run approves nothing that its submitter may not.
func TestMigrations(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		g := begin(t, rapid.SampledFrom([]int{steps.Epoch, steps.Epoch, 3}).Draw(t, "epoch"), steps.Apply)
		for _, name := range []string{"q", "p", "done"} {
			for range rapid.IntRange(1, 25).Draw(t, "events") {
				g.move()
				g.check()
			}
			if name != "done" {
				g.migrate(name)
			}
		}
		g.drain()
		g.checkCuts()
	})
}

// migrate goes on with the run that this one becomes, unless that is refused.
func (g *player) migrate(name string) {
	g.standStill()
	plan := g.otherPlan()
	var drop []string
	if rapid.IntRange(0, 2).Draw(g.T, "drops") == 0 {
		for i := range g.State.Program.Nodes {
			if u := &g.State.Units[i]; u.State().Done() && !slices.ContainsFunc(plan.Plan.Steps, func(s steps.Step) bool { return s.ID == u.ID }) {
				drop = append(drop, u.ID)
			}
		}
	}
	m := steps.PlanMigration(g.State, stepstest.Migration(name, plan, drop))
	if len(m.Refused) > 0 {
		return
	}
	g.outdated(m)
	g.say(steps.Migrated{To: name, Next: m.Next(), Seen: m.Seen, By: "max"})
	g.check()
	w := steps.Wants(g.State, nil)
	if g.State.Status() != steps.RunMigrated || w.Next == nil || w.Result == nil || len(w.Steps)+len(w.Withdraw)+len(w.Escalations) > 0 {
		g.Fatalf("it is %s and wants %+v after a migration:\n%s", g.State.Status(), w, stepstest.Picture(g.State))
	}
	old, now := g.State, g.Now
	g.World, g.past, g.plan, g.before = stepstest.NewWorld(g.T), nil, plan, old
	g.Run, g.Apply, g.Now = name, steps.Apply, now
	next := w.Next.Next
	next.By = "max"
	g.Add(next)
	g.check()
}

// outdated says a migration of which the proof is of an earlier moment.
func (g *player) outdated(m steps.Migration) {
	before := stepstest.Picture(g.State)
	s, _ := steps.Apply(g.State.Clone(), steps.Record{Seq: g.State.Seq + 2, Time: g.Now, Run: g.Run, Event: steps.Migrated{To: m.To, Next: m.Next(), Seen: m.Seen - 1}})
	if stepstest.Picture(s) != before {
		g.Fatalf("a migration of an earlier moment changed\n%s\nto\n%s", before, stepstest.Picture(s))
	}
}

// standStill holds back what can be held back, as a gate does.
func (g *player) standStill() {
	for _, m := range steps.Wants(g.State, nil).Steps {
		g.say(steps.Held{Attempt: m.Attempt, Hold: steps.Hold{Why: steps.HoldGate, Gate: "g", Covers: "all", By: "mia", Since: g.Now}})
	}
	g.takeClaims()
	g.check()
}

// otherPlan is the run's plan, mostly with something changed.
func (g *player) otherPlan() *stepstest.Plan {
	p := *g.plan
	p.Plan.Steps, p.Tools, p.With, p.When = slices.Clone(p.Plan.Steps), maps.Clone(p.Tools), maps.Clone(p.With), maps.Clone(p.When)
	p.UndoWith = maps.Clone(p.UndoWith)
	p.Output = ""
	for range rapid.IntRange(0, 2).Draw(g.T, "changes") {
		n := rapid.IntRange(0, len(p.Plan.Steps)-1).Draw(g.T, "step")
		id := p.Plan.Steps[n].ID
		switch rapid.SampledFrom([]string{"with", "when", "append", "insert", "remove", "tool", "policy", "undo"}).Draw(g.T, "change") {
		case "with":
			p.With[id] = `json:{"a":2}`
		case "when":
			p.When[id] = rapid.SampledFrom([]string{"", "json:false"}).Draw(g.T, "when")
		case "append":
			p.Plan.Steps = append(p.Plan.Steps, steps.Step{ID: p.Plan.Steps[0].ID + "x" + id, Tool: "unsafe", Needs: []string{id}, OnFailure: steps.OnFailureEscalate})
		case "insert":
			p.Plan.Steps = append(p.Plan.Steps, steps.Step{ID: "n" + id + p.Plan.Steps[0].ID, Tool: "idempotent", OnFailure: steps.OnFailureSkip})
			p.Plan.Steps[n].Needs = append(slices.Clone(p.Plan.Steps[n].Needs), "n"+id+p.Plan.Steps[0].ID)
		case "remove":
			if len(p.Plan.Steps) > 1 {
				p.Plan.Steps = slices.Delete(p.Plan.Steps, n, n+1)
			}
			for i := range p.Plan.Steps {
				p.Plan.Steps[i].Needs = slices.DeleteFunc(slices.Clone(p.Plan.Steps[i].Needs), func(need string) bool { return need == id })
			}
		case "tool":
			p.Plan.Steps[n].Tool = "none"
		case "policy":
			t := stepstest.ParseTool("idempotent", drawTool(g.T))
			t.Effects = steps.EffectsIdempotent
			p.Tools["idempotent"] = t
		case "undo":
			p.UndoWith[id] = `json:{"u":1}`
		}
	}
	seen := map[string]bool{}
	p.Plan.Steps = slices.DeleteFunc(p.Plan.Steps, func(s steps.Step) bool { was := seen[s.ID]; seen[s.ID] = true; return was })
	return &p
}

// checkMigrated: see [TestMigrations].
func (g *player) checkMigrated() {
	old := g.before
	if old == nil {
		return
	}
	for i := range old.Units {
		u := &old.Units[i]
		j := g.State.Unit(u.ID)
		if j < 0 || !u.State().Done() || u.Agent() >= 0 && !u.Loops() {
			continue
		}
		if v := &g.State.Units[j]; len(v.Attempts) > 0 || v.Over() && v.State().Done() && (string(v.Output) != string(u.Output) || v.State() != u.State()) {
			g.Fatalf("%s is %s with %s, and was %s with %s:\n%s", u.ID, v.State(), v.Output, u.State(), u.Output, stepstest.Picture(g.State))
		}
	}
	for _, m := range steps.Wants(g.State, nil).Steps {
		g.checkKey(old, m)
	}
	for n := range g.State.Escalations {
		if e := &g.State.Escalations[n]; e.Kind == steps.KindApproval && g.State.Tool(e.Unit).Approval.NotSubmitter && g.State.MayApprove(n, "sue") {
			g.Fatalf("whoever submitted the run may approve %s", e.ID)
		}
	}
}

// checkKey: a key under which something may have happened is that of the same call, which may be repeated.
func (g *player) checkKey(old *steps.State, m steps.StepMessage) {
	for i := range old.Units {
		u := &old.Units[i]
		acted := u.State() == steps.StepSucceeded && u.AnswerBy == ""
		for _, rec := range u.Attempts {
			acted = acted || rec.State != steps.AttemptWithdrawn && rec.Fault != nil && rec.Fault.MayHaveActed() || rec.Crashes > 0
		}
		if !acted || old.Tool(i).Effects == steps.EffectsNone {
			continue
		}
		if m.Step == u.ID && !u.State().Done() && m.Key != old.Key(i) && !g.State.Units[g.State.Unit(u.ID)].Edited() {
			g.Fatalf("%s may have acted under the key %s, and is called under %s now", u.ID, old.Key(i), m.Key)
		}
		if m.Key != old.Key(i) {
			continue
		}
		if same := sameJSON(u.Params, m.Params); old.Tool(i).Effects.Unsafe() || m.Effects.Unsafe() && old.Tool(i).Name != m.Tool || !same || u.State().Done() {
			g.Fatalf("%s of run %s may have acted under the key %s, and %s %s is called under it now", u.ID, old.Run, m.Key, m.Tool, m.Params)
		}
	}
}

func sameJSON(a, b json.RawMessage) bool {
	x, errX := steps.Canonical(a)
	y, errY := steps.Canonical(b)
	return errX == nil && errY == nil && strings.EqualFold(string(x), string(y))
}
