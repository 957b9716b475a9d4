package plan

import (
	"fmt"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"belay/internal/steps"
)

// longestSummary is how long a summary may be as it is written, in characters; people are shown a line of it.
const longestSummary = 500

// readSummary reads what people are told that a call of the tool is about to do.
func (f *toolsFile) readSummary(t *ToolDef, n *yaml.Node) {
	s, ok := f.text(n)
	if !ok {
		return
	}
	if utf8.RuneCountInString(s) > longestSummary {
		f.at(n, "", "a summary is one line, at most %d characters", longestSummary)
		return
	}
	t.Summary = s
	f.checkTemplate(n, inTools)
}

// readInputSchema reads the schema of the parameters, and in which order it has them: people are shown the same one.
func (f *toolsFile) readInputSchema(t *ToolDef, n *yaml.Node) {
	t.CheckInput = f.schema(n, &t.InputSchema)
	properties := valueOf(n, "properties")
	if properties == nil || properties.Kind != yaml.MappingNode {
		return
	}
	for i := 0; i+1 < len(properties.Content); i += 2 {
		t.ParamOrder = append(t.ParamOrder, resolve(properties.Content[i]).Value)
	}
}

// compileSummaries compiles what the tools say about their calls.
func compileSummaries(p *steps.Program) error {
	p.Summaries = map[string]steps.Sentence{}
	for name, t := range p.Tools {
		if t.Summary == "" {
			continue
		}
		say, faults := compileText(t.Summary, inTools, nil)
		if len(faults) > 0 {
			return fmt.Errorf("tool %q: summary: %w", name, placed{fault: faults[0]})
		}
		p.Summaries[name] = say.sentence
	}
	return nil
}

// sentence gives the pieces of t for the parameters of a call.
func (t text) sentence(params any) ([]steps.Piece, error) {
	env := withParams(params)
	pieces := make([]steps.Piece, len(t.parts))
	for i, part := range t.parts {
		s, err := part.evaluate(env)
		if err != nil {
			return nil, err
		}
		pieces[i] = steps.Piece{Text: s, Value: part.expr != nil}
	}
	return pieces, nil
}
