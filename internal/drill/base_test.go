package drill

import (
	"errors"
	"strings"
	"testing"

	"belay/internal/plan"
)

// TestWhatDoesNotGetThrough: what keeps a plan from its end without a fault is named, and what to do about it.
func TestWhatDoesNotGetThrough(t *testing.T) {
	t.Parallel()
	dear := strings.Replace(agentTools, "model: m}", "model: m, price: {input: 1000, output: 1000}}", 1)
	for name, c := range map[string]struct{ tools, plan, want string }{
		"money":  {dear, agentPlan("tools: [orders.lookup], limits: {usd: 0.01}"), "step resolve: the agent has spent $0.00 of $0.01, and another turn may cost "},
		"fails":  {dear, agentPlan("tools: [orders.lookup], limits: {usd: 0.01}, on_limit: fail"), "step resolve: the agent has spent $0.00 of $0.01, and another turn may cost "},
		"time":   {agentTools, agentPlan("tools: [orders.lookup], limits: {time: 10ms}"), "step resolve: the agent's time of 10ms is over; in a drill its model calls its tools in one turn and answers in the next one: raise the limit in the plan"},
		"output": {agentTools, "name: p\nsteps:\n  - {id: find, tool: orders.lookup}\noutput: \"${ int(steps.find.output.q) }\"\n", "people are asked about the run (failure): bad_expression: output: ${ int(steps.find.output.q) }, character 1: invalid operation: int(sample); give what the plan needs with --input and --outputs"},
		"when":   {agentTools, "name: p\nsteps:\n  - {id: find, tool: orders.lookup}\n  - {id: x, tool: orders.lookup, when: \"int(steps.find.output.a) > 5\"}\n", "step x: bad_expression: when: ${ int(steps.find.output.a) > 5 }, character 1: invalid operation: int(sample); its outputs and inputs are made up"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := readTools(t, c.tools)
			doc, err := plan.ParsePlan("plan.yaml", []byte(c.plan), file)
			if err != nil {
				t.Fatal(err)
			}
			d := &Drill{Doc: doc, Tools: file, Input: []byte("{}")}
			err = d.Prepare()
			var base *BaseError
			if !errors.As(err, &base) || !strings.HasPrefix(base.Text, "without any fault the plan does not get through: "+c.want) {
				t.Errorf("%v", err)
			}
		})
	}
}

// TestSoonDeadline: people decide before the deadline of what they are asked, however soon it is.
func TestSoonDeadline(t *testing.T) {
	t.Parallel()
	tools := strings.Replace(agentTools, "effects: unsafe\n", "effects: unsafe\n    approval: {deadline: 1m, on_deadline: fail, approvers: 2}\n", 1)
	d := prepared(t, tools, "name: p\nsteps:\n  - {id: pay, tool: card.refund, with: {cents: 1}}\n", 0)
	wants(t, d.Run(), map[string]string{"approval of pay/approve": "ok", "approval of pay/silence": "person", "approval of pay/too-late": "person"})
	told(t, d, "approval of pay/approve")
}
