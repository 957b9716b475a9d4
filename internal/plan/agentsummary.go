package plan

import (
	"errors"
	"fmt"

	"go.yaml.in/yaml/v4"

	"belay/internal/expr"
	"belay/internal/steps"
	"belay/internal/yamldoc"
)

// summaryNodes are the places of what is checked later of an agent's summaries.
type summaryNodes struct{ node, model, instructions *yaml.Node }

func (p *planFile) readSummary(s *planStep, n *yaml.Node) {
	at := &s.agent.summary
	at.node = n
	m := &steps.Summary{MaxOutputTokens: steps.DefaultSummaryTokens}
	s.Agent.Summary = m
	found := p.Object(n, "summary", yamldoc.Fields{
		"model":             p.toolName(&m.Model, &at.model),
		"instructions":      yamldoc.Kept(&at.instructions, p.template("instructions", "leave it out, or say what the summary is to hold", &m.Instructions)),
		"max_output_tokens": p.Int(&m.MaxOutputTokens, 1, 1_000_000),
	})
	p.Require(n, "summary", found, "model")
}

// checkSummary finds the tool that makes an agent's summaries, and checks that it works without people: nobody is asked because
// of one.
func (p *planFile) checkSummary(s *planStep, tools *Tools) {
	m, at := s.Agent.Summary, s.agent.summary
	if m == nil {
		return
	}
	if s.Agent.KeepTurns == 0 {
		p.At(at.node, "keep_turns: 10", "summary needs keep_turns: how many turns the model is shown in full, so that those before them are summarised")
	}
	t := p.checkTool(at.model, m.Model, tools)
	if t == nil {
		return
	}
	if t.Approval != nil {
		p.At(at.model, "name a tool that only asks a model", "%s acts only with a person's approval, and nobody is asked about a summary", t.Name)
	}
	for _, r := range t.Rungs {
		if r.Human != nil {
			p.At(at.model, "name a tool without that rung: where all others fail the agent goes on, and is told that there is no summary", "rung %q of %s is a person, and nobody is asked for a summary", r.Name, t.Name)
		}
	}
}

func (p *planFile) checkSummaryPrompt(s *planStep, see expr.Readable) {
	if n := s.agent.summary.instructions; n != nil {
		p.checkTemplate(n, see)
	}
}

// checkPinnedSummary makes sure of what the core relies on.
func checkPinnedSummary(d *steps.Definition, a *steps.Agent) error {
	m := a.Summary
	if m == nil {
		return nil
	}
	if a.KeepTurns <= 0 || m.MaxOutputTokens <= 0 {
		return errors.New("its agent's summary has no bound")
	}
	return checkPinned(d, m.Model)
}

// compileSummary compiles the expressions of an agent's summary; nil where it has none.
func compileSummary(p *steps.Program, m *steps.Summary, see expr.Readable) (*steps.SummaryNode, error) {
	if m == nil {
		return nil, nil
	}
	t := p.Tools[m.Model]
	n := &steps.SummaryNode{Summary: m, Tool: &t}
	var err error
	if n.Instructions, err = compileText(m.Instructions, see); err != nil {
		return nil, fmt.Errorf("summary: instructions: %w", err)
	}
	return n, nil
}
