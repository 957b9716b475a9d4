package modelexec

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/anthropics/anthropic-sdk-go/v2"
	"github.com/anthropics/anthropic-sdk-go/v2/option"
	"github.com/anthropics/anthropic-sdk-go/v2/packages/param"
	"github.com/anthropics/anthropic-sdk-go/v2/packages/ssestream"

	"belay/internal/executor"
)

// defaultMaxOutput is how long an answer may be if nobody says: this provider wants to be told.
const defaultMaxOutput = 4096

// anthropicMessages asks for messages.
type anthropicMessages struct {
	client *http.Client
	base   string
	spec   executor.Model
}

// send asks, and gives an answer that is to be read. Status and body of any other are for refuse.
func (p anthropicMessages) send(ctx context.Context, c *conversation, key string, refuse func(*http.Response) error) (resp *http.Response, err error) {
	options := []option.RequestOption{
		option.WithBaseURL(p.base), option.WithHTTPClient(p.client), option.WithMaxRetries(0),
		option.WithoutOpenTelemetry(), // the spans are the worker's own
		option.WithJSONSet("stream", true), option.WithResponseBodyInto(&resp),
		option.WithMiddleware(func(r *http.Request, next option.MiddlewareNext) (*http.Response, error) {
			return accepted(next, refuse)(r)
		}),
	}
	if key != "" {
		options = append(options, option.WithHeader("X-Api-Key", key)) // WithAPIKey sends it in Authorization, which gateways do not know
	}
	if t := p.spec.Temperature; t != nil {
		options = append(options, option.WithJSONSet("temperature", *t)) // the library does not have it any more; many models do
	}
	service := anthropic.NewMessageService(options...)
	_, err = service.New(ctx, p.params(c))
	return resp, err
}

func (p anthropicMessages) params(c *conversation) anthropic.MessageNewParams {
	params := anthropic.MessageNewParams{Model: p.spec.Model, MaxTokens: defaultMaxOutput}
	if c.maxOutput > 0 {
		params.MaxTokens = int64(c.maxOutput)
	}
	instructions := c.instructions
	if c.schema != nil {
		if params.OutputConfig.Format.Schema = closed(c.schema); params.OutputConfig.Format.Schema == nil {
			instructions = strings.TrimPrefix(instructions+"\n\n"+inWords(c.schema), "\n\n")
		}
	}
	if instructions != "" {
		params.System = []anthropic.TextBlockParam{{Text: instructions}}
	}
	params.Messages = anthropicTurns(c.messages)
	for _, t := range c.tools {
		made := anthropic.ToolParam{Name: t.Name, InputSchema: param.Override[anthropic.ToolInputSchemaParam](t.schema())}
		if t.Description != "" {
			made.Description = param.NewOpt(t.Description)
		}
		params.Tools = append(params.Tools, anthropic.ToolUnionParam{OfTool: &made})
	}
	if c.noCalls && len(c.tools) > 0 {
		params.ToolChoice.OfNone = &anthropic.ToolChoiceNoneParam{}
	}
	return params
}

// closed is a schema that this provider can hold a model to; nil if it cannot. It closes every object, so that one which may
// have any properties would have to be empty: such a schema is said in words, and checked here.
func closed(schema json.RawMessage) map[string]any {
	var s map[string]any
	if json.Unmarshal(schema, &s) != nil || !closable(s) {
		return nil
	}
	made, _ := anthropic.BetaJSONSchemaOutputFormat(s).Schema.(map[string]any)
	return made
}

func closable(v any) bool {
	switch v := v.(type) {
	case []any:
		return !slices.ContainsFunc(v, func(e any) bool { return !closable(e) })
	case map[string]any:
		properties, _ := v["properties"].(map[string]any)
		more, says := v["additionalProperties"]
		if v["type"] == "object" && (len(properties) == 0 || says && more != false || v["patternProperties"] != nil) {
			return false
		}
		for _, e := range v {
			if !closable(e) {
				return false
			}
		}
	}
	return true
}

// anthropicTurns makes turns of messages: what tools answer, and what the user says after it, is one turn of the user.
func anthropicTurns(messages []message) []anthropic.MessageParam {
	var turns []anthropic.MessageParam
	for _, m := range messages {
		blocks := anthropicBlocks(m)
		last := len(turns) - 1
		switch {
		case m.Role == roleAssistant:
			turns = append(turns, anthropic.NewAssistantMessage(blocks...))
		case last >= 0 && turns[last].OfUser != nil:
			turns[last].OfUser.Content = append(turns[last].OfUser.Content, blocks...)
		default:
			turns = append(turns, anthropic.NewUserMessage(blocks...))
		}
	}
	return turns
}

