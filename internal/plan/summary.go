package plan

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"belay/internal/expr"
	"belay/internal/steps"
)

// longestSummary is how long a summary may be as it is written, in characters; people are shown a line of it.
const longestSummary = 500

// readSummary reads the sentence that tells people what a call of the tool is about to do.
func (f *toolsFile) readSummary(t *ToolDef, n *yaml.Node) {
	s, ok := f.Text(n)
	if !ok {
		return
	}
	if utf8.RuneCountInString(s) > longestSummary {
		f.At(n, "", "a summary is one line of at most %d characters", longestSummary)
		return
	}
	t.Summary = s
	f.checkTemplate(n, inTools)
}

// compileSummaries compiles what the tools say about their calls, and finds the order in which they have parameters.
func compileSummaries(p *steps.Program) error {
	p.Summaries = make(map[string]steps.Saying, len(p.Tools))
	for name, t := range p.Tools {
		saying := steps.Saying{Order: propertyNames(t.InputSchema)}
		if t.Summary != "" {
			say, faults := expr.CompileText(t.Summary, inTools, nil)
			if len(faults) > 0 {
				return fmt.Errorf("tool %q: summary: %w", name, expr.Placed{Fault: faults[0]})
			}
			saying.Say = say.Sentence
		}
		p.Summaries[name] = saying
	}
	return nil
}

// propertyNames are the properties of a schema in the order in which it has them.
func propertyNames(schema json.RawMessage) []string {
	var s struct {
		Properties namesInOrder `json:"properties"`
	}
	if json.Unmarshal(schema, &s) != nil {
		return nil
	}
	return s.Properties
}

// namesInOrder are the names of an object as it is written.
type namesInOrder []string

// UnmarshalJSON reads the names and leaves the values.
func (n *namesInOrder) UnmarshalJSON(raw []byte) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return err
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return err
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return err
		}
		*n = append(*n, fmt.Sprint(name))
	}
	return nil
}
