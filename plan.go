package belay

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"belay/belaytype"
	"belay/internal/plan"
	"belay/internal/prove"
	"belay/internal/steps"
	"belay/internal/yamldoc"
)

// Tools is a checked tools file: tools by name, each with its policy and its ladder of rungs.
type Tools struct {
	tools *plan.Tools
	text  []byte
}

// LoadTools reads and checks a tools file. Its mistakes are returned as [Problems], all of them, with their positions.
func LoadTools(path string) (*Tools, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("belay: read tools: %w", err)
	}
	return ParseTools(path, text)
}

// ParseTools reads the text of a tools file; name is for messages, and relative paths in it start at its folder.
func ParseTools(name string, text []byte) (*Tools, error) {
	t, err := plan.ParseTools(name, text)
	if err != nil {
		return nil, public(err)
	}
	return &Tools{t, text}, nil
}

// File is the name of the file, as it was given.
func (t *Tools) File() string { return t.tools.File }

// Text returns the text of the file.
func (t *Tools) Text() []byte { return slices.Clone(t.text) }

// Names lists the tools, sorted.
func (t *Tools) Names() []string { return slices.Sorted(maps.Keys(t.tools.Tools)) }

// WithoutWaits returns a copy of t, for tests, that waits at most a millisecond before a retry. Pass it to [ParsePlan]:
// the waits are pinned into the plan. Workers read [Tools.Text], which is unchanged.
func (t *Tools) WithoutWaits() *Tools {
	const most = steps.Duration(time.Millisecond)
	short := *t.tools
	short.Tools = make(map[string]*plan.ToolDef, len(t.tools.Tools))
	for name, def := range t.tools.Tools {
		hasty := *def
		hasty.Tool.Rungs = slices.Clone(def.Tool.Rungs)
		for i := range hasty.Tool.Rungs {
			r := &hasty.Tool.Rungs[i].Retry
			r.Initial, r.Max = min(r.Initial, most), min(r.Max, most)
		}
		short.Tools[name] = &hasty
	}
	return &Tools{&short, t.text}
}

// Plan is a checked plan with the policies of its tools pinned into it. It can be submitted any number of times.
type Plan struct {
	doc      *plan.Document
	findings yamldoc.Problems // of `dispatcher prove`, when the plan was read
}

// LoadPlan reads a plan and checks it against its tools. Its mistakes are returned as [Problems], all of them, with their
// positions; an error that `dispatcher prove` finds in how it fails is one too.
func LoadPlan(path string, tools *Tools) (*Plan, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("belay: read plan: %w", err)
	}
	return ParsePlan(path, text, tools)
}

// ParsePlan is LoadPlan for the text of a plan; name is for messages.
func ParsePlan(name string, text []byte, tools *Tools) (*Plan, error) {
	var t *plan.Tools
	if tools != nil {
		t = tools.tools
	}
	d, err := plan.ParsePlan(name, text, t)
	if err != nil {
		return nil, public(err)
	}
	report := prove.Check(d, t, time.Now())
	if err := report.Refusals().Err(); err != nil {
		return nil, public(err)
	}
	return &Plan{d, report.Problems()}, nil
}

// Name is the plan's name.
func (p *Plan) Name() string { return p.doc.Definition.Plan.Name }

// Warnings lists what is allowed in the plan, but may not be what its author meant.
func (p *Plan) Warnings() []belaytype.Problem { return each(p.doc.Warnings, problem) }

// Strict returns what `dispatcher prove --strict` refuses the plan for, warnings that it does not waive included, as
// [Problems]; nil if there is nothing. A program that calls it before it submits starts what `dispatcher run --strict` would.
func (p *Plan) Strict() error {
	if err := p.findings.Err(); err != nil {
		return public(err)
	}
	return nil
}

// input encodes the input of a run, and checks it against the plan.
func (p *Plan) input(in any) (json.RawMessage, error) {
	given, err := inputOf(in)
	if err != nil {
		return nil, err
	}
	return p.doc.CheckInput(given)
}

// inputOf encodes the values of an input by their names.
func inputOf(in any) (map[string]json.RawMessage, error) {
	given := map[string]json.RawMessage{}
	if in == nil {
		return given, nil
	}
	b, err := json.Marshal(in)
	if err != nil {
		return nil, fmt.Errorf("the input cannot be written as JSON: %w", err)
	}
	if err := json.Unmarshal(b, &given); err != nil {
		return nil, fmt.Errorf("the input must be an object, a struct or a map, not %T", in)
	}
	return given, nil
}

// Problems are all mistakes of a plan or a tools file, in the order of the text. The error has a line for each.
type Problems []belaytype.Problem

// Error has a line for each mistake: file, line, column, message and hint.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, one := range p {
		lines[i] = yamldoc.Problem(one).String()
	}
	return strings.Join(lines, "\n")
}
