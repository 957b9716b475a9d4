package drill

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"belay/internal/plan"
	"belay/internal/sim"
)

// Compensations of every kind: one that acts on its own, one with a probe and a second rung, one that a person must approve,
// one whose last rung is a person. The last step has one too.
const undoTools = `
tools:
  crm.open: {effects: unsafe, rungs: [{name: primary, http: {method: POST, url: "http://crm.invalid/x"}}]}
  crm.close:
    effects: unsafe
    approval: {deadline: 30m, on_deadline: fail}
    rungs: [{name: primary, http: {method: POST, url: "http://crm.invalid/undo"}}]
  stock.reserve: {effects: idempotent, rungs: [{name: primary, go: {}}]}
  stock.release:
    effects: idempotent
    rungs:
      - {name: primary, go: {}, retry: {max_attempts: 2, initial: 100ms}}
      - {name: desk, human: {question: "Release it by hand", deadline: 1h, on_deadline: fail}}
  card.charge: {effects: unsafe, rungs: [{name: primary, http: {method: POST, url: "http://pay.invalid/charges"}}]}
  card.uncharge:
    effects: unsafe
    output_schema: {type: object, required: [id]}
    verify: {http: {url: "http://pay.invalid/refunds/${ params.charge }"}, happened: "output.found"}
    rungs:
      - {name: primary, http: {method: POST, url: "http://pay.invalid/refunds"}}
      - {name: second, http: {method: POST, url: "http://bank.invalid/refunds"}}
  parcels.ship: {effects: unsafe, rungs: [{name: primary, command: {argv: [ship]}}]}
  parcels.recall: {effects: unsafe, rungs: [{name: primary, command: {argv: [recall]}}]}
`

const undoPlan = `
name: shop
input: {order: A-1, skus: [lamp, desk]}
steps:
  - {id: open, tool: crm.open, compensate: {tool: crm.close}}
  - {id: reserve, tool: stock.reserve, for_each: "${ input.skus }", with: {sku: "${ item }"}, compensate: {tool: stock.release, with: {sku: "${ item }"}}}
  - {id: charge, tool: card.charge, compensate: {tool: card.uncharge, with: {charge: "${ steps.charge.output.id }"}}}
  - {id: gift, tool: card.charge, when: "input.order == 'none'", compensate: {tool: card.uncharge, with: {charge: "${ steps.gift.output.id }"}}}
  - {id: ship, tool: parcels.ship, compensate: {tool: parcels.recall}}
`

// TestHowCompensationsFail: cells of compensations.
func TestHowCompensationsFail(t *testing.T) {
	t.Parallel()
	r := prepared(t, undoTools, undoPlan, sim.Whole).Run()
	wants(t, r, map[string]string{
		"charge~undo.primary/401":          "~second",
		"charge~undo.primary/500":          "person", // the probe finds nothing: a person sends it back
		"charge~undo.primary/killed-after": "ok",     // the probe finds it
		"charge~undo.primary/late":         "ok",
		"charge~undo.primary/schema":       "person",
		"charge~undo.primary/no-worker":    "person",
		"charge~undo.primary/panic":        ".",
		"charge~undo.second/no-worker":     "person",
		"charge~undo.verify/no-worker":     "person",
		"charge~undo.second/refused":       "~second/person",
		"charge~undo.verify/refused":       "ok/person",
		"reserve~undo.primary/panic":       "person",
		"reserve~undo.primary/timeout":     "ok/person",
		"reserve~undo.primary/no-worker":   "person",
		"ship~undo.primary/error":          "person", // nobody knows whether it has been recalled
		"ship~undo.primary/killed-before":  "person",
		"ship~undo.primary/ack-lost":       "ok",
		"gift~undo.primary/timeout":        ".", // it is left out, so there is nothing to undo

		"approval of open~undo/approve":     "ok",
		"approval of open~undo/reject":      "person",
		"approval of open~undo/silence":     "person", // although its tool says fail
		"approval of open~undo/too-late":    "person",
		"failure of open~undo/retry":        "ok",
		"failure of open~undo/skip":         "person",
		"failure of open~undo/abort":        "person",
		"failure of charge~undo/retry":      "ok",
		"failure of charge~undo/edit":       "ok",
		"failure of charge~undo/approve":    "ok",
		"failure of charge~undo/verify":     ".",
		"unknown of ship~undo/retry":        "ok",
		"unknown of ship~undo/approve":      "ok",
		"unknown of ship~undo/silence":      "person",
		"unknown of ship~undo/abort":        "person",
		"unknown of charge~undo/verify":     "ok",
		"unknown of charge~undo/approve":    "ok",
		"unknown of charge~undo/edit":       ".",
		"question of reserve~0~undo/skip":   "person",
		"failure of ship~undo/two-at-once":  "person",
		"dispatcher~undo/killed":            "ok",
		"dispatcher/killed":                 "ok",
		"approval of open~undo/two-at-once": "person",
	})
}

