package plan

import (
	"encoding/json"
	"fmt"

	"go.yaml.in/yaml/v4"

	"belay/internal/expr"
	"belay/internal/steps"
)

// readOutput reads a rung's `output`: a template over the parameters and over what came back, whose value is the step's
// output.
func (f *toolsFile) readOutput(r *RungDef, n *yaml.Node) {
	before := len(f.Problems)
	f.json(&r.output)(n)
	f.checkTemplate(n, inProbe)
	if len(f.Problems) > before || r.output == nil {
		return
	}
	t, err := expr.CompileJSON(r.output, inProbe)
	if err != nil {
		f.At(n, "", "output: %v", err)
		return
	}
	place := fmt.Sprintf("%s:%d:%d", f.FileName(), n.Line, n.Column)
	r.Reshape = func(params, output json.RawMessage) (json.RawMessage, error) {
		reshaped, err := t.Reshape(params, output)
		if err != nil {
			return nil, fmt.Errorf("the rung's output, %s: %w", place, err)
		}
		return reshaped, nil
	}
}

// settleOutput gives the template to whoever applies it: the core for what people answer, else the worker.
func (r *RungDef) settleOutput() {
	if r.Human != nil {
		r.Human.Output, r.Reshape = r.output, nil
	}
}

// compileReshapes compiles what makes outputs of the answers that people give.
func compileReshapes(p *steps.Program) error {
	p.Reshapes = map[string]map[int]steps.Expr{}
	for name, tool := range p.Tools {
		for k, r := range tool.Rungs {
			if r.Human == nil || len(r.Human.Output) == 0 {
				continue
			}
			t, err := expr.CompileJSON(r.Human.Output, inProbe)
			if err != nil {
				return fmt.Errorf("tool %q: rung %q: output: %w", name, r.Name, err)
			}
			if p.Reshapes[name] == nil {
				p.Reshapes[name] = map[int]steps.Expr{}
			}
			p.Reshapes[name][k] = t.Expr()
		}
	}
	return nil
}
