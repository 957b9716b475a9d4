package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"belay/internal/exactjson"
	"belay/internal/expr"
	"belay/internal/steps"
	"belay/internal/wire"
)

// ErrDocument marks a document that cannot be compiled: it was not made by [ParsePlan], or by another version of it.
var ErrDocument = errors.New("the run's document is not valid")

// Compile makes the program of a [Document.JSON]. It is pure: the same bytes give the same program in every process.
// The expressions in it hold no state and may be called at the same time by many runs.
func Compile(document []byte) (*steps.Program, error) {
	p := &steps.Program{Digest: digest(document)}
	if err := exactjson.Unmarshal(document, &p.Definition); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDocument, err)
	}
	needs, err := checkDefinition(&p.Definition)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDocument, err)
	}
	if err := compileNodes(p, needs); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDocument, err)
	}
	if err := errors.Join(compileAsks(p), compileReshapes(p), compileSummaries(p), compileUndos(p)); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDocument, err)
	}
	return steps.Link(p), nil
}

func digest(document []byte) string {
	sum := sha256.Sum256(document)
	return hex.EncodeToString(sum[:])
}

// checkDefinition makes sure of what the core relies on. Documents come from the log, and whoever may submit can write
// anything there.
func checkDefinition(d *steps.Definition) (graph, error) {
	if len(d.Plan.Steps) == 0 || len(d.Plan.Steps) > maxSteps {
		return nil, fmt.Errorf("%d steps; a plan has from 1 to %d", len(d.Plan.Steps), maxSteps)
	}
	index := indexOf(d.Plan.Steps)
	needs := make(graph, len(d.Plan.Steps))
	for i := range d.Plan.Steps {
		s := &d.Plan.Steps[i]
		if err := checkStep(d, s, index, i); err != nil {
			return nil, err
		}
		for _, id := range s.Needs {
			j, ok := index[id]
			if !ok {
				return nil, fmt.Errorf("step %q needs unknown step %q", s.ID, id)
			}
			needs[i] = append(needs[i], j)
		}
	}
	if len(needs.order()) < len(needs) {
		return nil, errors.New("its steps need one another in a cycle")
	}
	return needs, checkPinnedUndos(d)
}

func indexOf(list []steps.Step) map[string]int {
	index := make(map[string]int, len(list))
	for i := range list {
		index[list[i].ID] = i
	}
	return index
}

func checkStep(d *steps.Definition, s *steps.Step, index map[string]int, i int) error {
	if !wire.ValidName(s.ID) || index[s.ID] != i {
		return fmt.Errorf("step id %q is not valid, or there twice", s.ID)
	}
	if err := checkPinned(d, s.Tool); err != nil {
		return fmt.Errorf("step %q: %w", s.ID, err)
	}
	if s.Agent != nil {
		if err := checkAgentStep(d, s); err != nil {
			return fmt.Errorf("step %q: %w", s.ID, err)
		}
	}
	if s.Compensate == nil {
		return nil
	}
	if err := checkPinned(d, s.Compensate.Tool); err != nil {
		return fmt.Errorf("step %q: %w", s.ID, err)
	}
	return nil
}

func checkAgentStep(d *steps.Definition, s *steps.Step) error {
	if s.ForEach != "" || len(s.Agent.Prompt) == 0 || s.Agent.Limits.Turns <= 0 || s.Agent.Limits.Calls <= 0 {
		return errors.New("its agent has no prompt or no bound, or is one of many")
	}
	for _, name := range s.Agent.Tools {
		if err := checkPinned(d, name); err != nil {
			return err
		}
	}
	return checkPinnedSummary(d, s.Agent)
}

func checkPinned(d *steps.Definition, name string) error {
	t, ok := d.Tools[name]
	if !ok || !wire.ValidTool(name) || t.Name != name || len(t.Rungs) == 0 {
		return fmt.Errorf("tool %q is not pinned, or has no rungs", name)
	}
	if t.Verify != nil && t.Verify.Name != steps.VerifyRung {
		return fmt.Errorf("the probe of tool %q is called %q", name, t.Verify.Name)
	}
	for _, r := range t.Rungs {
		if !validRung(r.Name) {
			return fmt.Errorf("rung %q of tool %q is not a valid name", r.Name, name)
		}
	}
	return nil
}

func compileNodes(p *steps.Program, needs graph) error {
	views := newViews(indexOf(p.Plan.Steps), needs)
	p.Nodes = make([]steps.Node, len(p.Plan.Steps))
	for i := range p.Nodes {
		if err := compileNode(p, views, i); err != nil {
			return fmt.Errorf("step %q: %w", p.Plan.Steps[i].ID, err)
		}
	}
	if len(p.Plan.Output) == 0 {
		return nil
	}
	t, err := expr.CompileJSON(p.Plan.Output, views.output())
	p.Output = t.Expr()
	return err
}

func compileNode(p *steps.Program, views views, i int) error {
	n, s := &p.Nodes[i], &p.Plan.Steps[i]
	var errs [5]error
	if s.When != "" {
		errs[0] = compileWhen(n, s, views.params(i, s.ForEach != ""))
	}
	if s.ForEach != "" {
		n.ForEach, errs[1] = compileForEach(s, views.step(i))
	}
	if len(s.With) > 0 {
		n.With, errs[2] = compileParams(s.With, views.params(i, s.ForEach != ""))
	}
	if s.Compensate != nil && len(s.Compensate.With) > 0 {
		n.CompensateWith, errs[3] = compileParams(s.Compensate.With, views.undo(i, s.ForEach != ""))
	}
	if s.Agent != nil {
		n.Agent, errs[4] = compileAgent(p, s, views.params(i, false))
	}
	return errors.Join(errs[:]...)
}

func compileWhen(n *steps.Node, s *steps.Step, see expr.Readable) error {
	e, err := expr.CompileBare(s.When, see, true)
	if err != nil {
		return fmt.Errorf("when: %w", err)
	}
	n.When = e.Condition()
	n.WhenPerItem = slices.Contains(e.Uses.Roots, "item") || slices.Contains(e.Uses.Roots, "index")
	return nil
}

func compileForEach(s *steps.Step, see expr.Readable) (steps.Expr, error) {
	e, err := expr.CompileBare(s.ForEach, see, false)
	if err != nil {
		return nil, fmt.Errorf("for_each: %w", err)
	}
	return e.List(), nil
}

func compileParams(raw json.RawMessage, see expr.Readable) (steps.Expr, error) {
	t, err := expr.CompileJSON(raw, see)
	if err != nil {
		return nil, err
	}
	return t.Object(), nil
}
