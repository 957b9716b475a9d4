package drill

import (
	"encoding/json"
	"fmt"
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

// TestAgentsAsStories: the worst play of each cell of a plan with agents is written down, and ends so again.
func TestAgentsAsStories(t *testing.T) {
	t.Parallel()
	for name, keys := range map[string]string{
		"text":   "tools: [orders.lookup, card.refund, ask_person]",
		"object": "tools: [orders.lookup, card.refund], output_schema: {type: object, required: [ok], properties: {ok: {type: boolean}}}, on_limit: finish",
		"fails":  "tools: [orders.lookup], limits: {calls: 3}, on_limit: fail",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := prepared(t, agentTools, agentPlan(keys), sim.Whole)
			n := 0
			for _, c := range d.Run().Cells {
				if c.Outcome != Blank && c.Target != "dispatcher" && c.Fault != "two-at-once" {
					n++
					told(t, d, c.Name())
				}
			}
			if n < 70 {
				t.Errorf("%d cells", n)
			}
		})
	}
}

// TestGivenOutputsAreTold: what somebody gives for the tools of an agent is part of a story.
func TestGivenOutputsAreTold(t *testing.T) {
	t.Parallel()
	d := prepared(t, agentTools, agentPlan("tools: [orders.lookup]"), sim.Whole)
	d.Outputs = map[string]json.RawMessage{"orders.lookup": json.RawMessage(`{"total":7}`)}
	c, err := d.Cell("resolve/timeout")
	if err != nil || c.Target != "resolve~t1.large" {
		t.Fatalf("%v %v", c, err)
	}
	s, err := d.Story(c)
	if err != nil || fmt.Sprint(s.Outputs) != "map[orders.lookup:map[total:7] resolve:map[text:done]]" {
		t.Errorf("%v %v", s, err)
	}
}

// TestNoStoryOfAgents: no story says what a model said, and so none is written of a real run that asked one.
func TestNoStoryOfAgents(t *testing.T) {
	t.Parallel()
	d := prepared(t, agentTools, agentPlan("tools: [orders.lookup]"), sim.Whole)
	if s, err := StoryOfRun(d.base.State, "plan.yaml", "tools.yaml"); err == nil || !strings.Contains(err.Error(), "has an agent, resolve: a story cannot tell what its model said") {
		t.Errorf("%v %v", s, err)
	}
	d = prepared(t, shopTools, shopPlan, sim.Whole)
	if s, err := StoryOfRun(d.base.State, "plan.yaml", "tools.yaml"); err != nil || s.Expect.Ends != "succeeded" {
		t.Errorf("%v %v", s, err)
	}
}

// TestHowAgentsFail: cells of an agent: its model in the turn in which it calls and in the one in which it answers, and its tools.
func TestHowAgentsFail(t *testing.T) {
	t.Parallel()
	d := prepared(t, agentTools, agentPlan("tools: [orders.lookup, card.refund], output_schema: {type: object, required: [ok]}"), sim.Whole)
	r := d.Run()
	wants(t, r, map[string]string{
		"resolve~t1.large/timeout": "ok/~small", "resolve~t1.large/misfit": "ok/person", "resolve~t1.large/repeats": "person", "resolve~t1.large/endless": "person",
		"resolve~t1.small/misfit": "~small/person", "resolve~t1.small/endless": "person",
		"resolve~t1.1.primary/400": "ok", "resolve~t1.2.primary/500": "person", "resolve~t1.2.primary/misfit": ".",
		"resolve~t2.large/timeout": "ok/~small", "resolve~t2.large/refusal": "~small", "resolve~t2.large/misfit": "ok/person", "resolve~t2.large/repeats": ".", "resolve~t2.small/no-worker": "person",
	})
	for name, by := range map[string]string{"resolve~t1.large/misfit": "limit", "resolve~t1.large/repeats": "limit", "resolve~t1.large/endless": "limit", "resolve~t2.large/misfit": "limit"} {
		if c := r.Find(name); c.By != by {
			t.Errorf("%s: people are asked about %s, not about a %s", name, c.By, by)
		}
	}
	if r.NotDrilled != nil {
		t.Errorf("not drilled: %v", r.NotDrilled)
	}
	for name, want := range map[string]string{
		"resolve~t1.1.primary/endless": notAgent, "resolve~t2.large/endless": "it begins in the first turn", "resolve~t1.large/repeats": "",
	} {
		if c := r.Find(name); c.Why != want {
			t.Errorf("%s: %s", name, c.Why)
		}
	}
}

