package plan

import (
	"strings"

	"go.yaml.in/yaml/v4"

	"belay/internal/expr"
	"belay/internal/steps"
	"belay/internal/wire"
	"belay/internal/yamldoc"
)

// maxSteps bounds a plan; for_each fans out far more than that at run time.
const maxSteps = 10_000

const (
	nameRule = "letters, digits, _ and -, at most 64"
	toolRule = "names of letters, digits, _ and - with single dots between, at most 64 in all"
)

// planFile is a plan as it was read, with the places of what is checked later.
type planFile struct {
	*reader
	root         *yaml.Node
	plan         steps.Plan
	steps        []*planStep
	output       *yaml.Node
	inputSchema  *yaml.Node
	schemaChecks check
	waivers      []*waiverNode
}

// planStep is a step as it was read.
type planStep struct {
	steps.Step
	node                                *yaml.Node
	when, with, forEach, maxParallel    *yaml.Node
	toolNode, undoTool, undoWith, needs *yaml.Node
	needNodes                           []*yaml.Node
	agent                               agentNodes
}

func (p *planFile) read(root *yaml.Node) {
	p.root = root
	p.plan.OnDeadline = steps.DeadlineEscalate
	found := p.Object(root, "the plan", p.fields())
	p.Require(root, "the plan", found, "name", "steps")
	if len(p.steps) == 0 && found["steps"] != nil {
		p.At(found["steps"], "", "the plan has no steps")
	}
}

// fields are the keys of a plan.
func (p *planFile) fields() yamldoc.Fields {
	return yamldoc.Fields{
		"name":           p.Checked(&p.plan.Name, wire.ValidName, nameRule),
		"input":          p.readInput,
		"input_schema":   p.readInputSchema,
		"deadline":       p.duration(&p.plan.Deadline, 0),
		"on_deadline":    yamldoc.Choice(p.Reader, &p.plan.OnDeadline, steps.DeadlineEscalate, steps.DeadlineFail),
		"escalate_after": p.Int(&p.plan.EscalateAfter, 0, 1_000_000),
		"labels":         p.readLabels,
		"steps":          p.readSteps,
		"output":         p.readOutput,
		"waivers":        p.readWaivers,
	}
}

func (p *planFile) readInput(n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		p.At(n, "", "the input must be a mapping of names to defaults, not %s", yamldoc.KindOf(n))
		return
	}
	p.json(&p.plan.Input)(n)
}

func (p *planFile) readInputSchema(n *yaml.Node) {
	p.inputSchema = n
	p.schemaChecks = p.schema(n, &p.plan.InputSchema)
}

func (p *planFile) readLabels(n *yaml.Node) {
	p.plan.Labels = map[string]string{}
	p.Mapping(n, "labels", func(key, value *yaml.Node) {
		if s, ok := p.Text(value); ok {
			p.plan.Labels[key.Value] = s
		}
	})
}

func (p *planFile) readOutput(n *yaml.Node) {
	p.output = n
	p.json(&p.plan.Output)(n)
}

func (p *planFile) readSteps(n *yaml.Node) {
	if n.Kind == yaml.SequenceNode && len(n.Content) > maxSteps {
		p.At(n, "use for_each, or split the plan", "the plan has %d steps; at most %d are allowed", len(n.Content), maxSteps)
		p.steps = append(p.steps, &planStep{node: n})
		return
	}
	p.List(n, "steps", func(i int, e *yaml.Node) {
		s := &planStep{node: e}
		p.steps = append(p.steps, s)
		p.readStep(s)
	})
}

