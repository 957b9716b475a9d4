package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"go.yaml.in/yaml/v4"

	"belay/internal/steps"
)

// define gives a digest for each part of a tool that says what it does to the world, as it is written in the file. The
// summary is one: it is what people read of a call before they approve it, and whoever submits could else pin another
// sentence than the one that the worker knows.
func (f *toolsFile) define(t *ToolDef, n *yaml.Node) map[string]string {
	parts := map[string]string{"effects": sum([]byte(t.Effects))}
	for name, schema := range map[string]json.RawMessage{"input_schema": t.InputSchema, "output_schema": t.OutputSchema} {
		if len(schema) > 0 {
			parts[name] = sum(inAnyOrder(schema))
		}
	}
	if t.Summary != "" {
		parts["summary"] = sum([]byte(t.Summary))
	}
	for i, e := range resolve(valueOf(n, "rungs")).Content {
		if i >= len(t.Rungs) {
			break
		}
		config := valueOf(resolve(e), t.Rungs[i].Executor)
		if config == nil {
			continue // reported already
		}
		v, _ := (&reader{src: f.src}).value(config)
		rung := map[string]any{t.Rungs[i].Executor: v}
		if t.Rungs[i].output != nil {
			rung["output"] = steps.Decode(t.Rungs[i].output)
		}
		raw, err := canonical(rung)
		if err == nil {
			parts["rung "+t.Rungs[i].Name] = sum(raw)
		}
	}
	return parts
}

// inAnyOrder is a schema that reads the same in whatever order it is written.
func inAnyOrder(schema json.RawMessage) json.RawMessage {
	raw, err := canonical(steps.Decode(schema))
	if err != nil {
		return schema
	}
	return raw
}

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

// held makes the worker's own question whether a call needs approval. What cannot be told does.
func held(when string) func(params json.RawMessage) bool {
	if when == "" {
		return func(json.RawMessage) bool { return true }
	}
	e, err := compileBare(when, inTools, true)
	if err != nil {
		return func(json.RawMessage) bool { return true } // reported already, with its place
	}
	return func(params json.RawMessage) bool {
		v, err := e.evaluate(withParams(steps.Decode(params)))
		need, ok := v.(bool)
		return err != nil || !ok || need
	}
}
