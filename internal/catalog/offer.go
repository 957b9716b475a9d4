package catalog

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"

	"belay/internal/plan"
	"belay/internal/steps"
)

// Offer is a tool or a plan that may be started by its name, as its author describes it.
type Offer struct {
	Kind     string          // tool or plan
	Name     string          // in the tools file, or of the plan
	Input    json.RawMessage // JSON Schema of the parameters or of the input; nil = none was written
	Defaults json.RawMessage // of a plan's input, an object; nil = it declares none
	Output   json.RawMessage // JSON Schema of a tool's output; nil = none was written
	Effects  steps.Effects   // of the tool, or of that tool of the plan whose effects are the worst
	Approval bool            // a person must approve some or all calls
	Fallback bool            // it has more than one rung, so that a result may be degraded
}

// Offers are all that there are: the tools, then the plans, in the order of their names.
func (c *Catalog) Offers() []Offer {
	now := c.now.Load()
	list := make([]Offer, 0, len(now.tools.Tools)+len(now.plans))
	for _, name := range slices.Sorted(maps.Keys(now.tools.Tools)) {
		tool := &now.tools.Tools[name].Tool
		o := Offer{Kind: "tool", Name: name, Input: tool.InputSchema, Output: tool.OutputSchema, Effects: steps.EffectsNone}
		o.use(tool)
		list = append(list, o)
	}
	for _, name := range slices.Sorted(maps.Keys(now.plans)) {
		list = append(list, offerOf(name, now.plans[name]))
	}
	return list
}

func offerOf(name string, doc *plan.Document) Offer {
	o := Offer{Kind: "plan", Name: name, Input: doc.Definition.Plan.InputSchema, Defaults: doc.Definition.Plan.Input, Effects: steps.EffectsNone}
	for _, tool := range doc.Definition.Tools {
		o.use(&tool)
	}
	return o
}

// use notes what a tool adds.
func (o *Offer) use(t *steps.Tool) {
	worst := []steps.Effects{steps.EffectsNone, steps.EffectsIdempotent, steps.EffectsUnsafe}
	o.Effects = worst[max(slices.Index(worst, o.Effects), slices.Index(worst, cmp.Or(t.Effects, steps.EffectsUnsafe)))]
	o.Approval = o.Approval || t.Approval != nil
	o.Fallback = o.Fallback || len(t.Rungs) > 1
}

// OnReload calls f after the files were read again without mistakes.
func (c *Catalog) OnReload(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hear = append(c.hear, f)
}
