package drill

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"belay/internal/plan"
	"belay/internal/sim"
	"belay/internal/steps"
)

const dearTools = `
tools:
  find: {effects: none, rungs: [{name: primary, cost: 0.1, go: {}, retry: {max_attempts: 1}}, {name: second, cost: 0.2, go: {}, retry: {max_attempts: 1}}, {name: desk, cost: 50, human: {question: "what is it?"}}]}
  pay: {verify: {go: {}, happened: "output.found"}, rungs: [{name: primary, cost: 3, go: {}, retry: {max_attempts: 1}}]}
`

func toolsOf(t *testing.T, text string) *plan.Tools {
	t.Helper()
	tools, err := plan.ParseTools("tools.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return tools
}

// ended plays a run to its end: find fails on both its rungs until a person answers, and a probe finds what pay has done.
func ended(t *testing.T, tools *plan.Tools) *steps.State {
	t.Helper()
	doc, err := plan.ParsePlan("p.yaml", []byte("name: p\nsteps:\n  - {id: find, tool: find}\n  - {id: pay, tool: pay, needs: [find]}\n"), tools)
	if err != nil {
		t.Fatal(err)
	}
	program, err := plan.Compile(doc.JSON)
	if err != nil {
		t.Fatal(err)
	}
	p := sim.Play(sim.Options{
		Program: program, By: "ann",
		World: func(c sim.Call) sim.Happens {
			switch {
			case c.Tool == "find":
				return sim.Happens{Took: usual, Fault: &steps.Fault{Class: steps.Unavailable, Acted: steps.ActedNo, Message: "down"}}
			case c.RungName == steps.VerifyRung:
				return sim.Happens{Took: usual, Output: json.RawMessage(`{"found": true}`)}
			}
			return sim.Happens{Took: usual, Acts: true, Fault: &steps.Fault{Class: steps.Timeout, Acted: steps.ActedMaybe, Message: "late"}}
		},
		People: func(*steps.State, int) []sim.Decision {
			return []sim.Decision{{After: time.Minute, By: "mia", Verb: steps.VerbAnswer, Answer: json.RawMessage(`7`)}}
		},
	})
	if p.State.Status() != steps.RunDegraded {
		t.Fatalf("%s\n%v", p.State.Status(), p.Lines)
	}
	return p.State
}

// TestCostsOfARehearsal: every call counts with what its rung costs, what a person answers and what a probe finds with
// nothing; the same tools cost the same.
func TestCostsOfARehearsal(t *testing.T) {
	t.Parallel()
	tools := toolsOf(t, dearTools)
	r := Rehearse(ended(t, tools), tools, tools)
	if r.Verdict != Same || r.Was.Calls != 4 || r.Is.Calls != 4 || r.Was.Cost.String() != "3.3" || r.Is.Cost.String() != "3.3" {
		t.Errorf("%+v", r)
	}
	if d := r.Is.Cost.Less(r.Was.Cost); d.Sign() != 0 || d.String() != "0" {
		t.Errorf("equal bills differ by %s", d)
	}
}

// TestCostsThatAreNotKnown: a file that says nothing of costs, and one without a rung that was called, make no sum.
func TestCostsThatAreNotKnown(t *testing.T) {
	t.Parallel()
	tools := toolsOf(t, dearTools)
	run := ended(t, tools)
	silent := toolsOf(t, `tools: {find: {rungs: [{name: primary, go: {}}]}, pay: {rungs: [{go: {}}]}}`)
	if r := Rehearse(run, tools, silent); r.Was.Cost != nil || r.Was.UnknownCosts != nil || r.Is.Cost == nil {
		t.Errorf("%+v", r)
	}
	other := toolsOf(t, `tools: {find: {rungs: [{name: primary, cost: 0, go: {}}, {name: third, go: {}}]}}`)
	if r := Rehearse(run, tools, other); r.Was.Cost != nil || !slices.Equal(r.Was.UnknownCosts, []string{"find/second", "pay/primary"}) {
		t.Errorf("%+v", r)
	}
	more := toolsOf(t, `tools: {find: {effects: none, rungs: [{name: primary, cost: 1, go: {}, retry: {max_attempts: 2}}]}, pay: {rungs: [{go: {}}]}}`)
	r := Rehearse(run, more, tools)
	if r.Verdict != OutOfSupport || r.Is.Cost != nil || r.Was.Cost.String() != "3.3" {
		t.Errorf("%+v", r)
	}
	free := toolsOf(t, `tools: {find: {rungs: [{name: primary, cost: 0, go: {}}, {name: second, go: {}}]}, pay: {rungs: [{go: {}}]}}`)
	if r := Rehearse(run, tools, free); r.Was.Cost == nil || r.Was.Cost.String() != "0" {
		t.Errorf("a cost of 0 is written, and so it is known: %+v", r)
	}
}
