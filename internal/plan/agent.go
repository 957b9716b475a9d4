package plan

import (
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"

	"go.yaml.in/yaml/v4"

	"belay/internal/expr"
	"belay/internal/steps"
	"belay/internal/wire"
	"belay/internal/yamldoc"
)

// agentNodes are the places of what is checked later of an agent.
type agentNodes struct {
	node, prompt, instructions *yaml.Node
	tools                      []*yaml.Node
	summary                    summaryNodes
	names                      []string     // as they are written, patterns included
	found                      []*yaml.Node // where each of the tools that they stand for is written
}

func (p *planFile) readAgent(s *planStep, n *yaml.Node) {
	s.Agent = &steps.Agent{OnLimit: steps.LimitEscalate, MaxOutputTokens: steps.DefaultMaxTokens, Limits: steps.AgentLimits{
		Turns: steps.DefaultTurns, Calls: steps.DefaultCalls, Repeats: steps.DefaultRepeats, Refusals: steps.DefaultRefusals,
	}}
	s.agent.node = n
	found := p.Object(n, "agent", p.agentFields(s))
	p.Require(n, "agent", found, "model", "prompt")
}

// agentFields are the keys of an agent.
func (p *planFile) agentFields(s *planStep) yamldoc.Fields {
	a := s.Agent
	return yamldoc.Fields{
		"model":             p.toolName(&s.Tool, &s.toolNode),
		"instructions":      yamldoc.Kept(&s.agent.instructions, p.template("instructions", "leave it out, or say what the model is to mind", &a.Instructions)),
		"prompt":            yamldoc.Kept(&s.agent.prompt, p.template("prompt", "an agent needs something to do, like: Settle this ticket: ${ input.ticket }", &a.Prompt)),
		"tools":             func(n *yaml.Node) { p.readAgentTools(s, n) },
		"output_schema":     func(n *yaml.Node) { p.readAnswer(a, n) },
		"max_output_tokens": p.Int(&a.MaxOutputTokens, 1, 1_000_000),
		"keep_turns":        p.Int(&a.KeepTurns, 1, 10_000),
		"keep_output":       p.Int(&a.KeepOutput, 100, maxBytes),
		"summary":           func(n *yaml.Node) { p.readSummary(s, n) },
		"limits":            func(n *yaml.Node) { p.Object(n, "limits", p.limitFields(&a.Limits)) },
		"on_limit":          yamldoc.Choice(p.Reader, &a.OnLimit, steps.LimitEscalate, steps.LimitFinish, steps.LimitFail),
	}
}

// limitFields are the keys of an agent's limits.
func (p *planFile) limitFields(l *steps.AgentLimits) yamldoc.Fields {
	return yamldoc.Fields{
		"turns":    p.Int(&l.Turns, 1, 10_000),
		"calls":    p.Int(&l.Calls, 1, 100_000),
		"repeats":  p.Int(&l.Repeats, 2, 1000),
		"refusals": p.Int(&l.Refusals, 1, 1000),
		"time":     p.duration(&l.Time, 0),
		"tokens": func(n *yaml.Node) {
			var tokens int
			p.Int(&tokens, 1, 1_000_000_000)(n)
			l.Tokens = int64(tokens)
		},
		"usd": func(n *yaml.Node) {
			var usd float64
			p.Float(&usd, 0.01, 1_000_000)(n)
			l.USD = steps.Dollars(usd)
		},
	}
}

// template reads a text with expressions in it, which must say something.
func (p *planFile) template(key, hint string, into *json.RawMessage) yamldoc.Field {
	read := p.json(into)
	return func(n *yaml.Node) {
		if !yamldoc.IsString(n) {
			p.At(n, "", "%s must be a text, not %s", key, yamldoc.KindOf(n))
			return
		}
		if p.notBlank(n, key, hint) {
			read(n)
		}
	}
}

// readAnswer reads the schema of an agent's answer, which providers hold their models to: that of an object.
func (p *planFile) readAnswer(a *steps.Agent, n *yaml.Node) {
	before := len(p.Problems)
	p.schema(n, &a.OutputSchema)
	if len(p.Problems) == before && !ofObjects(a.OutputSchema) {
		p.At(n, "{type: object, required: [answer], properties: {answer: {type: string}}}", "an agent answers with an object: its output_schema must be of type: object")
	}
}

func (p *planFile) readAgentTools(s *planStep, n *yaml.Node) {
	p.List(n, "tools", func(_ int, e *yaml.Node) {
		name, ok := p.Text(e)
		switch {
		case !ok:
		case name == "":
			p.At(e, "leave it out, or name a tool", "a tool has a name")
		case strings.Trim(name, "*") == "":
			p.At(e, "name the tools, or a part of their names, like orders.*", "%q stands for every tool, the model's own included", name)
		case !wire.ValidTool(strings.ReplaceAll(name, "*", "x")):
			p.At(e, toolRule+"; * stands for any part of a name", "%q is neither the name of a tool nor a pattern of names", yamldoc.Shorten(name))
		case slices.Contains(s.agent.names, name):
			p.At(e, "", "the tool %q is listed twice", name)
		default:
			s.agent.names, s.agent.tools = append(s.agent.names, name), append(s.agent.tools, e)
		}
	})
}