func (p *planFile) readStep(s *planStep) {
	s.OnFailure = steps.OnFailureEscalate
	what := "the step"
	if id := yamldoc.ValueOf(s.node, "id"); id != nil && yamldoc.IsString(id) {
		what = `step "` + yamldoc.Shorten(id.Value) + `"`
	}
	found := p.Object(s.node, what, p.stepFields(s))
	p.Require(s.node, what, found, "id")
	switch {
	case found["tool"] != nil && found["agent"] != nil:
		p.At(found["tool"], "", "%s has a tool and an agent: it can have one of them", what)
	case found != nil && found["agent"] == nil:
		p.Require(s.node, what, found, "tool")
	}
	if s.maxParallel != nil && s.forEach == nil {
		p.At(s.maxParallel, "", "max_parallel without for_each has no effect")
	}
	if s.forEach != nil && s.MaxParallel == 0 {
		s.MaxParallel = steps.DefaultFanOut
	}
}

// stepFields are the keys of a step.
func (p *planFile) stepFields(s *planStep) yamldoc.Fields {
	return yamldoc.Fields{
		"id":           p.Checked(&s.ID, wire.ValidName, nameRule),
		"tool":         p.toolName(&s.Tool, &s.toolNode),
		"needs":        func(n *yaml.Node) { p.readNeeds(s, n) },
		"when":         p.condition(&s.When, &s.when),
		"with":         p.params(&s.With, &s.with),
		"for_each":     p.forEach(s),
		"max_parallel": yamldoc.Kept(&s.maxParallel, p.Int(&s.MaxParallel, 1, 100_000)),
		"on_failure":   yamldoc.Choice(p.Reader, &s.OnFailure, steps.OnFailureEscalate, steps.OnFailureSkip, steps.OnFailureFail),
		"agent":        func(n *yaml.Node) { p.readAgent(s, n) },
		"compensate":   func(n *yaml.Node) { p.readCompensate(s, n) },
	}
}

func (p *planFile) readNeeds(s *planStep, n *yaml.Node) {
	s.needs, s.Needs = n, []string{}
	p.List(n, "needs", func(_ int, e *yaml.Node) {
		if id, ok := p.Text(e); ok {
			s.Needs = append(s.Needs, id)
			s.needNodes = append(s.needNodes, e)
		}
	})
}

// readCompensate reads what undoes the step, or `none`: then what it did stays done, whatever its tools say.
func (p *planFile) readCompensate(s *planStep, n *yaml.Node) {
	if yamldoc.IsString(n) {
		if s.Stays = n.Value == "none"; !s.Stays {
			p.At(n, "none, or {tool: ..., with: {...}}", "%q is not allowed here", yamldoc.Shorten(n.Value))
		}
		return
	}
	s.Compensate = &steps.Compensate{}
	found := p.Object(n, "compensate", p.compensateFields(s))
	p.Require(n, "compensate", found, "tool")
}

// compensateFields are the keys of a step's compensation.
func (p *planFile) compensateFields(s *planStep) yamldoc.Fields {
	return yamldoc.Fields{
		"tool": p.toolName(&s.Compensate.Tool, &s.undoTool),
		"with": p.params(&s.Compensate.With, &s.undoWith),
	}
}

// condition reads a bare expression; `when: true` is one too.
func (p *planFile) condition(into *string, node **yaml.Node) yamldoc.Field {
	read := p.expression(into, node)
	return func(n *yaml.Node) {
		if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!bool" {
			*into, *node = strings.ToLower(n.Value), n
			return
		}
		read(n)
	}
}

// expression reads a bare expression.
func (p *planFile) expression(into *string, node **yaml.Node) yamldoc.Field {
	return func(n *yaml.Node) {
		if s, ok := p.Text(n); ok {
			*into, *node = s, n
		}
	}
}

// forEach reads the expression that gives the items. People also write the items there.
func (p *planFile) forEach(s *planStep) yamldoc.Field {
	read := p.expression(&s.ForEach, &s.forEach)
	return func(n *yaml.Node) {
		if n.Kind == yaml.SequenceNode {
			p.At(n, expr.LongListHint, "for_each must be an expression that gives a list, not the list itself")
			return
		}
		read(n)
	}
}
