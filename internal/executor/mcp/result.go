package mcpexec

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"

	"belay/internal/exactjson"
	"belay/internal/executor"
	"belay/internal/steps"
)

// toolResult is a result as it is sent. In a result of 2026-07-28 and later, the type says whether it is one.
type toolResult struct {
	Type       string            `json:"resultType"`
	Content    []json.RawMessage `json:"content"`
	Structured json.RawMessage   `json:"structuredContent"`
	IsError    bool              `json:"isError"`
}

// unfinishedResult is in place of a result: the server needs something, or works on.
type unfinishedResult struct {
	Requests map[string]inputRequest `json:"inputRequests"`
	State    string                  `json:"requestState"`
	task
}

// inputRequest is what a server needs before it goes on.
type inputRequest struct {
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
}

// result makes the output of a tool's result; the error is a fault.
func (x *rung) result(raw json.RawMessage) (json.RawMessage, error) {
	var r toolResult
	if !utf8.Valid(raw) {
		return nil, executor.Unusable("the answer is not valid UTF-8", executor.Head(raw, detailBytes))
	}
	if err := exactjson.Unmarshal(raw, &r); err != nil {
		return nil, executor.Unusable("the answer is not the result of a tool: "+err.Error(), executor.Head(raw, detailBytes))
	}
	switch {
	case r.Type == "input_required", r.Type == taskType:
		return nil, unfinished(r.Type, raw)
	case r.Type != "" && r.Type != "complete":
		return nil, executor.Unusable("the answer is of a kind that Belay does not know: "+executor.Head([]byte(r.Type), 60), executor.Head(raw, detailBytes))
	case r.IsError:
		return nil, r.failure()
	case len(r.Structured) > 0 && string(r.Structured) != "null":
		return executor.Output(r.Structured, executor.FormatJSON, x.spec.MaxBytes)
	case r.Content == nil:
		return nil, executor.Unusable("the answer has no content", executor.Head(raw, detailBytes))
	}
	if text, ok := r.onlyText(); ok {
		return x.text(text)
	}
	content, err := json.Marshal(map[string]any{"content": r.Content})
	if err != nil {
		return nil, executor.Unusable("the answer's content is not JSON", executor.Head(raw, detailBytes))
	}
	return executor.Output(content, executor.FormatJSON, x.spec.MaxBytes)
}

// unfinished is the error of a result that is none yet.
func unfinished(kind string, raw json.RawMessage) error {
	var r unfinishedResult
	if err := json.Unmarshal(raw, &r); err != nil {
		return executor.Unusable("the answer is not one that a call goes on from: "+err.Error(), executor.Head(raw, detailBytes))
	}
	switch {
	case kind != taskType:
		return needed(r.Requests, kept{State: r.State})
	case r.ID == "":
		return executor.Unusable("the server has made a task of the call, and does not say which", executor.Head(raw, detailBytes))
	}
	return begun{r.task}
}

func (x *rung) text(text string) (json.RawMessage, error) {
	format := executor.FormatText
	if x.spec.Response == executor.FormatJSON {
		format = executor.FormatJSON
	}
	return executor.Output([]byte(text), format, x.spec.MaxBytes)
}

// onlyText is the text of a content that is nothing else.
func (r *toolResult) onlyText() (string, bool) {
	if len(r.Content) != 1 {
		return "", false
	}
	return textOf(r.Content[0])
}

func textOf(item json.RawMessage) (string, bool) {
	var c struct {
		Type string `json:"type"`
		Text string `json:"text"`
	}
	err := json.Unmarshal(item, &c)
	return c.Text, err == nil && c.Type == "text"
}

// failure is the fault of a tool that says that it failed.
func (r *toolResult) failure() steps.Fault {
	var words []string
	for _, item := range r.Content {
		if text, ok := textOf(item); ok && strings.TrimSpace(text) != "" {
			words = append(words, strings.TrimSpace(text))
		}
	}
	message := strings.Join(words, "\n")
	if message == "" {
		message = "it failed, and does not say why"
	}
	detail := bytes.Join(rawAll(r.Content, r.Structured), []byte("\n"))
	return steps.Fault{Class: steps.ToolError, Acted: steps.ActedMaybe, Message: executor.Head([]byte(message), messageBytes), Detail: executor.Head(detail, detailBytes)}
}

func rawAll(content []json.RawMessage, structured json.RawMessage) [][]byte {
	var all [][]byte
	for _, item := range append(slices.Clone(content), structured) {
		if len(item) > 0 {
			all = append(all, item)
		}
	}
	return all
}
