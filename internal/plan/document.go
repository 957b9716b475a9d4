package plan

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"

	"belay/internal/steps"
)

// Document is a checked plan with the policies of its tools pinned into it.
type Document struct {
	File       string           // where it came from, for messages
	Definition steps.Definition // the plan with all defaults filled in, and its tools
	JSON       []byte           // canonical bytes of Definition: what is submitted, and what [Compile] takes
	Program    *steps.Program   // what Compile gives for JSON
	Warnings   Problems         // what is no mistake, and may still not be meant; of the plan and of its tools

	checkInput check
}

// LoadPlan reads and checks the plan in a file. See [ParsePlan].
func LoadPlan(path string, tools *Tools) (*Document, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read plan: %w", err)
	}
	return ParsePlan(path, data, tools)
}

// ParsePlan checks a plan against a tools file. The error is [Problems]: all mistakes, not the first one. Tools may be
// nil; then every tool is unknown.
func ParsePlan(file string, data []byte, tools *Tools) (*Document, error) {
	p := &planFile{reader: &reader{}}
	root, ok := p.parse(file, data, "plan")
	if !ok {
		return nil, p.problems.err()
	}
	p.read(root)
	p.checkSteps(tools)
	if len(p.problems) > 0 {
		return nil, p.problems.err()
	}
	return p.document(tools)
}

func (p *planFile) document(tools *Tools) (*Document, error) {
	d := &Document{File: p.src.file, Definition: p.definition(tools), checkInput: p.schemaChecks, Warnings: p.warningsOf(tools)}
	var err error
	if d.JSON, err = marshal(d.Definition); err != nil {
		return nil, fmt.Errorf("write plan: %w", err)
	}
	if len(d.JSON) > steps.MaxSubmitted {
		p.at(p.root, "split it, or pass large values as input", "the plan with its tools takes %d bytes, at most %d are possible", len(d.JSON), steps.MaxSubmitted)
		return nil, p.problems.err()
	}
	if d.Program, err = Compile(d.JSON); err != nil {
		return nil, Problems{{File: p.src.file, Message: err.Error()}}
	}
	return d, nil
}

// definition pins only the tools that the plan names, so that other changes of the tools file change no digest.
func (p *planFile) definition(tools *Tools) steps.Definition {
	d := steps.Definition{Plan: p.plan, Tools: map[string]steps.Tool{}}
	for _, s := range p.steps {
		d.Plan.Steps = append(d.Plan.Steps, s.Step)
		d.Tools[s.Tool] = tools.Tools[s.Tool].Tool
		if s.Compensate != nil {
			d.Tools[s.Compensate.Tool] = tools.Tools[s.Compensate.Tool].Tool
		}
	}
	return d
}

// marshal writes JSON without escaping <, > and &. Struct fields keep their order and maps are sorted, so the same
// definition always gives the same bytes.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
