package toolbox

import (
	"encoding/json"
	"fmt"
	"unicode/utf8"

	"belay/internal/executor"
	"belay/internal/steps"
)

// maxStored is the largest output that fits into an entry of the log, whatever a rung's max_bytes allows.
const maxStored = 900 << 10

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
		return bad("the output has %d bytes, at most %d can be stored", len(out), maxStored)
	case !json.Valid(out) || !utf8.Valid(out):
		return bad("the output is no valid JSON")
	}
	if r.CheckOutput != nil {
		if err := r.CheckOutput(out); err != nil {
			return bad("the output does not fit the tool's output_schema: %v", err)
		}
	}
	return nil
}
