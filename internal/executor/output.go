package executor

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"unicode/utf8"

	"belay/internal/steps"
)

// What a tool's answer is taken for.
const (
	FormatJSON = "json" // one JSON value; also when empty
	FormatText = "text" // any UTF-8, given on as {"text": ...}
)

// byteOrderMark is what programs of Windows origin put before UTF-8. It is no part of what they say.
var byteOrderMark = []byte("\ufeff")

// detailBytes is how much of an unusable answer is kept as evidence.
const detailBytes = 2 << 10

// Limit is the most bytes that an answer may have: max, or the default where none is set.
func Limit(max int) int {
	if max > 0 {
		return max
	}
	return steps.MaxOutput
}

// Decode reads parameters the way templates want them: with every number as it was written.
func Decode(params json.RawMessage) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(params))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, steps.Fault{Class: steps.InvalidInput, Acted: steps.ActedNo, Message: "the parameters are no JSON: " + err.Error()}
	}
	return v, nil
}

// Output makes a result's output of what a tool answered. An answer that cannot be used is an invalid_output that
// says what was seen; the tool may have acted before it answered.
func Output(raw []byte, format string, max int) (json.RawMessage, error) {
	raw = bytes.TrimPrefix(raw, byteOrderMark)
	if len(raw) > Limit(max) {
		return nil, TooLarge(Head(raw, detailBytes), max)
	}
	if !utf8.Valid(raw) {
		return nil, Unusable("the answer is no valid UTF-8", Head(raw, detailBytes))
	}
	if format == FormatText {
		return slices.Concat([]byte(`{"text":`), quote(string(raw)), []byte("}")), nil
	}
	if err := steps.CheckDepth(raw); err != nil {
		return nil, Unusable("the answer cannot be used: "+err.Error(), Head(raw, detailBytes))
	}
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 {
		return nil, Unusable("the answer is empty, JSON was expected", "")
	}
	if !json.Valid(raw) {
		return nil, Unusable("the answer is no valid JSON", Head(raw, detailBytes))
	}
	return raw, nil
}

// TooLarge is the fault of an answer over the limit; seen is the beginning of it, for people.
func TooLarge(seen string, max int) steps.Fault {
	return Unusable(fmt.Sprintf("the answer is larger than %d bytes: raise max_bytes, or let the tool answer with a reference", Limit(max)), seen)
}

// Unusable is the fault of an answer that cannot be used; seen is what there was of it, for people.
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
