package scriptedmodel

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// protocol is how answers are written.
type protocol interface {
	// whole is an answer in one piece.
	whole(ask ask, a Answer) any
	// stream writes an answer as events; with half it stops in the middle.
	stream(e *events, ask ask, a Answer, half bool)
	// refuse writes an error.
	refuse(w http.ResponseWriter, status int, kind, code, message string)
	// tooLong are the words for a conversation that does not fit.
	tooLong() (kind, code, message string)
	// reported is what an answer that ends in its middle has said of what it took.
	reported(a Answer) Answer
	// broken is the event of an overload in the middle of an answer.
	broken(e *events)
}

// object is JSON that is being made.
type object = map[string]any

// events writes server-sent events.
type events struct {
	w http.ResponseWriter
}

func newEvents(w http.ResponseWriter) *events {
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	w.WriteHeader(http.StatusOK)
	return &events{w}
}

// send writes one event; name may be empty.
func (e *events) send(name string, data any) {
	if name != "" {
		_, _ = fmt.Fprintf(e.w, "event: %s\n", name)
	}
	_, _ = fmt.Fprintf(e.w, "data: %s\n\n", encoded(data))
	_ = http.NewResponseController(e.w).Flush()
}

// pieces cuts a text into what a stream sends at once; with half only the first half of it.
func pieces(text string, half bool) []string {
	all := strings.SplitAfter(text, " ")
	if half {
		return all[:(len(all)+1)/2]
	}
	return all
}

// chat writes chat completions.
type chat struct{}

func (chat) finish(a Answer) string {
	switch {
	case a.Fault == Truncated:
		return "length"
	case a.Fault == ContentFilter:
		return "content_filter"
	case len(a.Calls) > 0:
		return "tool_calls"
	}
	return "stop"
}

func (chat) usage(a Answer) object {
	return object{
		"prompt_tokens": a.Input, "completion_tokens": a.Output, "total_tokens": a.Input + a.Output,
		"prompt_tokens_details": object{"cached_tokens": a.Cached},
	}
}

func (c chat) whole(ask ask, a Answer) any {
	message := object{"role": "assistant", "content": a.text(), "refusal": nil}
	if a.Fault == Refusal {
		message["content"], message["refusal"] = nil, a.text()
	}
	var calls []object
	for _, call := range a.Calls {
		calls = append(calls, object{"id": call.ID, "type": "function", "function": object{"name": call.Name, "arguments": string(call.Arguments)}})
	}
	if calls != nil {
		message["tool_calls"] = calls
	}
	return object{
		"id": a.id, "object": "chat.completion", "created": 0, "model": ask.Model, "usage": c.usage(a),
		"choices": []object{{"index": 0, "message": message, "finish_reason": c.finish(a)}},
	}
}

func (c chat) stream(e *events, ask ask, a Answer, half bool) {
	chunk := func(delta object, finish any) {
		e.send("", object{"id": a.id, "object": "chat.completion.chunk", "created": 0, "model": ask.Model, "choices": []object{{"index": 0, "delta": delta, "finish_reason": finish}}})
	}
	chunk(object{"role": "assistant", "content": ""}, nil)
	key := "content"
	if a.Fault == Refusal {
		key = "refusal"
	}
	for _, piece := range pieces(a.text(), half) {
		chunk(object{key: piece}, nil)
	}
	if half {
		return
	}
	for i, call := range a.Calls {
		chunk(object{"tool_calls": []object{{"index": i, "id": call.ID, "type": "function", "function": object{"name": call.Name, "arguments": ""}}}}, nil)
		for _, piece := range pieces(string(call.Arguments), false) {
			chunk(object{"tool_calls": []object{{"index": i, "function": object{"arguments": piece}}}}, nil)
		}
	}
	chunk(object{}, c.finish(a))
	e.send("", object{"id": a.id, "object": "chat.completion.chunk", "created": 0, "model": ask.Model, "choices": []object{}, "usage": c.usage(a)})
	_, _ = fmt.Fprint(e.w, "data: [DONE]\n\n")
}