// TestBrokenUndoIsNoticed: each mutant makes some cell of a compensation one that must never be.
func TestBrokenUndoIsNoticed(t *testing.T) {
	t.Parallel()
	noticed(t, undoTools, undoPlan, map[string]sim.Mutant{
		"TWICE ship~undo.primary/delivered-twice": sim.NoClaim,
		"TWICE ship~undo.primary/killed-after":    sim.NoLog,
		"TWICE ship~undo.primary/timeout":         sim.BlindRepeat,
		"STUCK dispatcher~undo/killed":            sim.NoReconcile,
		"LOST dispatcher~undo/killed":             sim.NoUndo,
		"LOST charge~undo.primary/timeout":        sim.NoUndo,
	})
}

// TestCompensationThatUndoesNothing: a fixed value in the ladder of a compensation says that something is undone, and nothing
// is.
func TestCompensationThatUndoesNothing(t *testing.T) {
	t.Parallel()
	tools := strings.Replace(undoTools, "{name: second, http: {method: POST, url: \"http://bank.invalid/refunds\"}}", "{name: second, static: {output: {id: none}}}", 1)
	r := prepared(t, tools, undoPlan, sim.Whole).Run()
	c := r.Find("charge~undo.primary/401")
	if c.Outcome != Lost || c.Why != "charge was done, and its compensation ended as succeeded without an effect; nobody was asked" {
		t.Errorf("%s: %s", c.Outcome, c.Why)
	}
	if c := r.Find("ship~undo.primary/401"); c.Outcome.Bad() {
		t.Errorf("ship has nothing to do with it: %s", c.Why)
	}
}

// TestNothingToUndo: a step that acts on nothing leaves nothing, and a compensation may say of itself that it does nothing.
func TestNothingToUndo(t *testing.T) {
	t.Parallel()
	tools := undoTools + "  note: {effects: none, rungs: [{name: fixed, static: {output: {}}}]}\n"
	text := strings.Replace(undoPlan, "{tool: crm.close}", "{tool: note}", 1) + "  - {id: last, tool: note, compensate: {tool: crm.close}}\n"
	r := prepared(t, tools, text, sim.Whole).Run()
	if r.Bad() || r.Find("open~undo.fixed/no-worker").Outcome != Person || r.Find("approval of last~undo/silence").Outcome != Person {
		t.Errorf("%s", shown(r))
	}
}

// TestStepThatStands: an idempotent step that may have acted, and fails the run, is not undone.
func TestStepThatStands(t *testing.T) {
	t.Parallel()
	r := prepared(t, undoTools, strings.Replace(undoPlan, "{id: reserve,", "{id: reserve, on_failure: fail,", 1), sim.Whole).Run()
	c := r.Find("reserve.primary/error")
	if c.Outcome != Lost || !strings.Contains(c.Why, "stock.reserve has had its effect for reserve[0], which is failed and not undone, and nobody was asked") {
		t.Errorf("%s: %s", c.Outcome, c.Why)
	}
	if c := r.Find("reserve.primary/no-worker"); c.Outcome.Bad() {
		t.Errorf("nothing has happened: %s: %s", c.Outcome, c.Why)
	}
}

// TestCompensationWithoutOutputs: a compensation that has nothing to go by is said before anything is drilled.
func TestCompensationWithoutOutputs(t *testing.T) {
	t.Parallel()
	text := strings.Replace(undoPlan, "{charge: \"${ steps.charge.output.id }\"}", "{charge: \"${ int(steps.charge.output.id) }\"}", 1)
	file, err := plan.ParseTools("tools.yaml", []byte(undoTools))
	if err != nil {
		t.Fatal(err)
	}
	doc, err := plan.ParsePlan("plan.yaml", []byte(text), file)
	if err != nil {
		t.Fatal(err)
	}
	in, err := doc.CheckInput(nil)
	if err != nil {
		t.Fatal(err)
	}
	d := &Drill{Doc: doc, Tools: file, Input: in}
	if err := d.Prepare(); err != nil {
		t.Fatal(err)
	}
	var base *BaseError
	if err := d.PrepareUndo(); !errors.As(err, &base) || !strings.Contains(base.Text, "compensation of step charge") || !strings.Contains(base.Text, "--outputs") {
		t.Errorf("%v", err)
	}
}

