package modelexec

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"strings"

	"belay/internal/exactjson"
	"belay/internal/executor"
	"belay/internal/steps"
)

// unreadableBytes is how much of arguments that are no object the caller gets.
const unreadableBytes = 2 << 10

// Why an answer ended, as the output says it.
const (
	outEnd   = "end"   // the model is done
	outCalls = "calls" // it wants its calls made, and to hear of them
)

// spoken is the output of a tool without a schema.
type spoken struct {
	Text   string          `json:"text"`
	Calls  []call          `json:"calls,omitempty"`
	Object json.RawMessage `json:"object,omitempty"`
	Stop   string          `json:"stop"`
}

// output makes the output of an answer.
func (x *rung) output(c *conversation, req executor.Request, a *answer, secrets *executor.Secrets) (json.RawMessage, error) {
	if err := ended(a, c.maxOutput); err != nil {
		return nil, err
	}
	out := spoken{Text: a.text.String(), Calls: callsOf(a), Stop: outEnd}
	if len(out.Calls) > 0 {
		out.Stop = outCalls
	}
	if c.schema != nil && len(out.Calls) == 0 {
		object, err := x.object(c, out.Text)
		if err != nil {
			x.misfits.keep(req, secrets.Redact(out.Text), err.Error())
			return nil, executor.Unusable("the answer does not fit its schema: "+err.Error(), executor.Head([]byte(out.Text), headBytes))
		}
		out.Object = object
	}
	if c.whole && out.Object == nil {
		return nil, executor.Unusable("the answer has calls, though no tools were offered", executor.Head([]byte(a.written()), headBytes))
	}
	raw := out.Object
	if !c.whole {
		raw = mustJSON(out)
	}
	raw = secrets.RedactAnswer(raw, executor.FormatJSON)
	return executor.Output(raw, executor.FormatJSON, len(raw)) // the limit applies to what was written, not to how it is wrapped
}

// ended says why an answer is none.
func ended(a *answer, maxOutput int) error {
	f := steps.Fault{Acted: steps.ActedNo, Final: true, Detail: executor.Head([]byte(a.written()), headBytes)}
	switch {
	case a.stop == stopUnknown:
		return steps.Fault{Class: steps.Connection, Acted: steps.ActedNo, Message: "the answer broke off before it ended", Detail: f.Detail}
	case a.stop == stopRefusal || a.refusal.Len() > 0:
		f.Class, f.Reason = steps.ToolError, steps.Refusal
		f.Message = "the model declines: " + executor.Head([]byte(cmp.Or(a.refusal.String(), "it does not say why")), saidBytes)
	case a.stop == stopFiltered:
		f.Class, f.Reason, f.Message = steps.ToolError, steps.ContentFilter, "the provider's content filter has stopped the answer"
	case a.stop == stopLength:
		f.Class, f.Reason = steps.InvalidOutput, steps.Truncated
		f.Message = "the answer was cut off at the longest output that is allowed: raise max_output_tokens, or ask for less"
		if maxOutput > 0 {
			f.Message = fmt.Sprintf("the answer was cut off at %d tokens: raise max_output_tokens, or ask for less", maxOutput)
		}
	case a.stop == stopWindow:
		f.Class, f.Reason, f.Message = steps.InvalidInput, steps.ContextTooLong, "the conversation and the answer do not fit into the model"
	default:
		return nil
	}
	return f
}

// object is what the model wrote, if it fits.
func (x *rung) object(c *conversation, text string) (json.RawMessage, error) {
	raw := json.RawMessage(strings.TrimSpace(text))
	if len(raw) == 0 {
		return nil, fmt.Errorf("it is empty")
	}
	if err := steps.CheckDepth(raw); err != nil {
		return nil, err
	}
	if err := exactjson.Distinct(raw); err != nil || !json.Valid(raw) {
		return nil, fmt.Errorf("it is not one JSON value")
	}
	if c.fits == nil {
		return raw, nil
	}
	return raw, c.fits(raw)
}

// callsOf are the calls of an answer.
func callsOf(a *answer) []call {
	var calls []call
	for i, made := range a.calls {
		c := call{ID: cmp.Or(made.id, fmt.Sprintf("call_%d", i+1)), Name: made.name}
		written := cmp.Or(strings.TrimSpace(made.arguments.String()), "{}")
		if isObject([]byte(written)) {
			c.Arguments = json.RawMessage(written)
		} else {
			c.Unreadable = executor.Head([]byte(written), unreadableBytes)
		}
		calls = append(calls, c)
	}
	return calls
}

// isObject reports whether b is one JSON object in which no key occurs twice.
func isObject(b []byte) bool {
	return b[0] == '{' && steps.CheckDepth(b) == nil && json.Valid(b) && exactjson.Distinct(b) == nil
}

// mustJSON writes v without escaping <, > and &.
func mustJSON(v any) json.RawMessage {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic("modelexec: texts and valid JSON cannot fail to encode: " + err.Error())
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
