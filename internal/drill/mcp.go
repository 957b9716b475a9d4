package drill

import (
	"encoding/json"

	"belay/internal/executor"
	"belay/internal/sim"
	"belay/internal/steps"
)

// What only MCP servers do. They are programs that the worker starts, or stand behind a URL; the classes are those of
// docs/faults.md.

const noSession = "no session could be opened: "

// refusedMCP is a server to which no session can be opened. Nothing was asked of a tool.
func refusedMCP(c *executor.MCP) sim.Happens {
	if c.Server.URL != "" {
		return fails(steps.Connection, steps.ActedNo, noSession+"connect: connection refused")
	}
	return fails(steps.Connection, steps.ActedNo, noSession+"no such file or directory")
}

// garbageMCP is an answer that no client of MCP understands.
func garbageMCP(text string) sim.Happens {
	f := executor.Unusable("the answer is not a message of MCP", text)
	return sim.Happens{Fault: &f}
}

// emptyMCP is a result that no tool may give: it does not even say that there is nothing to say.
func emptyMCP() sim.Happens {
	f := executor.Unusable("the answer has no content", "{}")
	return sim.Happens{Fault: &f}
}

// noContent plays a result with nothing in it. That is a success: what is missing is found by the output_schema, or by what
// reads it.
func noContent(d *Drill, t *target) ([]*play, string) {
	if t.spec().MCP == nil {
		return nil, notMCP
	}
	h := d.resulting(t, json.RawMessage(`{"content":[]}`), nil)
	h.Took, h.Acts = usual, t.acts()
	return []*play{hit(t, h, true), hit(t, h, false)}, ""
}

const notMCP = "it is no tool of an MCP server"

// asks is a call that is given up because what is called asks for a person.
func asks(_ *Drill, t *target) (sim.Happens, string) {
	switch s := t.spec(); {
	case s.MCP != nil:
		return fails(steps.NeedsHuman, steps.ActedMaybe, "the server asks: Are you sure?"), ""
	case s.Go != nil, s.Remote != nil:
		return fails(steps.NeedsHuman, steps.ActedMaybe, "it says that a person has to decide"), ""
	}
	return sim.Happens{}, "only MCP servers and functions ask for a person"
}

// changed is a server that has another tool of this name than the tools file says. Before an unsafe call that is looked at, and
// nothing is sent then.
func changed(_ *Drill, t *target) (sim.Happens, string) {
	c := t.spec().MCP
	switch {
	case c == nil:
		return sim.Happens{}, notMCP
	case c.Schema == nil:
		return sim.Happens{}, "the tool has no input_schema to compare the server's with"
	case !c.Strict:
		return sim.Happens{}, "only before an unsafe call the server's input schema is compared"
	}
	return fails(steps.PolicyDenied, steps.ActedNo, "the server's input schema of this tool is not that of the tools file"), ""
}