// TestCompensationsAsStories: the worst play of each cell is written down, read and played again, and ends as it did.
func TestCompensationsAsStories(t *testing.T) {
	t.Parallel()
	d := prepared(t, undoTools, undoPlan, sim.Whole)
	n := 0
	for _, c := range d.Run().Cells {
		if c.Outcome == Blank || !strings.Contains(c.Target, undoSuffix) || c.Target == "dispatcher~undo" || c.Fault == "two-at-once" {
			continue
		}
		n++
		s, err := d.Story(c)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := s.Write(&b); err != nil {
			t.Fatal(err)
		}
		if s, err = ParseStory(b.Bytes()); err != nil {
			t.Fatal(err)
		}
		e, err := d.Tell(s)
		if err != nil {
			t.Fatalf("%s: %v\n%s", c.Name(), err, b.String())
		}
		if len(e.Wrong) > 0 || s.Cancel == "" {
			var lines strings.Builder
			Lines(&lines, e.Lines)
			t.Errorf("%s: %q\n%s\n%s", c.Name(), e.Wrong, b.String(), lines.String())
		}
	}
	if n < 60 {
		t.Errorf("%d cells", n)
	}
	if _, err := d.Tell(&Story{Cancel: "nothing"}); err == nil || !strings.Contains(err.Error(), "no step \"nothing\"") {
		t.Errorf("%v", err)
	}
}

const agentUndoTools = undoTools + `
  models.support: {effects: none, rungs: [{name: primary, model: {provider: openai, model: m}}]}
`

const agentUndoPlan = `
name: support
steps:
  - {id: resolve, agent: {model: models.support, prompt: help, tools: [stock.reserve, card.charge]}, compensate: {tool: card.uncharge, with: {charge: C-1}}}
  - {id: ship, tool: parcels.ship, needs: [resolve], on_failure: fail}
`

// TestAgentIsUndone: what undoes an agent undoes the step, and none of its calls; that there is no compensation of a call is
// no loss.
func TestAgentIsUndone(t *testing.T) {
	t.Parallel()
	r := prepared(t, agentUndoTools, agentUndoPlan, sim.Whole).Run()
	wants(t, r, map[string]string{
		"resolve~t1.2.primary/refused":         "ok",
		"resolve~undo.primary/refused":         "ok/~second",
		"resolve~undo.primary/killed-for-good": "ok",
		"ship.primary/refused":                 "compensated",
		"failure of resolve~undo/skip":         "person",
		"dispatcher~undo/killed":               "ok",
	})
	noticed(t, agentUndoTools, agentUndoPlan, map[string]sim.Mutant{
		"LOST ship.primary/refused":   sim.NoUndo,
		"LOST dispatcher~undo/killed": sim.NoUndo,
	})
}

// undoneTools say themselves what undoes the calls of an agent.
var undoneTools = strings.NewReplacer(
	"  stock.reserve: {", "  stock.reserve: {undo: {tool: stock.release, with: {sku: \"${ output.sku }\"}}, ",
	"  card.charge: {", "  card.charge: {undo: {tool: card.uncharge, with: {charge: \"${ output.id }\"}}, ",
).Replace(agentUndoTools)

// undonePlan has an agent that fails its run at a limit.
const undonePlan = `
name: support
steps:
  - {id: resolve, agent: {model: models.support, prompt: help, tools: [stock.reserve, card.charge], limits: {time: 20s}, on_limit: fail}}
  - {id: ship, tool: parcels.ship, needs: [resolve], on_failure: fail}
`

