package drill

import (
	"strings"
	"testing"

	"belay/internal/plan"
	"belay/internal/sim"
	"belay/internal/steps"
)

const agentTools = `
tools:
  models.support:
    effects: none
    rungs:
      - {name: large, model: {provider: openai, model: m}}
      - {name: small, model: {provider: anthropic, model: n}}
  orders.lookup:
    effects: none
    rungs:
      - {name: primary, http: {url: "http://shop.invalid/orders"}, retry: {max_attempts: 1}}
  card.refund:
    effects: unsafe
    input_schema: {type: object, required: [cents], properties: {cents: {type: integer}}}
    rungs: [{name: primary, http: {method: POST, url: "http://pay.invalid/refunds"}}]
`

// agentPlan is a plan with an agent of these keys, beside its model and its prompt.
func agentPlan(keys string) string {
	return "name: support\nsteps:\n  - {id: resolve, agent: {model: models.support, prompt: help, " + keys + "}}\n"
}

// TestRehearsedAgents: a run whose agent has asked a person, with the tool that no tools file has, is played under other tools.
func TestRehearsedAgents(t *testing.T) {
	t.Parallel()
	d := prepared(t, agentTools, agentPlan("tools: [orders.lookup, ask_person]"), sim.Whole)
	if r := Rehearse(d.base.State, d.Tools, d.Tools); r.Verdict != Same || r.Was.Asked != 1 || r.Is.Asked != 1 {
		t.Errorf("%+v", r)
	}
	quicker := readTools(t, strings.Replace(agentTools, "retry: {max_attempts: 1}", "retry: {max_attempts: 5}, timeout: 1s", 1))
	if r := Rehearse(d.base.State, quicker, quicker); r.Verdict != Same {
		t.Errorf("%+v", r)
	}
}

// TestModelThatIsToldOther: where a call comes out otherwise than it did, nobody knows what the model would have said.
func TestModelThatIsToldOther(t *testing.T) {
	t.Parallel()
	d := prepared(t, agentTools, agentPlan("tools: [orders.lookup]"), sim.Whole)
	c, err := d.Cell("resolve~t1.1.primary/400")
	if err != nil {
		t.Fatal(err)
	}
	run := c.plays[0].State
	if r := Rehearse(run, d.Tools, d.Tools); r.Verdict != Same {
		t.Errorf("%+v", r)
	}
	fixed := readTools(t, strings.Replace(agentTools, "retry: {max_attempts: 1}}\n", "retry: {max_attempts: 1}}\n      - {name: fixed, static: {output: {order: none}}}\n", 1))
	if r := Rehearse(run, fixed, fixed); r.Verdict != OutOfSupport || !strings.Contains(r.Why, "the model is told something else in resolve t2") {
		t.Errorf("%+v", r)
	}
}

// TestRehearsedTokens: what models took counts in a rehearsal as it did in the run, so that the same limit is reached.
func TestRehearsedTokens(t *testing.T) {
	t.Parallel()
	d := prepared(t, agentTools, agentPlan("tools: [orders.lookup], limits: {tokens: 1000}"), sim.Whole)
	a := newActing(d, &play{})
	o := d.options(a)
	o.World = func(c sim.Call) sim.Happens {
		h := a.usually(c)
		if steps.IsTurn(c.Step) {
			h.Usage = &steps.Usage{Input: 900, Output: 100}
		}
		return h
	}
	run := sim.Play(o).State
	if r := Rehearse(run, d.Tools, d.Tools); r.Verdict != Same || r.Was.Outcome != Person || r.Is.Outcome != Person {
		t.Errorf("%+v", r)
	}
}

func readTools(t *testing.T, text string) *plan.Tools {
	t.Helper()
	file, err := plan.ParseTools("tools.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return file
}
