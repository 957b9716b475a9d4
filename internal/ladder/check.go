package ladder

import (
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"belay/internal/exactjson"
	"belay/internal/executor"
	"belay/internal/steps"
)

// maxStored is the largest output that fits into an entry of the log, whatever a rung's max_bytes allows.
const maxStored = 900 << 10

// Result is the step's output of what the executor gave, reshaped where the rung says how; the error is an
// invalid_output that shows what came back and what was made of it.
func (r Rung) Result(params, out json.RawMessage) (json.RawMessage, error) {
	if r.Reshape == nil {
		return out, r.Check(out)
	}
	if err := (Rung{}).Check(out); err != nil {
		return nil, err
	}
	reshaped, err := r.Reshape(params, out)
	if err != nil {
		return nil, steps.Fault{Class: steps.InvalidOutput, Acted: steps.ActedMaybe, Message: err.Error(), Detail: "what came back: " + executor.Head(out, 2<<10)}
	}
	if f, bad := errors.AsType[steps.Fault](r.Check(reshaped)); bad {
		f.Detail = "reshaped: " + executor.Head(reshaped, 1<<10) + "\nwhat came back: " + executor.Head(out, 1<<10)
		return nil, f
	}
	return reshaped, nil
}

// Check says why an output cannot be a result of the rung, as an invalid_output: it is none to be stored, or does not
// fit the tool's output_schema.
func (r Rung) Check(out json.RawMessage) error {
	bad := func(format string, args ...any) error {
		return steps.Fault{Class: steps.InvalidOutput, Acted: steps.ActedMaybe, Message: fmt.Sprintf(format, args...), Detail: executor.Head(out, 2<<10)}
	}
	deep := steps.CheckDepth(out)
	switch {
	case deep != nil:
		return bad("the output cannot be used: %v", deep)
	case len(out) > maxStored:
		return bad("the output has %d bytes; at most %d can be stored", len(out), maxStored)
	case !exactjson.Valid(out) || !utf8.Valid(out):
		return bad("the output is not valid JSON")
	}
	if r.CheckOutput != nil {
		if err := r.CheckOutput(out); err != nil {
			return bad("the output does not fit the tool's output_schema: %v", err)
		}
	}
	return nil
}
