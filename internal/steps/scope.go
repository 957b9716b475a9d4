package steps

import (
	"bytes"
	"encoding/json"
)

// Scope is what an expression of a plan may see. Values are decoded JSON: map[string]any, []any, string, bool, nil and
// json.Number, which keeps numbers exactly as written.
type Scope struct {
	state *State
	item  json.RawMessage
	index int
	each  bool

	params, output json.RawMessage // of a call, for what is asked about it
	untrusted      bool            // what that call is made from
}

// Input is the run's input. It is decoded once for each run, since most steps ask for it.
func (c Scope) Input() any {
	if c.state.decoded == nil {
		c.state.decoded = Decode(c.state.Input)
	}
	return c.state.decoded
}

// Step is what the root `steps.<id>` shows: output, state, degraded, degraded_by, rejection. Nil if the plan has no such step.
func (c Scope) Step(id string) map[string]any { return c.state.stepRoot(id) }

// Item is the value and index of the for_each item at hand; ok is false outside one.
func (c Scope) Item() (value any, index int, ok bool) { return Decode(c.item), c.index, c.each }

// Params are the parameters of the call that the expression is about; nil if it is not about a call.
func (c Scope) Params() any { return Decode(c.params) }

// Output is what that call gave.
func (c Scope) Output() any { return Decode(c.output) }

// Untrusted reports whether that call is made from what nobody vouches for.
func (c Scope) Untrusted() bool { return c.untrusted }

// Run is what the root `run` shows: id, workflow, labels.
func (c Scope) Run() map[string]any {
	labels := make(map[string]any, len(c.state.Labels))
	for k, v := range c.state.Labels {
		labels[k] = v
	}
	return map[string]any{"id": c.state.Run, "workflow": c.state.Program.Plan.Name, "labels": labels}
}

// Decode reads JSON with numbers as json.Number. It returns nil for what is empty or not JSON.
func Decode(raw json.RawMessage) any {
	if len(raw) == 0 {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return nil
	}
	return v
}
