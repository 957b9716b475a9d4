package drill

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"belay/internal/plan"
	"belay/internal/steps"
)

// samples are outputs that tools might give, such that the plan gets through.
type samples struct {
	steps  map[string]json.RawMessage // by step
	tools  map[string]json.RawMessage // by tool, for compensations
	probes map[string][2]json.RawMessage
	calls  map[string][]proposal // of the model of an agent, by step
	sums   map[string]bool       // by step: the turns of its agent are summarised
	left   []NotDrilled
}

// SampleError says that no output of a tool could be made up.
type SampleError struct {
	Step, Tool string
	Why        error
}

func (e *SampleError) Error() string {
	return fmt.Sprintf("step %s: no output of %s could be made up: %v; give one with --outputs FILE, as `%s: ...` in YAML", e.Step, e.Tool, e.Why, e.Step)
}

func (e *SampleError) Unwrap() error { return e.Why }

// sampler makes samples of what is known: what somebody gives, a fixed rung's value, the output schema, and what the plan's
// expressions read.
type sampler struct {
	d     *Drill
	reads reader
}

func (d *Drill) sample() (*samples, error) {
	s := &sampler{d: d, reads: reader{truth: true, roots: map[string]*shape{"steps": {}, "input": {}}}}
	def := &d.Doc.Definition
	for i := range def.Plan.Steps {
		s.readStep(&def.Plan.Steps[i])
	}
	s.reads.template(steps.Decode(def.Plan.Output), nil)
	all := &samples{steps: map[string]json.RawMessage{}, tools: map[string]json.RawMessage{}, probes: map[string][2]json.RawMessage{}, calls: map[string][]proposal{}, sums: map[string]bool{}}
	for i := range def.Plan.Steps {
		st := &def.Plan.Steps[i]
		out, err := s.stepOutput(st)
		if err != nil {
			return nil, &SampleError{st.ID, st.Tool, err}
		}
		all.steps[st.ID] = out
		if st.Agent != nil {
			calls, left := d.script(st)
			is, more := summarised(st, calls)
			all.calls[st.ID], all.sums[st.ID], all.left = calls, is, slices.Concat(all.left, left, more)
		}
	}
	for name := range def.Tools {
		t := d.Tools.Tools[name]
		if t == nil { // the tool with which an agent asks a person
			continue
		}
		all.tools[name] = encode(s.readByUndo(t, sampleOf(object(t.OutputSchema), 0)))
		if given, ok := d.Outputs[name]; ok {
			all.tools[name] = given
		}
		if t.Verify != nil {
			all.probes[name] = [2]json.RawMessage{s.probe(name, t, false), s.probe(name, t, true)}
		}
	}
	return all, nil
}

// readStep notes what the expressions of a step read of steps before it.
func (s *sampler) readStep(st *steps.Step) {
	input := object(s.d.Doc.Definition.Tools[st.Tool].InputSchema)
	s.reads.template(steps.Decode(st.With), input)
	if st.When != "" {
		s.reads.read(bare(st.When), hint{value: true})
	}
	if st.ForEach != "" {
		s.reads.read(bare(st.ForEach), hint{list: true})
	}
	if st.Compensate != nil {
		s.reads.template(steps.Decode(st.Compensate.With), object(s.d.Doc.Definition.Tools[st.Compensate.Tool].InputSchema))
	}
}

// stepOutput is what a step gives.
func (s *sampler) stepOutput(st *steps.Step) (json.RawMessage, error) {
	if st.Agent != nil {
		return s.agentOutput(st)
	}
	return s.output(st, s.d.Tools.Tools[st.Tool])
}

// output is what the tool of a step gives, for each item where it has some.
func (s *sampler) output(st *steps.Step, t *plan.ToolDef) (json.RawMessage, error) {
	if given, ok := s.d.Outputs[st.ID]; ok {
		return given, check(t, given)
	}
	if given, ok := s.d.Outputs[st.Tool]; ok {
		return given, check(t, given)
	}
	base := sampleOf(object(t.OutputSchema), 0)
	for _, r := range t.Rungs {
		if r.Spec.Static != nil {
			base = steps.Decode(r.Spec.Static.Output)
		}
	}
	base = s.readByUndo(t, base)
	read := s.reads.roots["steps"].field(st.ID).fields["output"]
	if read != nil && st.ForEach != "" && read.elem != nil {
		read = read.elem // the step's output is the list of these
	}
	out := encode(read.sample(base))
	if err := check(t, out); err != nil {
		return nil, err
	}
	return out, nil
}

