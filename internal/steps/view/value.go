package view

import (
	"encoding/json"
	"strings"

	"belay/internal/steps"
)

// deepestShown is how deeply nested a value may be to be shown as it is. A list of outputs is a level deeper than each.
const deepestShown = 2 * steps.MaxDepth

// Value is a value as it is shown; null for nothing. Logs from before there was a limit may hold values that are nested
// too deeply for a document: these are shown as a text that holds their JSON.
func Value(raw json.RawMessage) json.RawMessage {
	if len(raw) < 2*deepestShown || steps.Depth(raw) <= deepestShown {
		return orNull(raw)
	}
	return jsonText(string(raw))
}

func jsonText(s string) json.RawMessage {
	text, err := json.Marshal(strings.ToValidUTF8(s, "\uFFFD"))
	if err != nil {
		panic("steps: a text cannot be written as JSON: " + err.Error())
	}
	return text
}

// Decision is a decision with its values as they are shown; nil where nobody has decided.
func Decision(d *steps.Decided) *steps.Decided {
	if d == nil {
		return nil
	}
	shown := *d
	for _, v := range []*json.RawMessage{&shown.Params, &shown.Patch, &shown.Answer} {
		if *v != nil {
			*v = Value(*v)
		}
	}
	return &shown
}

func orNull(raw json.RawMessage) json.RawMessage {
	if len(raw) == 0 {
		return json.RawMessage("null")
	}
	return raw
}
