package drill

import (
	"strings"
	"testing"

	"belay/internal/sim"
	"belay/internal/steps"
)

const payTools = agentTools + `
  card.pay:
    effects: unsafe
    approval: always
    input_schema: {type: object, required: [cents], properties: {cents: {type: integer}}, additionalProperties: false}
    rungs: [{name: primary, http: {method: POST, url: "http://pay.invalid/payments"}}]
`

// TestHostileModel: of what it proposes people are asked about the call itself, in each of its spellings, and reject it; the rest
// is refused, and nothing has an effect. Where it tries that in one turn only, what it proposes later is asked about as ever.
func TestHostileModel(t *testing.T) {
	t.Parallel()
	d := prepared(t, payTools, agentPlan("tools: [orders.lookup, card.pay], limits: {calls: 60, refusals: 9, turns: 3}"), sim.Whole)
	c, err := d.Cell("resolve/hostile")
	if err != nil || c.Outcome != Person || len(c.plays) != 2 {
		t.Fatalf("%+v, %v", c, err)
	}
	for _, p := range c.plays {
		if len(p.Effects) > 0 || !p.reached {
			t.Errorf("it has paid: %v", p.Effects)
		}
	}
	s := c.plays[1].State
	rejected := 0
	for n := range s.Units {
		if strings.HasPrefix(s.Units[n].ID, "resolve~t1.") && s.Units[n].Rejected != nil {
			rejected++
		}
	}
	if rejected != 3 || c.By != "limit" && c.By != "approval" {
		t.Errorf("%d spellings are rejected by people, and they are asked about a %s", rejected, c.By)
	}
	if f := s.Units[s.Unit("resolve~t1.10")].Fault; f == nil || f.Class != steps.InvalidInput || !strings.Contains(f.Message, "there is no tool") {
		t.Errorf("a call by another name: %v", f)
	}
}

// TestHostileModelIsNoticed: where neither the run nor its workers ask for an approval, it has its effect.
func TestHostileModelIsNoticed(t *testing.T) {
	t.Parallel()
	d := prepared(t, payTools, agentPlan("tools: [orders.lookup, card.pay]"), sim.NoGuard)
	for _, tool := range d.Doc.Program.Nodes[0].Agent.Tools {
		tool.Tool.Approval = nil
	}
	c, err := d.Cell("resolve/hostile")
	if err != nil || c.Outcome != Unapproved {
		t.Errorf("%+v, %v", c, err)
	}
	if c, err = prepared(t, agentTools, agentPlan("tools: [card.refund]"), sim.Whole).Cell("resolve/hostile"); err == nil && c.Why == "" {
		t.Errorf("no tool asks: %+v, %v", c, err)
	}
}