// readByUndo is base, with what the call reads of it that undoes one of the tool.
func (s *sampler) readByUndo(t *plan.ToolDef, base any) any {
	if t.Undo == nil {
		return base
	}
	r := reader{truth: true, roots: map[string]*shape{"output": {}}}
	r.template(steps.Decode(t.Undo.With), object(s.d.Tools.Tools[t.Undo.Tool].InputSchema))
	return r.roots["output"].sample(base)
}

func check(t *plan.ToolDef, out json.RawMessage) error {
	if t.CheckOutput == nil {
		return nil
	}
	return t.CheckOutput(out)
}

// probe is what a tool's probe gives when the call has happened, or has not.
func (s *sampler) probe(name string, t *plan.ToolDef, happened bool) json.RawMessage {
	word := name + "/verify"
	if happened {
		word += "/yes"
	} else {
		word += "/no"
	}
	if given, ok := s.d.Outputs[word]; ok {
		return given
	}
	r := reader{truth: happened, roots: map[string]*shape{"output": {}}}
	r.read(bare(t.Verify.Happened), hint{value: happened})
	return encode(r.roots["output"].sample(nil))
}

func bare(written string) string {
	written = strings.TrimSpace(written)
	if inner, is := strings.CutPrefix(written, "${"); is {
		return strings.TrimSpace(strings.TrimSuffix(inner, "}"))
	}
	return written
}

func object(raw json.RawMessage) map[string]any {
	m, _ := steps.Decode(raw).(map[string]any)
	return m
}

func encode(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		return json.RawMessage("null")
	}
	return b
}

// deepest is how deep a sample goes into a schema that may contain itself.
const deepest = 8

// sampleOf is a value that a simple JSON Schema allows: its example, its default, the first of its choices, or the smallest
// value of its type. An empty object for no schema.
func sampleOf(schema map[string]any, depth int) any {
	if depth > deepest {
		return nil
	}
	for _, key := range []string{"const", "default"} {
		if v, ok := schema[key]; ok {
			return v
		}
	}
	for _, key := range []string{"examples", "enum"} {
		if list, ok := schema[key].([]any); ok && len(list) > 0 {
			return list[0]
		}
	}
	for _, key := range []string{"oneOf", "anyOf", "allOf"} {
		if list, ok := schema[key].([]any); ok && len(list) > 0 {
			first, _ := list[0].(map[string]any)
			return sampleOf(first, depth+1)
		}
	}
	return ofType(schema, depth)
}

func ofType(schema map[string]any, depth int) any {
	kind, _ := schema["type"].(string)
	if list, is := schema["type"].([]any); is && len(list) > 0 {
		kind, _ = list[0].(string)
	}
	switch kind {
	case "string":
		return text(schema)
	case "integer", "number":
		return atLeast(schema)
	case "boolean":
		return true
	case "null":
		return nil
	case "array":
		items, _ := schema["items"].(map[string]any)
		return []any{sampleOf(items, depth+1)}
	}
	properties, _ := schema["properties"].(map[string]any)
	out := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		of, _ := properties[name].(map[string]any)
		out[name] = sampleOf(of, depth+1)
	}
	required, _ := schema["required"].([]any)
	for _, r := range required {
		if name, is := r.(string); is && out[name] == nil {
			out[name] = "sample"
		}
	}
	return out
}

func text(schema map[string]any) string {
	switch schema["format"] {
	case "date":
		return "2026-01-01"
	case "date-time":
		return "2026-01-01T03:00:00Z"
	case "email":
		return "sample@example.com"
	case "uri":
		return "https://example.com/sample"
	case "uuid":
		return "01936f2a-7c1e-7b3a-9d40-5e0192f3a7b1"
	}
	s := "sample"
	if least, is := number(schema["minLength"]); is && len(s) < int(least) {
		s += strings.Repeat("e", int(least)-len(s))
	}
	if most, is := number(schema["maxLength"]); is && len(s) > int(most) {
		s = s[:int(most)]
	}
	return s
}

func atLeast(schema map[string]any) any {
	v := 1.0
	if least, is := number(schema["minimum"]); is {
		v = least
	}
	if least, is := number(schema["exclusiveMinimum"]); is {
		v = least + 1
	}
	if most, is := number(schema["maximum"]); is && v > most {
		v = most
	}
	return v
}

func number(v any) (float64, bool) {
	switch v := v.(type) {
	case json.Number:
		f, err := v.Float64()
		return f, err == nil
	case float64:
		return v, true
	}
	return 0, false
}
