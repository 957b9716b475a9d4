package schema_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"belay/internal/breaker"
	"belay/internal/bus"
	"belay/internal/catalog"
	"belay/internal/dlq"
	"belay/internal/doctor"
	"belay/internal/gates"
	"belay/internal/handoff"
	"belay/internal/limits"
	"belay/internal/passkey"
	"belay/internal/people"
	"belay/internal/runlog"
	"belay/internal/schedules"
	"belay/internal/score"
	"belay/internal/server/api"
	"belay/internal/steps"
	"belay/internal/steps/view"
	"belay/internal/stepstest"
	"belay/internal/wire"
)

// outputs are the types that are written for others; what they are made of comes with them.
var outputs = []any{
	view.Document{}, view.Why{}, handoff.Document{}, handoff.Card{}, handoff.Item{}, handoff.Done{}, handoff.Redrive{}, dlq.Entry{}, runlog.Exported{}, runlog.Summary{},
	bus.Worker{}, doctor.Report{}, gates.Gate{}, gates.Progress{}, schedules.Schedule{}, breaker.Record{}, limits.Limit{}, score.Report{}, score.CauseReport{}, handoff.Removal{}, handoff.Removed{}, passkey.Passkey{}, catalog.Mistake{}, api.End{}, api.Frozen{}, steps.Replay{}, steps.StepMessage{}, steps.Definition{}, steps.Migration{},
}

// events are all types of events.
var events = []steps.Event{
	steps.Submitted{}, steps.Cancelled{}, steps.Migrated{}, steps.Steered{}, steps.Started{}, steps.Progress{}, steps.Resumable{}, steps.Succeeded{}, steps.Failed{}, steps.Objected{},
	steps.Claimed{}, steps.Fired{}, steps.Unserved{}, steps.Withdrawn{}, steps.Damaged{}, steps.Held{}, steps.Released{}, steps.Decided{}, steps.Closed{},
}

// names are those of definitions where the type's own is taken or says too little.
var names = map[reflect.Type]string{
	reflect.TypeFor[view.Document]():     "Run",
	reflect.TypeFor[handoff.Document]():  "DossierDocument",
	reflect.TypeFor[dlq.Entry]():         "DeadLetter",
	reflect.TypeFor[runlog.Exported]():   "Line",
	reflect.TypeFor[runlog.Summary]():    "RunSummary",
	reflect.TypeFor[steps.Step]():        "PlanStep",
	reflect.TypeFor[steps.Approval]():    "ApprovalRule",
	reflect.TypeFor[steps.Agent]():       "PlanAgent",
	reflect.TypeFor[steps.Summary]():     "PlanSummary",
	reflect.TypeFor[steps.Question]():    "AskedByServer",
	reflect.TypeFor[gates.Progress]():    "GateProgress",
	reflect.TypeFor[breaker.Record]():    "Breaker",
	reflect.TypeFor[limits.Slot]():       "LimitSlot",
	reflect.TypeFor[limits.Waiter]():     "LimitWaiter",
	reflect.TypeFor[steps.Breaker]():     "BreakerSettings",
	reflect.TypeFor[score.Report]():      "HowItGoes",
	reflect.TypeFor[score.CauseReport](): "Cause",
	reflect.TypeFor[score.Outcome]():     "ToolOutcome",
	reflect.TypeFor[score.Kind]():        "SpikeKind",
	reflect.TypeFor[breaker.State]():     "BreakerState",
}

// nullable are lists and maps that may be null.
var nullable = []string{"Approval.given", "Dossier.labels", "DossierDocument.labels", "StepMessage.definition"}

// exact are fields about which their types say too little.
var exact = map[string]map[string]any{
	"EventSubmitted.document": ref("Definition"),
	"EventSubmitted.input":    {"type": "object"},
	"StepMessage.params":      {"type": "object"},
	"Line.event":              ref("Event"),
}

// open are kinds of words of which there may be more than are known.
var open = []reflect.Type{reflect.TypeFor[steps.Class](), reflect.TypeFor[people.Action]()}

func ref(name string) map[string]any { return map[string]any{"$ref": "#/$defs/" + name} }

