package drill

import (
	"strings"
	"testing"

	"belay/internal/sim"
	"belay/internal/steps"
)

const summaryTools = agentTools + `
  models.tiny:
    effects: none
    rungs:
      - {name: quick, model: {provider: openai, model: q}, retry: {max_attempts: 2}}
      - {name: fixed, http: {url: "http://sums.invalid/"}}
`

// TestSummariesInADrill: the turns of an agent are summarised once however many it would keep, every fault of what does that is
// played, and none of them wakes anybody.
func TestSummariesInADrill(t *testing.T) {
	t.Parallel()
	d := prepared(t, summaryTools, agentPlan("tools: [orders.lookup], keep_turns: 30, summary: {model: models.tiny}"), sim.Whole)
	if i := d.base.State.Unit("resolve~s1"); i < 0 || d.base.State.Units[i].State() != steps.StepSucceeded || d.base.State.Unit("resolve~t3") < 0 || d.base.State.Unit("resolve~s2") >= 0 {
		t.Fatal("no summary, or more than one")
	}
	if n := d.Doc.Program.Nodes[0].Agent.KeepTurns; n != 30 {
		t.Errorf("the plan itself keeps %d turns now", n)
	}
	r, played := d.Run(), map[Outcome]int{}
	for _, c := range r.Cells {
		if !strings.HasPrefix(c.Target, "resolve~s1.") {
			continue
		}
		if played[c.Outcome]++; c.Outcome == Person || c.Outcome > Person {
			t.Errorf("%s ends as %s: %s %s", c.Name(), c.Outcome, c.By, c.Why)
		}
	}
	if played[OK] < 5 || played[Degraded] < 5 {
		t.Errorf("played %v", played)
	}
	if len(r.NotDrilled) > 0 {
		t.Errorf("%+v", r.NotDrilled)
	}
	if _, err := d.Cell("resolve~t3.large/misfit"); err != nil {
		t.Error(err)
	}
}

// TestSummariesThatAreNotDrilled, because the agent's limits leave no room for one.
func TestSummariesThatAreNotDrilled(t *testing.T) {
	t.Parallel()
	for keys, why := range map[string]string{
		"tools: [orders.lookup], limits: {turns: 2}": "limits.turns leaves no turn for the answer after a summary",
		"tools: [orders.lookup], limits: {calls: 1}": "the calls of the tools use up limits.calls, and a summary comes after one more",
		"tools: []": "in a drill the model calls no tool, so there is nothing to summarise",
	} {
		d := prepared(t, summaryTools, agentPlan(keys+", keep_turns: 1, summary: {model: models.tiny}"), sim.Whole)
		if left := d.Run().NotDrilled; len(left) != 1 || left[0] != (NotDrilled{"resolve", "models.tiny", why}) {
			t.Errorf("%s: %+v", keys, left)
		}
		if d.base.State.Unit("resolve~s1") >= 0 {
			t.Errorf("%s: there is a summary", keys)
		}
	}
}

// TestRehearsedSummaries: what they said in the run they say in a rehearsal.
func TestRehearsedSummaries(t *testing.T) {
	t.Parallel()
	d := prepared(t, summaryTools, agentPlan("tools: [orders.lookup], keep_turns: 1, summary: {model: models.tiny}"), sim.Whole)
	if r := Rehearse(d.base.State, d.Tools, d.Tools); r.Verdict != Same {
		t.Errorf("%+v", r)
	}
	cut := readTools(t, strings.Replace(summaryTools, "{name: quick, model: {provider: openai, model: q}, retry: {max_attempts: 2}}", `{name: other, static: {output: {text: nothing}}}`, 1))
	if r := Rehearse(d.base.State, cut, cut); r.Verdict != OutOfSupport || !strings.Contains(r.Why, "the model is told something else in resolve t3") {
		t.Errorf("%+v", r)
	}
}