// TestModelThatDoesNotFit: it is told what does not fit, and goes on as it would have: then its calls are made.
func TestModelThatDoesNotFit(t *testing.T) {
	t.Parallel()
	d := prepared(t, agentTools, agentPlan("tools: [orders.lookup, card.refund]"), sim.Whole)
	c, err := d.Cell("resolve/misfit")
	if err != nil {
		t.Fatal(err)
	}
	s := c.plays[0].State
	for unit, want := range map[string]string{"1": "there is no tool", "2": "not a JSON object", "3": "not a JSON object", "4": "the arguments do not fit"} {
		if f := s.Units[s.Unit("resolve~t1."+unit)].Fault; f == nil || !strings.Contains(f.Message, want) {
			t.Errorf("call %s: %v, want %s", unit, f, want)
		}
	}
	if call := s.Unit("resolve~t2.2"); call < 0 || s.Tool(call).Name != "card.refund" || len(c.plays[0].Effects) != 1 {
		t.Errorf("%d, %v", call, c.plays[0].Effects)
	}
}

// TestOtherLimits: what comes of a model that finds no end is what the plan says about it.
func TestOtherLimits(t *testing.T) {
	t.Parallel()
	for keys, want := range map[string]string{
		"on_limit: finish": "ok", "on_limit: fail": "failed", "limits: {calls: 100000, turns: 10000, repeats: 500}": "person", "limits: {turns: 3}": "person",
	} {
		r := prepared(t, agentTools, agentPlan("tools: [orders.lookup], "+keys), sim.Whole).Run()
		wants(t, r, map[string]string{"resolve~t1.large/endless": want, "resolve~t1.large/repeats": want})
	}
}

// TestToolsThatAreNotDrilled: each tool that no play calls is named, with the reason.
func TestToolsThatAreNotDrilled(t *testing.T) {
	t.Parallel()
	odd := strings.Replace(agentTools, "cents: {type: integer}", "cents: {type: integer, multipleOf: 7}", 1)
	for _, c := range []struct{ tools, keys, want string }{
		{agentTools, "tools: [orders.lookup, card.refund], limits: {calls: 1}", "card.refund of resolve: the calls of the tools before it use up limits.calls, which is 1"},
		{agentTools, "tools: [orders.lookup], limits: {turns: 1}", "orders.lookup of resolve: limits.turns leaves no turn for the answer after a call"},
		{odd, "tools: [card.refund, orders.lookup], limits: {calls: 1}", "card.refund of resolve: the arguments that the drill makes up do not fit its input_schema: cents: "},
	} {
		r := prepared(t, c.tools, agentPlan(c.keys), sim.Whole).Run()
		var page strings.Builder
		if err := r.HTML(&page, nil); err != nil || !strings.Contains(page.String(), "<p>"+c.want) {
			t.Errorf("%v: want %s on the page", err, c.want)
		}
		if text := shown(r); len(r.NotDrilled) != 1 || !strings.Contains(text, "\ntools of agents that no play calls:\n  "+c.want) {
			t.Errorf("want %s in\n%s", c.want, text)
		}
	}
	given := strings.Replace(odd, "required: [cents]", "required: [cents], examples: [{cents: 14}]", 1)
	if r := prepared(t, given, agentPlan("tools: [card.refund]"), sim.Whole).Run(); r.NotDrilled != nil || r.Find("resolve~t1.1.primary/500").Outcome != Person {
		t.Errorf("an example is not taken:\n%s", shown(r))
	}
}