// generator makes definitions of types.
type generator struct {
	t       *testing.T
	sources map[string]*source // by import path
	types   map[string]reflect.Type
	made    map[string]any
}

// TestDefinitions: definitions.json says what the Go types say.
func TestDefinitions(t *testing.T) {
	t.Parallel()
	g := &generator{t: t, sources: map[string]*source{}, types: map[string]reflect.Type{}, made: map[string]any{}}
	for _, v := range outputs {
		g.of(reflect.TypeOf(v))
	}
	g.events()
	versioned(g.made["StepMessage"])
	g.made["DossierOrDeadLetter"] = map[string]any{"anyOf": []any{ref("DossierDocument"), ref("DeadLetter")}, "description": "The record of a message that cannot be read (kind dead_letter) belongs to no step and has less context."}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(g.made); err != nil {
		t.Fatal(err)
	}
	const file = "definitions.json"
	if have, err := os.ReadFile(file); os.Getenv("BELAY_EXACT") == "" && err == nil && bytes.Equal(undescribed(t, have), undescribed(t, b.Bytes())) && !updating() {
		return // comments may be ahead of it for a while; CI wants them the same
	}
	stepstest.File(t, file, b.String())
}

func updating() bool { return flag.Lookup("update").Value.String() == "true" }

// undescribed are definitions without descriptions.
func undescribed(t *testing.T, definitions []byte) []byte {
	t.Helper()
	var all any
	if err := json.Unmarshal(definitions, &all); err != nil {
		t.Fatal(err)
	}
	var strip func(v any, named bool)
	strip = func(v any, named bool) {
		switch v := v.(type) {
		case map[string]any:
			if _, text := v["description"].(string); text && !named {
				delete(v, "description")
			}
			for key, inner := range v {
				strip(inner, !named && key == "properties")
			}
		case []any:
			for _, inner := range v {
				strip(inner, false)
			}
		}
	}
	strip(all, true)
	text, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// events makes the definitions of events, which have their version and type beside their fields.
func (g *generator) events() {
	all, outcomes := []any{}, []any{}
	for _, e := range events {
		kind, body, err := wire.EncodeEvent(e)
		if err != nil {
			g.t.Fatal(err)
		}
		var head struct{ Type string }
		if err := json.Unmarshal(body, &head); err != nil {
			g.t.Fatal(err)
		}
		t := reflect.TypeOf(e)
		name := "Event" + t.Name()
		d := g.object(name, t)
		versioned(d)["type"] = map[string]any{"const": head.Type}
		d["required"] = append(d["required"].([]string), "type")
		g.made[name] = d
		all = append(all, ref(name))
		if kind == wire.KindOutcome {
			outcomes = append(outcomes, ref(name))
		}
	}
	g.made["Event"] = map[string]any{"oneOf": all, "description": "An entry of a run's log. One that this version cannot read is shown as it was sent, and is none of these."}
	g.made["Outcome"] = map[string]any{"oneOf": outcomes, "description": "What a worker reports of an attempt. A claim has a subject of its own."}
}

// versioned gives the definition of what crosses NATS a version, and returns its properties.
func versioned(definition any) map[string]any {
	d := definition.(map[string]any)
	d["required"] = append(d["required"].([]string), "v")
	fields := d["properties"].(map[string]any)
	fields["v"] = map[string]any{"const": wire.Version, "description": "version of the format"}
	return fields
}

// of is the schema of a type.
func (g *generator) of(t reflect.Type) map[string]any {
	switch t {
	case reflect.TypeFor[time.Time]():
		return map[string]any{"type": "string", "format": "date-time"}
	case reflect.TypeFor[steps.Duration](), reflect.TypeFor[steps.Money]():
		return map[string]any{"type": "number"}
	case reflect.TypeFor[json.RawMessage]():
		return map[string]any{"type": []string{"string", "number", "boolean", "object", "array", "null"}}
	case reflect.TypeFor[[]byte]():
		return map[string]any{"type": "string", "contentEncoding": "base64"}
	}
	switch t.Kind() {
	case reflect.String:
		if words := g.source(t).words[t.Name()]; len(words) > 0 && !slices.Contains(open, t) {
			return g.named(t)
		}
		return map[string]any{"type": "string"}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Int, reflect.Int64, reflect.Uint64:
		return map[string]any{"type": "integer"}
	case reflect.Float64:
		return map[string]any{"type": "number"}
	case reflect.Slice:
		return map[string]any{"type": "array", "items": g.of(t.Elem())}
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": g.of(t.Elem())}
	case reflect.Pointer:
		return g.of(t.Elem())
	case reflect.Struct:
		return g.named(t)
	}
	g.t.Fatalf("no schema of %s", t)
	return nil
}

// named refers to the definition of a struct or a kind of words, which it makes.
func (g *generator) named(t reflect.Type) map[string]any {
	name := names[t]
	if name == "" {
		name = strings.ToUpper(t.Name()[:1]) + t.Name()[1:]
	}
	if other, taken := g.types[name]; taken {
		if other != t {
			g.t.Fatalf("%s and %s have one name: say others in names", t, other)
		}
		return ref(name)
	}
	g.types[name] = t
	if t.Kind() == reflect.String {
		g.made[name] = g.words(t)
	} else {
		g.made[name] = g.object(name, t)
	}
	return ref(name)
}

// words is the definition of a closed set of words, with what each means.
func (g *generator) words(t reflect.Type) map[string]any {
	values, text := []string{}, g.source(t).types[t.Name()]
	for _, w := range g.source(t).words[t.Name()] {
		values = append(values, w.word)
		if w.text != "" {
			text += "; " + w.word + ": " + w.text
		}
	}
	return map[string]any{"type": "string", "enum": values, "description": text}
}

// object is the definition of a struct.
func (g *generator) object(name string, t reflect.Type) map[string]any {
	properties, required := map[string]any{}, []string{}
	for _, f := range reflect.VisibleFields(t) {
		tag, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous || !f.IsExported() || tag == "-" {
			continue
		}
		if tag == "" {
			g.t.Fatalf("%s.%s has no name in JSON", t, f.Name)
		}
		optional := options == "omitempty" || options == "omitzero"
		if !optional {
			required = append(required, tag)
		}
		at := name + "." + tag
		s, special := exact[at]
		if !special {
			s = g.field(at, f, optional)
		}
		properties[tag] = g.described(s, owner(t, f), f)
	}
	slices.Sort(required)
	d := map[string]any{"type": "object", "properties": properties, "required": required, "additionalProperties": false}
	if doc := g.source(t).types[t.Name()]; doc != "" {
		d["description"] = doc
	}
	return d
}

// field is the schema of a field's values. A pointer that is always written may be null.
func (g *generator) field(at string, f reflect.StructField, optional bool) map[string]any {
	s := g.of(f.Type)
	switch {
	case f.Type.Kind() == reflect.Pointer && !optional && s["$ref"] != nil:
		return map[string]any{"anyOf": []any{s, map[string]any{"type": "null"}}}
	case f.Type.Kind() == reflect.Pointer && !optional, slices.Contains(nullable, at):
		s["type"] = []any{s["type"], "null"}
	}
	return s
}

// described adds what the field's comment says.
func (g *generator) described(s map[string]any, in reflect.Type, f reflect.StructField) map[string]any {
	text := g.source(in).fields[in.Name()+"."+f.Name]
	if f.Type == reflect.TypeFor[steps.Duration]() && !strings.Contains(text, "seconds") {
		text = strings.TrimPrefix(text+"; in seconds", "; ")
	}
	if text == "" {
		return s
	}
	d := map[string]any{"description": text}
	for k, v := range s {
		d[k] = v
	}
	return d
}

// owner is the struct that a promoted field is written in.
func owner(t reflect.Type, f reflect.StructField) reflect.Type {
	for _, i := range f.Index[:len(f.Index)-1] {
		t = t.Field(i).Type
	}
	return t
}

func (g *generator) source(t reflect.Type) *source {
	path := t.PkgPath()
	if path == "" {
		return &source{}
	}
	if g.sources[path] == nil {
		s, err := read("../.." + strings.TrimPrefix(path, "belay"))
		if err != nil {
			g.t.Fatal(fmt.Errorf("%s: %w", path, err))
		}
		g.sources[path] = s
	}
	return g.sources[path]
}