// checkAgent finds the tools of an agent, and checks what it may not have.
func (p *planFile) checkAgent(s *planStep, tools *Tools) {
	for key, n := range map[string]*yaml.Node{"with": s.with, "for_each": s.forEach} {
		if n != nil {
			p.At(n, "", "a step with an agent takes no %s: what it is about stands in its prompt", key)
		}
	}
	calls := map[string]string{}
	for k, name := range s.agent.names {
		for _, tool := range p.toolsNamed(s.agent.tools[k], name, tools) {
			if slices.Contains(s.Agent.Tools, tool) {
				continue
			}
			if other := calls[steps.CallName(tool)]; other != "" {
				p.At(s.agent.tools[k], "rename one of them", "models are told of %s and of %s by the same name, %s", other, tool, steps.CallName(tool))
				continue
			}
			calls[steps.CallName(tool)] = tool
			p.checkOffered(s.agent.tools[k], tool, tools)
			s.Agent.Tools, s.agent.found = append(s.Agent.Tools, tool), append(s.agent.found, s.agent.tools[k])
		}
	}
	if s.Agent.Tools == nil {
		s.Agent.Tools = []string{}
	}
	p.checkSummary(s, tools)
}

// checkOffered reports a tool of which no provider can tell a model what it takes.
func (p *planFile) checkOffered(at *yaml.Node, name string, tools *Tools) {
	if tools == nil || tools.Tools[name] == nil {
		return
	}
	if schema := tools.Tools[name].InputSchema; len(schema) > 0 && !ofObjects(schema) {
		p.At(at, "in the tool "+name+": input_schema: {type: object, ...}", "a model cannot be told what %s takes: its input_schema must be of type: object", name)
	}
}

// toolsNamed are the tools that a name or a pattern stands for, sorted.
func (p *planFile) toolsNamed(at *yaml.Node, name string, tools *Tools) []string {
	if name == steps.AskPerson && (tools == nil || tools.Tools[name] == nil) {
		return []string{name}
	}
	if !strings.Contains(name, "*") || tools == nil {
		p.checkTool(at, name, tools, steps.AskPerson)
		return []string{name}
	}
	var found []string
	for _, tool := range slices.Sorted(maps.Keys(tools.Tools)) {
		if isLike(tool, name) {
			found = append(found, tool)
		}
	}
	if len(found) > 0 {
		return found
	}
	hint := yamldoc.Listed("its tools: ", slices.Collect(maps.Keys(tools.Tools)))
	if isLike(steps.AskPerson, name) {
		hint = "write " + steps.AskPerson + " in full: no pattern stands for it"
	}
	p.At(at, hint, "no tool of %s is like %q", tools.File, yamldoc.Shorten(name))
	return nil
}

// isLike reports whether a pattern stands for a tool.
func isLike(tool, pattern string) bool {
	ok, err := path.Match(pattern, tool)
	return err == nil && ok
}

func (p *planFile) checkPrompts(s *planStep, see expr.Readable) {
	if s.agent.prompt != nil {
		p.checkTemplate(s.agent.prompt, see)
	}
	if s.agent.instructions != nil {
		p.checkTemplate(s.agent.instructions, see)
	}
	p.checkSummaryPrompt(s, see)
}

// pinned is a tool as it is pinned into a run: one of the tools file, or the one that every agent may have.
func pinned(name string, tools *Tools) steps.Tool { return tools.Tool(name).Tool }

// Tool is the tool with a name: of the file or, where it has none called that, the one with which every agent may ask a
// person; nil where there is no such tool.
func (t *Tools) Tool(name string) *ToolDef {
	if d := t.Tools[name]; d != nil || name != steps.AskPerson {
		return d
	}
	return asksPerson()
}

var asksPerson = sync.OnceValue(func() *ToolDef {
	t := askPerson()
	fits, err := CompileSchema(t.InputSchema)
	if err != nil {
		panic(err) // it is ours
	}
	return &ToolDef{Tool: t, CheckInput: fits, Rungs: []RungDef{{Rung: t.Rungs[0]}}}
})

// askPerson is the tool with which an agent asks a person.
func askPerson() steps.Tool {
	schema := `{"type":"object","properties":{"question":{"type":"string","description":"what you need to know, and why"}},"required":["question"],"additionalProperties":false}`
	return steps.Tool{
		Name: steps.AskPerson, Effects: steps.EffectsNone, InputSchema: json.RawMessage(schema),
		Description: "Ask a person who knows more than you, and wait for the answer. Use it where guessing would do harm.",
		Rungs:       []steps.Rung{{Name: "person", Executor: "human", Target: "a person", Human: &steps.Human{Question: "${ params.question }"}}},
	}
}

// compileAgent compiles the expressions and schemas of an agent.
func compileAgent(p *steps.Program, s *steps.Step, see expr.Readable) (*steps.AgentNode, error) {
	n := &steps.AgentNode{Agent: s.Agent}
	var err error
	if n.Prompt, err = compileText(s.Agent.Prompt, see); err != nil {
		return nil, fmt.Errorf("prompt: %w", err)
	}
	if n.Instructions, err = compileText(s.Agent.Instructions, see); err != nil {
		return nil, fmt.Errorf("instructions: %w", err)
	}
	if n.Summary, err = compileSummary(p, s.Agent.Summary, see); err != nil {
		return nil, err
	}
	if n.CheckOutput, err = CompileSchema(s.Agent.OutputSchema); err != nil {
		return nil, fmt.Errorf("output_schema: %w", err)
	}
	for _, name := range s.Agent.Tools {
		t := p.Tools[name]
		check, err := CompileSchema(t.InputSchema)
		if err != nil {
			return nil, fmt.Errorf("tool %q: input_schema: %w", name, err)
		}
		n.Tools = append(n.Tools, steps.AgentTool{Call: steps.CallName(name), Description: t.Description, Tool: &t, CheckInput: check})
	}
	return n, nil
}

func compileText(raw json.RawMessage, see expr.Readable) (steps.Expr, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	t, err := expr.CompileJSON(raw, see)
	if err != nil {
		return nil, err
	}
	return t.Expr(), nil
}