func anthropicBlocks(m message) []anthropic.ContentBlockParamUnion {
	if m.Role == roleTool {
		return []anthropic.ContentBlockParamUnion{anthropic.NewToolResultBlock(m.Call, m.Text, m.Failed)}
	}
	var blocks []anthropic.ContentBlockParamUnion
	if m.Text != "" {
		blocks = append(blocks, anthropic.NewTextBlock(m.Text))
	}
	for _, c := range m.Calls {
		blocks = append(blocks, anthropic.NewToolUseBlock(c.ID, c.object(), c.Name))
	}
	return blocks
}

// stream reads events.
func (p anthropicMessages) stream(resp *http.Response, a *answer) error {
	events := ssestream.NewDecoder(resp)
	for events.Next() {
		data := events.Event().Data
		if len(data) == 0 {
			continue
		}
		if err := saidInStream(data); err != nil {
			return err
		}
		var event anthropic.MessageStreamEventUnion
		if err := json.Unmarshal(data, &event); err != nil {
			return garbage("an event of the answer cannot be read: "+err.Error(), string(data))
		}
		if event.Type == "message_stop" {
			return nil
		}
		if err := eventOf(&event, a); err != nil {
			return err
		}
	}
	return events.Err()
}

func eventOf(e *anthropic.MessageStreamEventUnion, a *answer) error {
	switch e.Type {
	case "message_start":
		a.begun = true
		a.used.Model, a.used.Response = e.Message.Model, e.Message.ID
		u := e.Message.Usage
		anthropicUsage(a, u.InputTokens, u.CacheReadInputTokens, u.CacheCreationInputTokens, u.OutputTokens)
	case "content_block_start":
		if e.ContentBlock.Type == "tool_use" {
			_, err := a.call(e.ContentBlock.ID, e.ContentBlock.Name)
			return err
		}
		return a.say(e.ContentBlock.Text)
	case "content_block_delta":
		return deltaOf(e, a)
	case "message_delta":
		a.finish, a.stop = string(e.Delta.StopReason), anthropicStop(e.Delta.StopReason)
		a.refusal.WriteString(e.Delta.StopDetails.Explanation)
		a.used.Output = max(a.used.Output, e.Usage.OutputTokens)
		if e.Usage.InputTokens > 0 {
			anthropicUsage(a, e.Usage.InputTokens, e.Usage.CacheReadInputTokens, e.Usage.CacheCreationInputTokens, a.used.Output)
		}
	}
	return nil
}

func deltaOf(e *anthropic.MessageStreamEventUnion, a *answer) error {
	switch e.Delta.Type {
	case "text_delta":
		return a.say(e.Delta.Text)
	case "input_json_delta":
		last := a.last()
		if last == nil {
			return garbage("the answer has arguments of no call", "")
		}
		last.arguments.WriteString(e.Delta.PartialJSON)
		return a.take(e.Delta.PartialJSON)
	}
	return nil
}

// whole reads an answer in one piece, of a gateway that does not stream.
func (p anthropicMessages) whole(data []byte, a *answer) error {
	var said anthropic.Message
	if err := json.Unmarshal(data, &said); err != nil || said.Type != "message" {
		return garbage("the answer is not a message", string(data))
	}
	a.begun = true
	a.used.Model, a.used.Response = said.Model, said.ID
	anthropicUsage(a, said.Usage.InputTokens, said.Usage.CacheReadInputTokens, said.Usage.CacheCreationInputTokens, said.Usage.OutputTokens)
	a.finish, a.stop = string(said.StopReason), anthropicStop(said.StopReason)
	a.refusal.WriteString(said.StopDetails.Explanation)
	for _, block := range said.Content {
		if err := blockOf(&block, a); err != nil {
			return err
		}
	}
	return nil
}

func blockOf(block *anthropic.ContentBlockUnion, a *answer) error {
	if block.Type != "tool_use" {
		return a.say(block.Text)
	}
	made, err := a.call(block.ID, block.Name)
	if err != nil {
		return err
	}
	made.arguments.Write(block.Input)
	return a.take(string(block.Input))
}

// anthropicUsage counts what was read: this provider counts what it had kept apart.
func anthropicUsage(a *answer, input, kept, stored, output int64) {
	a.used.Input, a.used.Cached, a.used.Output = input+kept+stored, kept, output
}

func anthropicStop(reason anthropic.StopReason) string {
	switch reason {
	case anthropic.StopReasonMaxTokens:
		return stopLength
	case anthropic.StopReasonModelContextWindowExceeded:
		return stopWindow
	case anthropic.StopReasonRefusal:
		return stopRefusal
	case "":
		return stopUnknown
	}
	return stopEnd
}