// TestCallsAreUndone: the calls of an agent are undone as their tools say, whatever ends its run, and each of them meets every
// fault on its way back.
func TestCallsAreUndone(t *testing.T) {
	t.Parallel()
	d := prepared(t, undoneTools, undonePlan, sim.Whole)
	r := d.Run()
	wants(t, r, map[string]string{
		"resolve~t1.1.primary/timeout":              "compensated",
		"ship.primary/refused":                      "compensated",
		"resolve~t1.1~undo.primary/killed-for-good": "person",
		"resolve~t1.2~undo.primary/refused":         "ok/~second",
		"failure of resolve~t1.2~undo/skip":         "person",
		"dispatcher~undo/killed":                    "ok",
	})
	for _, c := range r.Cells {
		if c.Outcome.Bad() {
			t.Errorf("%s: %s: %s", c.Name(), c.Outcome, c.Why)
		}
		if strings.Contains(c.Name(), "~undo.") && c.Outcome != Blank {
			told(t, d, c.Name())
		}
	}
	noticed(t, undoneTools, undonePlan, map[string]sim.Mutant{
		"LOST ship.primary/refused":   sim.NoUndo,
		"LOST dispatcher~undo/killed": sim.NoUndo,
	})
	r = prepared(t, undoneTools, strings.Replace(undonePlan, "on_limit: fail}}", "on_limit: fail}, compensate: none}", 1), sim.Whole).Run()
	if c := r.Find("ship.primary/refused"); c.Outcome != Failed || r.Find("resolve~t1.1~undo.primary/refused") != nil {
		t.Errorf("what is to stay is undone: %s", c.Outcome)
	}
}

// TestWhatIsNotUndone: a step that the plan leaves out, and an agent after which nothing comes, are not undone, and that is said.
func TestWhatIsNotUndone(t *testing.T) {
	t.Parallel()
	if c := prepared(t, undoTools, undoPlan, sim.Whole).Run().Find("gift~undo.primary/timeout"); c.Why != "the plan leaves gift out" {
		t.Errorf("%s", c.Why)
	}
	before, _, _ := strings.Cut(agentUndoPlan, "  - {id: ship")
	r := prepared(t, agentUndoTools, before, sim.Whole).Run()
	for name, want := range map[string]string{"resolve~undo.primary/500": "the run is over once resolve is done", "dispatcher~undo/killed": "the plan leaves out every step that could be undone, or is over once it is done"} {
		if c := r.Find(name); c.Outcome != Blank || c.Why != want {
			t.Errorf("%s: %s, %s", name, c.Outcome, c.Why)
		}
	}
}

// TestAgentThatStands: an agent that fails its run leaves its calls done, however well they went.
func TestAgentThatStands(t *testing.T) {
	t.Parallel()
	text := strings.Replace(agentUndoPlan, "tools: [stock.reserve, card.charge]}", "tools: [stock.reserve, card.charge], limits: {time: 20s}, on_limit: fail}", 1)
	r := prepared(t, agentUndoTools, text, sim.Whole).Run()
	c := r.Find("resolve~t1.1.primary/timeout")
	if c.Outcome != Lost || !strings.Contains(c.Why, "has had its effect for resolve t1.2, and resolve is failed and not undone, and nobody was asked: let a person be asked (on_limit: escalate)") {
		t.Errorf("%s: %s", c.Outcome, c.Why)
	}
	if c := r.Find("resolve~t1.1.primary/refused"); c.Outcome.Bad() {
		t.Errorf("it is undone as planned: %s: %s", c.Outcome, c.Why)
	}
	approved := strings.Replace(agentUndoTools, "  card.charge: {effects: unsafe,", "  card.charge: {effects: unsafe, approval: {deadline: 5s, on_deadline: fail},", 1)
	if c := prepared(t, approved, text, sim.Whole).Run().Find("resolve~t1.1.primary/timeout"); c.Outcome != Lost {
		t.Errorf("whoever approves a call does not say that it should stand: %s", c.Outcome)
	}
}

// TestAgentThatIsSkipped: a person who gives a turn of an agent up knows what it has done, and that stands then.
func TestAgentThatIsSkipped(t *testing.T) {
	t.Parallel()
	d := prepared(t, agentUndoTools, agentUndoPlan, sim.Whole)
	r := d.Run()
	turn, ship := r.Find("resolve~t2.primary/400"), r.Find("ship.primary/no-worker")
	p := turn.plays[len(turn.plays)-1].anew()
	p.second = ship.plays[0].anew()
	d.perform(p)
	if i := p.State.Unit("resolve"); p.judged.Outcome.Bad() || p.State.Units[i].State() != "skipped" {
		t.Errorf("%s: %s: %s", p.State.Units[i].State(), p.judged.Outcome, p.judged.Why)
	}
}