func (chat) refuse(w http.ResponseWriter, status int, kind, code, message string) {
	e := object{"message": message, "type": kind, "param": nil, "code": nil}
	if code != "" {
		e["code"] = code
	}
	writeJSON(w, status, object{"error": e})
}

func (chat) tooLong() (kind, code, message string) {
	return "invalid_request_error", "context_length_exceeded", "This model's maximum context length is 8192 tokens."
}

func (chat) reported(Answer) Answer { return Answer{} }

func (chat) broken(e *events) {
	e.send("", object{"error": object{"message": "The server is overloaded", "type": "overloaded_error", "code": nil}})
}

// messages writes messages.
type messages struct{}

func (messages) stop(a Answer) string {
	switch {
	case a.Fault == Truncated:
		return "max_tokens"
	case a.Fault == Refusal, a.Fault == ContentFilter:
		return "refusal"
	case len(a.Calls) > 0:
		return "tool_use"
	}
	return "end_turn"
}

func (messages) usage(a Answer) object {
	return object{"input_tokens": a.Input - a.Cached, "cache_read_input_tokens": a.Cached, "cache_creation_input_tokens": 0, "output_tokens": a.Output}
}

func (m messages) whole(ask ask, a Answer) any {
	content := []object{}
	if text := a.text(); text != "" {
		content = append(content, object{"type": "text", "text": text})
	}
	for _, call := range a.Calls {
		content = append(content, object{"type": "tool_use", "id": call.ID, "name": call.Name, "input": readable(call.Arguments)})
	}
	return object{
		"id": a.id, "type": "message", "role": "assistant", "model": ask.Model, "content": content,
		"stop_reason": m.stop(a), "stop_sequence": nil, "usage": m.usage(a),
	}
}

// readable is arguments as they can stand in an answer in one piece: JSON, or else a text.
func readable(arguments json.RawMessage) any {
	if json.Valid(arguments) {
		return arguments
	}
	return string(arguments)
}

func (m messages) stream(e *events, ask ask, a Answer, half bool) {
	begun := m.usage(a)
	begun["output_tokens"] = 1
	e.send("message_start", object{"type": "message_start", "message": object{
		"id": a.id, "type": "message", "role": "assistant", "model": ask.Model, "content": []object{}, "stop_reason": nil, "stop_sequence": nil, "usage": begun,
	}})
	e.send("ping", object{"type": "ping"})
	block := 0
	if text := a.text(); text != "" {
		m.block(e, block, object{"type": "text", "text": ""}, "text_delta", "text", pieces(text, half), half)
		block++
	}
	if half {
		return
	}
	for _, call := range a.Calls {
		m.block(e, block, object{"type": "tool_use", "id": call.ID, "name": call.Name, "input": object{}}, "input_json_delta", "partial_json", pieces(string(call.Arguments), false), false)
		block++
	}
	e.send("message_delta", object{"type": "message_delta", "delta": object{"stop_reason": m.stop(a), "stop_sequence": nil}, "usage": object{"output_tokens": a.Output}})
	e.send("message_stop", object{"type": "message_stop"})
}

// block writes one block of a message; an open one does not end.
func (messages) block(e *events, i int, start object, kind, key string, parts []string, open bool) {
	e.send("content_block_start", object{"type": "content_block_start", "index": i, "content_block": start})
	for _, part := range parts {
		e.send("content_block_delta", object{"type": "content_block_delta", "index": i, "delta": object{"type": kind, key: part}})
	}
	if !open {
		e.send("content_block_stop", object{"type": "content_block_stop", "index": i})
	}
}

func (messages) refuse(w http.ResponseWriter, status int, kind, code, message string) {
	if kind == "rate_limit_exceeded" {
		kind = "rate_limit_error"
	}
	writeJSON(w, status, object{"type": "error", "error": object{"type": kind, "message": message}})
}

func (messages) tooLong() (kind, code, message string) {
	return "invalid_request_error", "", "prompt is too long: 200001 tokens > 200000 maximum"
}

func (messages) reported(a Answer) Answer { return Answer{Input: a.Input, Cached: a.Cached, Output: 1} }

func (messages) broken(e *events) {
	e.send("error", object{"type": "error", "error": object{"type": "overloaded_error", "message": "Overloaded"}})
}
