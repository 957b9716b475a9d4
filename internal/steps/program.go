package steps

import "encoding/json"

// Expr is a compiled expression or template: a pure function of what the run has so far. It returns JSON, with numbers
// exactly as they were written. Nil means that the plan has none.
type Expr func(Scope) (json.RawMessage, error)

// Program is a compiled [Definition]. It is immutable and shared by all runs of the same digest.
type Program struct {
	Digest string // of the definition's bytes
	Definition
	Nodes  []Node          // one per plan step, in the plan's order
	Output Expr            // makes the run's output; nil = none
	Asks   map[string]Asks // by tool; only of tools that have such expressions
	index  map[string]int  // plan step id -> index of Nodes

	Reshapes  map[string]map[int]Expr // by tool and rung: what makes an output of a person's answer
	Undos     map[string]Expr         // by tool: what makes the parameters of the call that undoes one of its calls
	Summaries map[string]Saying       // by tool
	Breakers  bool                    // some tool has a breaker
	policies  map[string]*Policies    // by tool: as it was submitted
}

// Asks are a tool's expressions about one of its calls.
type Asks struct {
	Approval  Expr         // true or false: whether the call needs approval; nil = it does, if the tool has an approval at all
	Happened  Expr         // true or false, of the probe's output
	Verified  Expr         // the step's output when it has happened; nil = the probe's
	Questions map[int]Expr // by rung: what a person is asked, a string
	Targets   map[int]Expr // by rung: what it talks to, a string; only of those that depend on the parameters
	Per       Expr         // what calls are counted by, for a limit; nil = all together
	Probes    Expr         // what the probe talks to, a string; nil = it does not depend on the parameters
}

// Node is a plan step with its expressions compiled and its neighbours resolved.
type Node struct {
	Step           *Step      // as the plan has it
	Tool           *Tool      // its pinned policy
	When           Expr       // gives true or false
	WhenPerItem    bool       // When names item or index: it is asked for each item of ForEach, not for the step
	With           Expr       // gives the parameters; nil means {}
	ForEach        Expr       // gives a list
	CompensateWith Expr       // gives the parameters of the step's own compensation; nil means {}
	Undo           *Undo      // what undoes the step and its items; nil = nothing
	Agent          *AgentNode // of an agent step; Tool is its model then
	Needs          []int      // indexes of Nodes
	Dependents     []int      // indexes of Nodes that need this one
}

// Undo is the call that undoes what a step, an item or a call of an agent did.
type Undo struct {
	Tool   *Tool // its pinned policy
	With   Expr  // gives the parameters; nil means {}
	OfTool bool  // the tool that is undone says so, and With reads that call; else the step does
}

// Link resolves neighbours and tools of p by name; expressions are already in place, one node per step.
// The definition must have been checked: an unknown name here is a mistake of the caller and panics.
func Link(p *Program) *Program {
	index := make(map[string]int, len(p.Plan.Steps))
	for i := range p.Plan.Steps {
		index[p.Plan.Steps[i].ID] = i
	}
	p.index = index
	p.policies = make(map[string]*Policies, len(p.Tools))
	for name, t := range p.Tools {
		p.policies[name] = &Policies{Heard: []string{t.Policy().Digest()}}
		p.Breakers = p.Breakers || t.Breaker != nil
	}
	for i := range p.Nodes {
		n := &p.Nodes[i]
		n.Step = &p.Plan.Steps[i]
		n.Tool = p.tool(n.Step.Tool)
		p.linkUndo(n)
		for _, id := range n.Step.Needs {
			j, ok := index[id]
			if !ok {
				panic("steps: step " + n.Step.ID + " needs unknown step " + id)
			}
			n.Needs = append(n.Needs, j)
			p.Nodes[j].Dependents = append(p.Nodes[j].Dependents, i)
		}
	}
	return p
}

// linkUndo finds what undoes a step: its own compensation, or what its tool says. What an agent's model says nothing undoes;
// each of its calls is undone by what the tool of that call says.
func (p *Program) linkUndo(n *Node) {
	switch c := n.Step.Compensate; {
	case c != nil:
		n.Undo = &Undo{Tool: p.tool(c.Tool), With: n.CompensateWith}
	case n.Step.Stays:
		return
	case n.Step.Agent == nil:
		n.Undo = p.undoOf(n.Tool)
	}
	if n.Agent == nil {
		return
	}
	for k := range n.Agent.Tools {
		n.Agent.Tools[k].Undo = p.undoOf(n.Agent.Tools[k].Tool)
	}
}

// tools are the tools that a step may call.
func (n *Node) tools() []*Tool {
	list := []*Tool{n.Tool}
	if n.Agent != nil {
		for _, t := range n.Agent.Tools {
			list = append(list, t.Tool)
			if t.Undo != nil {
				list = append(list, t.Undo.Tool)
			}
		}
		if n.Agent.Summary != nil {
			list = append(list, n.Agent.Summary.Tool)
		}
	}
	if n.Undo != nil {
		list = append(list, n.Undo.Tool)
	}
	return list
}

// undoOf is what a tool says undoes its calls; nil where it says nothing.
func (p *Program) undoOf(t *Tool) *Undo {
	if t.Undo == nil {
		return nil
	}
	return &Undo{Tool: p.tool(t.Undo.Tool), With: p.Undos[t.Name], OfTool: true}
}

func (p *Program) tool(name string) *Tool {
	t, ok := p.Tools[name]
	if !ok {
		panic("steps: tool " + name + " is not pinned")
	}
	return &t
}

// Sentence is a tool's compiled `summary`: what it says about a call with these decoded parameters, piece by piece.
type Sentence func(params any) ([]Piece, error)

// Saying is what there is to say about the calls of a tool.
type Saying struct {
	Say   Sentence // nil where the tool has no summary
	Order []string // names of parameters, as the input schema has them
}

// Piece is a part of a summary: words of whoever wrote the tools file, or a value out of the parameters.
type Piece struct {
	Text  string // without marks of its own
	Value bool   // Text is a value, and not the author's words
}
