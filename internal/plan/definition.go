package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"go.yaml.in/yaml/v4"

	"belay/internal/expr"
	"belay/internal/steps"
	"belay/internal/yamldoc"
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
	var written []*yaml.Node
	if rungs := yamldoc.ValueOf(n, "rungs"); rungs != nil { // that there are none is reported already
		written = rungs.Content
	}
	for i, e := range written {
		if i >= len(t.Rungs) {
			break
		}
		config := yamldoc.ValueOf(yamldoc.Resolve(e), t.Rungs[i].Executor)
		if config == nil {
			continue // reported already
		}
		v, _ := (&yamldoc.Reader{}).Value(config)
		rung := map[string]any{t.Rungs[i].Executor: v}
		if t.Rungs[i].output != nil {
			rung["output"] = steps.Decode(t.Rungs[i].output)
		}
		raw, err := expr.Canonical(rung)
		if err == nil {
			parts["rung "+t.Rungs[i].Name] = sum(raw)
		}
	}
	return parts
}

// inAnyOrder is a schema that reads the same in whatever order it is written.
func inAnyOrder(schema json.RawMessage) json.RawMessage {
	raw, err := expr.Canonical(steps.Decode(schema))
	if err != nil {
		return schema
	}
	return raw
}

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

// needsApproval is the worker's own check whether a call needs approval. A call that cannot be judged needs it.
func needsApproval(when string) func(params json.RawMessage, untrusted bool) bool {
	if when == "" {
		return func(json.RawMessage, bool) bool { return true }
	}
	e, err := expr.CompileBare(when, inApproval, true)
	if err != nil {
		return func(json.RawMessage, bool) bool { return true } // reported already, with its place
	}
	return func(params json.RawMessage, untrusted bool) bool {
		v, err := e.OfCall(steps.Decode(params), untrusted)
		need, ok := v.(bool)
		return err != nil || !ok || need
	}
}
