package wire

import (
	"encoding/json"
	"strconv"
	"time"

	"belay/internal/exactjson"
	"belay/internal/steps"
)

// Two bodies are written for every step that succeeds, the step message and its outcome, and one for every run. They are put together by
// hand, because their large parts are JSON already, and encoding/json would read and compact them again. What is read
// back is the same; codec_test.go holds it against encoding/json.

// object appends the fields of one JSON object.
type object struct{ b []byte }

func (o *object) key(name string) {
	if o.b[len(o.b)-1] != '{' {
		o.b = append(o.b, ',')
	}
	o.b = append(o.b, '"')
	o.b = append(o.b, name...)
	o.b = append(o.b, '"', ':')
}

func (o *object) text(name, v string) {
	o.key(name)
	o.b = appendText(o.b, v)
}

func (o *object) optional(name, v string) {
	if v != "" {
		o.text(name, v)
	}
}

func (o *object) texts(name string, list []string) {
	o.key(name)
	o.b = append(o.b, '[')
	for i, v := range list {
		if i > 0 {
			o.b = append(o.b, ',')
		}
		o.b = appendText(o.b, v)
	}
	o.b = append(o.b, ']')
}

func (o *object) number(name string, v int) {
	o.key(name)
	o.b = strconv.AppendInt(o.b, int64(v), 10)
}

// raw puts JSON in as it is; nothing is null.
func (o *object) raw(name string, v json.RawMessage) {
	o.key(name)
	if len(v) == 0 {
		o.b = append(o.b, "null"...)
		return
	}
	o.b = append(o.b, v...)
}

func (o *object) seconds(name string, d steps.Duration) {
	if d == 0 {
		return
	}
	o.key(name)
	o.b = d.AppendSeconds(o.b)
}

func (o *object) time(name string, t time.Time) {
	if t.IsZero() {
		return
	}
	o.key(name)
	o.b = append(o.b, '"')
	o.b = t.AppendFormat(o.b, time.RFC3339Nano)
	o.b = append(o.b, '"')
}

func (o *object) attempt(a steps.Attempt) {
	o.text("step", a.Step)
	o.number("round", a.Round)
	o.number("rung", a.Rung)
	o.number("try", a.Try)
}

// appendText quotes a string; only those with something to escape need encoding/json.
func appendText(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c >= 0x7f || c == '"' || c == '\\' {
			return appendEscaped(b, s)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

func appendEscaped(b []byte, s string) []byte {
	q, err := marshal(s)
	if err != nil {
		q = []byte(`""`) // a string can always be written
	}
	return append(b, q...)
}

func appendSucceeded(e steps.Succeeded) []byte {
	o := object{append(make([]byte, 0, 224+len(e.Output)), `{"v":1,"type":"succeeded"`...)}
	o.attempt(e.Attempt)
	o.text("worker", e.Worker)
	o.seconds("age", e.Age)
	o.time("started", e.Started)
	o.seconds("took", e.Took)
	if e.Usage != nil {
		if b, err := marshal(e.Usage); err == nil { // numbers and texts always can be written
			o.raw("usage", b)
		}
	}
	o.raw("output", e.Output) // last: scan.go finds its end there
	return append(o.b, '}')
}

// appendSubmitted takes document and input in as they are; ok is false for what is left to
// encoding/json: what is not JSON, and a run that goes on from another, or does it again.
func appendSubmitted(e steps.Submitted) (body []byte, ok bool) {
	sound := e.Program != nil || len(e.Document) == 0 || exactjson.Valid(e.Document) // a program was compiled from it
	if len(e.Carried) > 0 || len(e.Keys) > 0 || e.Replay != nil || e.Migrates != nil || !sound || len(e.Input) > 0 && !exactjson.Valid(e.Input) {
		return nil, false
	}
	o := object{append(make([]byte, 0, 192+len(e.Document)+len(e.Input)), `{"v":1,"type":"submitted"`...)}
	if e.Epoch != 0 {
		o.number("epoch", e.Epoch)
	}
	o.optional("tools_file", e.ToolsFile)
	o.time("at", e.At)
	o.seconds("in", e.In)
	o.optional("by", e.By)
	o.optional("via", e.Via)
	o.optional("reason", e.Reason)
	o.optional("retry_of", e.RetryOf)
	o.optional("key_run", e.KeyRun)
	o.optional("request", e.Request)
	o.optional("token", e.Token)
	if e.Proof != nil {
		b, err := marshal(e.Proof)
		if err != nil {
			return nil, false
		}
		o.raw("proof", b)
	}
	if len(e.Labels) > 0 {
		b, err := marshal(e.Labels)
		if err != nil {
			return nil, false
		}
		o.raw("labels", b)
	}
	o.raw("input", e.Input)
	o.raw("document", e.Document) // last: scan.go finds its end there
	return append(o.b, '}'), true
}

func appendStep(m steps.StepMessage) []byte {
	o := object{append(make([]byte, 0, 384+len(m.Params)), `{"v":1`...)}
	o.text("run", m.Run)
	o.attempt(m.Attempt)
	o.text("workflow", m.Workflow)
	o.text("tool", m.Tool)
	o.text("rung_name", m.RungName)
	o.text("effects", string(m.Effects))
	o.text("key", m.Key)
	o.seconds("timeout", m.Timeout)
	o.time("not_before", m.NotBefore)
	o.time("deadline", m.Deadline)
	o.optional("lane", string(m.Lane))
	if m.Policies != nil {
		o.policies(m.Policies)
	}
	if m.Continues {
		o.raw("continues", json.RawMessage("true"))
	}
	if len(m.Grants) > 0 {
		o.approvals(m)
	}
	o.raw("params", m.Params) // last: scan.go finds its end there
	return append(o.b, '}')
}

func (o *object) policies(p *steps.Policies) {
	o.key("policies")
	in := object{append(o.b, '{')}
	in.texts("heard", p.Heard)
	if len(p.InputSchema) > 0 {
		in.raw("input_schema", p.InputSchema)
	}
	if len(p.OutputSchema) > 0 {
		in.raw("output_schema", p.OutputSchema)
	}
	o.b = append(in.b, '}')
}

// approvals are rare, and left to encoding/json.
func (o *object) approvals(m steps.StepMessage) {
	grants, err := marshal(m.Grants)
	definition, err2 := marshal(m.Definition)
	if err == nil && err2 == nil { // strings and times always can be written
		o.raw("grants", grants)
		o.raw("definition", definition)
	}
}
