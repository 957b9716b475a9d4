package mcptools

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"belay/internal/catalog"
	"belay/internal/steps"
)

// requestID is the extra parameter of every tool that makes a call another one than an equal call before it. Clients that
// can set _meta may give it there, as [requestMeta].
const (
	requestID   = "belay_request_id"
	requestMeta = "dev.belay/request_id"
)

// object is a JSON object whose values are as they were written.
type object = map[string]json.RawMessage

// toolOf describes an offer to agents.
func toolOf(name string, o catalog.Offer) (*mcp.Tool, error) {
	input, err := inputSchema(o)
	if err != nil {
		return nil, fmt.Errorf("the input schema of the %s %q: %w", o.Kind, o.Name, err)
	}
	t := &mcp.Tool{Name: name, Title: titleOf(o), Description: describe(o), InputSchema: input, Annotations: annotations(o)}
	if output := outputSchema(o.Output); output != nil {
		t.OutputSchema = output
	}
	return t, nil
}

// annotations say what an offer does to the world, no more than its author has promised.
func annotations(o catalog.Offer) *mcp.ToolAnnotations {
	destructive := o.Effects == steps.EffectsUnsafe
	return &mcp.ToolAnnotations{ReadOnlyHint: o.Effects == steps.EffectsNone, IdempotentHint: o.Effects != steps.EffectsUnsafe, DestructiveHint: &destructive}
}

// said is a text that stands in a schema; empty = none does.
func said(schema json.RawMessage, key string) string {
	var root object
	var s string
	if json.Unmarshal(schema, &root) != nil || json.Unmarshal(root[key], &s) != nil {
		return ""
	}
	return strings.TrimSpace(s)
}

func titleOf(o catalog.Offer) string { return said(o.Input, "title") }

// describe is what the author of an offer says about it, in its schema, and what an agent must know beside that.
func describe(o catalog.Offer) string {
	about := said(o.Input, "description")
	if about == "" {
		about = fmt.Sprintf("Calls the %s %s.", o.Kind, o.Name)
		if o.Kind == "plan" {
			about = fmt.Sprintf("Runs the plan %s.", o.Name)
		}
	}
	if o.Effects == steps.EffectsUnsafe {
		about += " It acts, and must not be repeated by mistake: the same call within a day of its end gives the same result, unless " + requestID + " is another one."
	}
	if o.Approval {
		about += " A person may have to approve it first."
	}
	if o.Fallback {
		about += " Its result may come from a fallback, and says so then."
	}
	return about
}

// inputSchema is that of an offer, as an object, with the extra parameter.
func inputSchema(o catalog.Offer) (object, error) {
	root := object{}
	if len(o.Input) > 0 {
		if err := json.Unmarshal(o.Input, &root); err != nil {
			return nil, err
		}
	}
	properties := object{}
	if raw, there := root["properties"]; there {
		if err := json.Unmarshal(raw, &properties); err != nil {
			return nil, fmt.Errorf("properties: %w", err)
		}
	}
	if err := addDefaults(properties, o); err != nil {
		return nil, err
	}
	if len(o.Input) == 0 && o.Defaults != nil { // it takes these names alone
		root["additionalProperties"] = json.RawMessage(`false`)
	}
	if _, its := properties[requestID]; !its {
		properties[requestID] = json.RawMessage(`{"type":"string","maxLength":200,"description":"Leave it out. Only to repeat a call on purpose, with the same parameters as before, give a new value here: without it, an equal call is answered with the run that there is."}`)
	}
	var err error
	if root["properties"], err = json.Marshal(properties); err != nil {
		return nil, err
	}
	root["type"] = json.RawMessage(`"object"`)
	return root, nil
}

// addDefaults describes the inputs of a plan that only have a default.
func addDefaults(properties object, o catalog.Offer) error {
	if len(o.Defaults) == 0 {
		return nil
	}
	var defaults object
	if err := json.Unmarshal(o.Defaults, &defaults); err != nil {
		return fmt.Errorf("the defaults: %w", err)
	}
	for name, value := range defaults {
		if _, there := properties[name]; there {
			continue
		}
		property := object{"default": value}
		if kind := kindOf(value); kind != "" {
			property["type"] = json.RawMessage(`"` + kind + `"`)
		}
		raw, err := json.Marshal(property)
		if err != nil {
			return err
		}
		properties[name] = raw
	}
	return nil
}

// kindOf is the type of a JSON value; empty for null, which says nothing of what is meant.
func kindOf(value json.RawMessage) string {
	switch value[0] {
	case '{':
		return "object"
	case '[':
		return "array"
	case '"':
		return "string"
	case 't', 'f':
		return "boolean"
	case 'n':
		return ""
	}
	return "number"
}

// outputSchema is what a result is like: the tool's output, that it is not there yet, or that it is degraded; nil where
// the author has not said, or has said it in a way that does not hold inside another schema.
func outputSchema(output json.RawMessage) object {
	var root object
	if len(output) == 0 || json.Unmarshal(output, &root) != nil || refersToItself(output) {
		return nil
	}
	shown := object{"type": json.RawMessage(`"object"`)}
	for _, key := range []string{"$schema", "$defs", "definitions"} {
		if raw, there := root[key]; there {
			shown[key] = raw
			delete(root, key)
		}
	}
	inner, err := json.Marshal(root)
	if err != nil {
		return nil
	}
	shown["anyOf"] = fmt.Appendf(nil, `[%s,{"type":"object","properties":{"result":%s},"required":["result"]},`+
		`{"type":"object","properties":{"state":{"type":"string"},"run":{"type":"string"}},"required":["state","run"]},`+
		`{"type":"object","properties":{"belay":{"type":"object","properties":{"state":{"type":"string"},"run":{"type":"string"}},"required":["state","run"]}},"required":["belay"]}]`, inner, inner)
	return shown
}

// refersToItself reports whether a schema has references that hold only where it is the whole document.
func refersToItself(schema json.RawMessage) bool {
	var v any
	return json.Unmarshal(schema, &v) != nil || anyRef(v)
}

func anyRef(v any) bool {
	switch x := v.(type) {
	case []any:
		for _, e := range x {
			if anyRef(e) {
				return true
			}
		}
	case map[string]any:
		for key, e := range x {
			to, _ := e.(string)
			strange := key == "$id" || key == "$anchor" || key == "$dynamicRef" || key == "$dynamicAnchor" || key == "$recursiveRef"
			moved := key == "$ref" && !strings.HasPrefix(to, "#/$defs/") && !strings.HasPrefix(to, "#/definitions/")
			if strange || moved || anyRef(e) {
				return true
			}
		}
	}
	return false
}
