package plan

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"belay/internal/exactjson"
)

// Reopen makes a document of what a run was submitted with. It has no places, warnings and waivers: those are in the file that
// nobody has any more.
func Reopen(document []byte) (*Document, error) {
	d := &Document{JSON: document}
	err := exactjson.Unmarshal(document, &d.Definition)
	if err == nil {
		d.Program, err = Compile(document)
	}
	if err == nil {
		d.checkInput, err = CompileSchema(d.Definition.Plan.InputSchema)
	}
	if err != nil {
		return nil, fmt.Errorf("the plan of the run: %w", err)
	}
	return d, nil
}

// InputOver is the input of a run that has the values of another run's input, as far as the plan knows their names, but for
// those that are given.
func (d *Document) InputOver(before json.RawMessage, given map[string]json.RawMessage) (json.RawMessage, error) {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(before, &all); err != nil {
		return nil, fmt.Errorf("the input of the other run: %w", err)
	}
	known := d.inputNames(d.defaults())
	for name := range all {
		if d.Definition.Plan.Input != nil && !slices.Contains(known, name) {
			delete(all, name)
		}
	}
	if all == nil {
		all = map[string]json.RawMessage{}
	}
	maps.Copy(all, given)
	return d.CheckInput(all)
}
