package executor

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"unicode/utf8"

	"belay/internal/exactjson"
	"belay/internal/steps"
)

// The formats of a tool's answer.
const (
	FormatJSON = "json" // one JSON value; also when empty
	FormatText = "text" // any UTF-8; the output is {"text": ...}
)

// byteOrderMark is what some programs on Windows put before UTF-8. It is not part of the answer.
var byteOrderMark = []byte("\ufeff")

// detailBytes is how much of an unusable answer is kept as evidence.
const detailBytes = 2 << 10

// Limit is how many bytes an answer may have: max, or the default if it is 0.
func Limit(max int) int {
	if max > 0 {
		return max
	}
	return steps.MaxOutput
}

// Decode decodes parameters for templates, with every number as it was written. Its error is a [steps.Fault].
func Decode(params json.RawMessage) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(params))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, steps.Fault{Class: steps.InvalidInput, Acted: steps.ActedNo, Message: "the parameters are not JSON: " + err.Error()}
	}
	return v, nil
}

// Output makes a result's output of a tool's answer. If the answer cannot be used, the error is an invalid_output fault
// that quotes it and says that the tool may have acted. Max is in bytes; 0 is the default.
func Output(raw []byte, format string, max int) (json.RawMessage, error) {
	raw = bytes.TrimPrefix(raw, byteOrderMark)
	if len(raw) > Limit(max) {
		return nil, TooLarge(Head(raw, detailBytes), max)
	}
	if !utf8.Valid(raw) {
		return nil, Unusable("the answer is not valid UTF-8", Head(raw, detailBytes))
	}
	if format == FormatText {
		return slices.Concat([]byte(`{"text":`), quote(string(raw)), []byte("}")), nil
	}
	if err := steps.CheckDepth(raw); err != nil {
		return nil, Unusable("the answer cannot be used: "+err.Error(), Head(raw, detailBytes))
	}
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 {
		return nil, Unusable("the answer is empty, not JSON", "")
	}
	if !exactjson.Valid(raw) {
		return nil, Unusable("the answer is not valid JSON", Head(raw, detailBytes))
	}
	return raw, nil
}

// TooLarge is the fault of an answer over the limit; seen is its beginning, for people.
func TooLarge(seen string, max int) steps.Fault {
	return Unusable(fmt.Sprintf("the answer is larger than %d bytes: raise max_bytes, or let the tool answer with a reference", Limit(max)), seen)
}

// Unusable is the fault of an answer that cannot be used; seen is what was read of it, for people.
//
//go:noinline
func Unusable(message, seen string) steps.Fault {
	return steps.Fault{Class: steps.InvalidOutput, Acted: steps.ActedMaybe, Message: message, Detail: seen}
}

// quote writes text as a JSON string, without escaping <, > and &.
func quote(text string) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(text); err != nil {
		panic("executor: a string cannot fail to encode: " + err.Error())
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
