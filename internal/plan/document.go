package plan

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"

	"belay/internal/steps"
	"belay/internal/yamldoc"
)

// Document is a checked plan with the policies of its tools pinned into it.
type Document struct {
	File       string           // where it came from, for messages
	Definition steps.Definition // the plan with all defaults filled in, and its tools
	JSON       []byte           // canonical bytes of Definition: what is submitted, and what [Compile] takes
	Program    *steps.Program   // what Compile gives for JSON
	Warnings   yamldoc.Problems // what is not a mistake but may not be meant; of the plan and of its tools
	Waivers    []Waiver         // findings that are accepted, in the order of the document

	checkInput check
	places     map[[2]string]Place
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
	p := &planFile{reader: &reader{&yamldoc.Reader{}}}
	root, ok := p.Parse(file, data, "plan")
	if !ok {
		return nil, p.Problems.Err()
	}
	p.read(root)
	p.checkSteps(tools)
	if len(p.Problems) > 0 {
		return nil, p.Problems.Err()
	}
	return p.document(tools)
}

func (p *planFile) document(tools *Tools) (*Document, error) {
	d := &Document{File: p.FileName(), Definition: p.definition(tools), checkInput: p.schemaChecks, Warnings: p.warningsOf(tools), places: p.placesOf()}
	for _, w := range p.waivers {
		d.Waivers = append(d.Waivers, w.Waiver)
	}
	var err error
	if d.JSON, err = marshal(d.Definition); err != nil {
		return nil, fmt.Errorf("write plan: %w", err)
	}
	if len(d.JSON) > steps.MaxSubmitted {
		p.At(p.root, "split it, or pass large values as input", "the plan with its tools takes %d bytes; at most %d are allowed", len(d.JSON), steps.MaxSubmitted)
		return nil, p.Problems.Err()
	}
	if d.Program, err = Compile(d.JSON); err != nil {
		return nil, yamldoc.Problems{{File: p.FileName(), Message: err.Error()}}
	}
	return d, nil
}

// definition pins only the tools that the plan names, and those that undo them, so that other changes of the tools file change
// no digest.
func (p *planFile) definition(tools *Tools) steps.Definition {
	d := steps.Definition{Plan: p.plan, Tools: map[string]steps.Tool{}}
	for _, s := range p.steps {
		d.Plan.Steps = append(d.Plan.Steps, s.Step)
		tools.Pin(d.Tools, s.Tool)
		if s.Agent != nil {
			for _, name := range s.Agent.Tools {
				tools.Pin(d.Tools, name)
			}
			if s.Agent.Summary != nil {
				tools.Pin(d.Tools, s.Agent.Summary.Model)
			}
		}
		if s.Compensate != nil {
			tools.Pin(d.Tools, s.Compensate.Tool)
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
