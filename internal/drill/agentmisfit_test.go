package drill

import (
	"strings"
	"testing"

	"belay/internal/sim"
)

const mcpTools = `
tools:
  models.m: {effects: none, rungs: [{name: primary, http: {method: POST, url: "http://model.invalid/chat"}}]}
  crm.find:
    effects: none
    rungs:
      - {name: near, mcp: {url: "https://crm.invalid/mcp", tool: find}, retry: {max_attempts: 2, initial: 100ms}}
      - {name: far, mcp: {command: [crm-server], tool: find}}
  pay:
    effects: unsafe
    rungs: [{name: primary, mcp: {command: [pay-server, --stdio], tool: pay}}]
  odd:
    effects: none
    input_schema: {type: object, required: [code], properties: {code: {type: string, pattern: "^[A-Z]{3}-[0-9]{9}$"}}}
    rungs: [{name: primary, http: {method: POST, url: "http://odd.invalid/x"}}]
`

// TestFaultsOfMCPServers: a server cannot be reached, answers with a status, with something else or with an error, or asks.
func TestFaultsOfMCPServers(t *testing.T) {
	t.Parallel()
	r := prepared(t, mcpTools, "name: p\nsteps:\n  - {id: find, tool: crm.find}\n  - {id: pay, tool: pay}\n", sim.Whole).Run()
	wants(t, r, map[string]string{
		"find.near/refused": "ok/~far", "find.near/500": "ok/~far", "find.near/429": "ok/~far", "find.near/401": "~far", "find.near/garbage": "ok/~far",
		"find.near/error": "~far", "find.near/asks": "person", "find.far/500": ".", "find.far/refused": "~far/person",
		"pay.primary/refused": "ok/person", "pay.primary/garbage": "person", "pay.primary/empty": "person", "pay.primary/error": "person", "pay.primary/asks": "person", "pay.primary/401": ".",
	})
}

// TestRunsWhoseAgentAsksAPerson are rehearsed like others, although the tools file does not have that tool; and none of a
// run with an agent is told as a story, which could not be told truly.
func TestRunsWhoseAgentAsksAPerson(t *testing.T) {
	t.Parallel()
	d := prepared(t, mcpTools, "name: p\nsteps:\n  - {id: g, agent: {model: models.m, prompt: go, tools: [crm.find, ask_person]}}\n", sim.Whole)
	if r := Rehearse(d.base.State, d.Tools, d.Tools); r.Verdict != Same {
		t.Errorf("%s: %s", r.Verdict, r.Why)
	}
	if s, err := StoryOfRun(d.base.State, "plan.yaml", "tools.yaml"); err == nil || !strings.Contains(err.Error(), "has an agent, g: a story cannot tell") {
		t.Errorf("%+v, %v", s, err)
	}
}

// TestAnIncidentOfAnAgentsCall: a story names the turn or the call that a fault hits.
func TestAnIncidentOfAnAgentsCall(t *testing.T) {
	t.Parallel()
	d := prepared(t, mcpTools, "name: p\nsteps:\n  - {id: g, agent: {model: models.m, prompt: go, tools: [crm.find]}}\n", sim.Whole)
	end, err := d.Tell(&Story{Plan: "plan.yaml", World: []Incident{{Step: "g~t1.1", Fault: "401"}}, Expect: Expect{Ends: "degraded"}})
	if err != nil || len(end.Wrong) > 0 {
		t.Errorf("of a call: %+v, %v", end, err)
	}
	end, err = d.Tell(&Story{Plan: "plan.yaml", World: []Incident{{Step: "g~t1", Fault: "401", Times: 1}}, Expect: Expect{Ends: "succeeded", Asked: []string{"failure of g~t1"}}})
	if err != nil || len(end.Wrong) > 0 {
		t.Errorf("of a turn: %+v, %v", end, err)
	}
}
