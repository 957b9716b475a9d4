package modelexec

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/packages/param"
	"github.com/openai/openai-go/v3/packages/ssestream"
	"github.com/openai/openai-go/v3/shared"

	"belay/internal/executor"
)

// openaiChat asks for chat completions.
type openaiChat struct {
	client *http.Client
	base   string
	spec   executor.Model
}

// send asks, and gives an answer that is to be read. Status and body of any other are for refuse.
func (p openaiChat) send(ctx context.Context, c *conversation, key string, refuse func(*http.Response) error) (resp *http.Response, err error) {
	options := []option.RequestOption{
		option.WithBaseURL(p.base), option.WithHTTPClient(p.client), option.WithMaxRetries(0),
		option.WithJSONSet("stream", true), option.WithResponseBodyInto(&resp),
		option.WithMiddleware(func(r *http.Request, next option.MiddlewareNext) (*http.Response, error) {
			return accepted(next, refuse)(r)
		}),
	}
	if key != "" {
		options = append(options, option.WithAPIKey(key))
	}
	service := openai.NewChatCompletionService(options...)
	_, err = service.New(ctx, p.params(c))
	return resp, err
}

func (p openaiChat) params(c *conversation) openai.ChatCompletionNewParams {
	params := openai.ChatCompletionNewParams{Model: p.spec.Model}
	params.StreamOptions.IncludeUsage = param.NewOpt(true)
	if t := p.spec.Temperature; t != nil {
		params.Temperature = param.NewOpt(*t)
	}
	p.limit(&params, c.maxOutput)
	if c.instructions != "" {
		params.Messages = append(params.Messages, openai.SystemMessage(c.instructions))
	}
	for _, m := range c.messages {
		params.Messages = append(params.Messages, openaiMessage(m))
	}
	for _, t := range c.tools {
		params.Tools = append(params.Tools, openaiTool(t))
	}
	if c.noCalls && len(c.tools) > 0 {
		params.ToolChoice.OfAuto = param.NewOpt("none")
	}
	if c.schema != nil {
		params.ResponseFormat.OfJSONSchema = &shared.ResponseFormatJSONSchemaParam{JSONSchema: shared.ResponseFormatJSONSchemaJSONSchemaParam{
			Name: "answer", Schema: c.schema, Strict: param.NewOpt(strict(c.schema)),
		}}
	}
	return params
}

// limit says how long the answer may be: OpenAI's newer models refuse the old key, and many others ignore the new one.
func (p openaiChat) limit(params *openai.ChatCompletionNewParams, tokens int) {
	host := hostOf(p.base)
	switch {
	case tokens == 0:
	case host == "api.openai.com" || strings.HasSuffix(host, ".openai.azure.com"):
		params.MaxCompletionTokens = param.NewOpt(int64(tokens))
	default:
		params.MaxTokens = param.NewOpt(int64(tokens))
	}
}

func openaiMessage(m message) openai.ChatCompletionMessageParamUnion {
	switch m.Role {
	case roleTool:
		return openai.ToolMessage(m.answer(), m.Call)
	case roleUser:
		return openai.UserMessage(m.Text)
	}
	said := &openai.ChatCompletionAssistantMessageParam{}
	if m.Text != "" {
		said.Content.OfString = param.NewOpt(m.Text)
	}
	for _, c := range m.Calls {
		arguments := c.Unreadable
		if arguments == "" {
			arguments = string(c.object())
		}
		said.ToolCalls = append(said.ToolCalls, openai.ChatCompletionMessageToolCallUnionParam{OfFunction: &openai.ChatCompletionMessageFunctionToolCallParam{
			ID: c.ID, Function: openai.ChatCompletionMessageFunctionToolCallFunctionParam{Name: c.Name, Arguments: arguments},
		}})
	}
	return openai.ChatCompletionMessageParamUnion{OfAssistant: said}
}

// openaiTool is written raw, so that a schema keeps its numbers as they are.
func openaiTool(t tool) openai.ChatCompletionToolUnionParam {
	function := map[string]any{"name": t.Name, "parameters": t.schema()}
	if t.Description != "" {
		function["description"] = t.Description
	}
	return openai.ChatCompletionFunctionTool(param.Override[shared.FunctionDefinitionParam](mustJSON(function)))
}

// strict reports whether a schema is of the kind that OpenAI can hold a model to: objects list all their properties as
// required and allow no others.
func strict(schema json.RawMessage) bool {
	var v any
	return json.Unmarshal(schema, &v) == nil && strictValue(v)
}

func strictValue(v any) bool {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			if !strictValue(e) {
				return false
			}
		}
	case map[string]any:
		if v["type"] == "object" && !strictObject(v) {
			return false
		}
		for _, e := range v {
			if !strictValue(e) {
				return false
			}
		}
	}
	return true
}

func strictObject(v map[string]any) bool {
	properties, _ := v["properties"].(map[string]any)
	required, _ := v["required"].([]any)
	return v["additionalProperties"] == false && len(properties) == len(required)
}

// stream reads events.
func (p openaiChat) stream(resp *http.Response, a *answer) error {
	events := ssestream.NewDecoder(resp)
	for events.Next() {
		data := strings.TrimSpace(string(events.Event().Data))
		if data == "[DONE]" {
			return nil
		}
		if err := saidInStream([]byte(data)); err != nil {
			return err
		}
		var chunk openai.ChatCompletionChunk
		if err := json.Unmarshal([]byte(data), &chunk); err != nil {
			return garbage("an event of the answer cannot be read: "+err.Error(), data)
		}
		if err := chunkOf(&chunk, a); err != nil {
			return err
		}
	}
	return events.Err()
}

func chunkOf(chunk *openai.ChatCompletionChunk, a *answer) error {
	openaiUsage(a, chunk.Usage, chunk.Model, chunk.ID)
	if len(chunk.Choices) == 0 {
		return nil
	}
	choice := chunk.Choices[0]
	a.begun = true
	a.refusal.WriteString(choice.Delta.Refusal)
	if choice.FinishReason != "" {
		a.finish, a.stop = choice.FinishReason, openaiStop(choice.FinishReason)
	}
	for _, d := range choice.Delta.ToolCalls {
		if err := callDelta(a, d); err != nil {
			return err
		}
	}
	if err := a.take(choice.Delta.Refusal); err != nil {
		return err
	}
	return a.say(choice.Delta.Content)
}

// callDelta adds a piece of a call. Some providers write every call whole and number all of them 0.
func callDelta(a *answer, d openai.ChatCompletionChunkChoiceDeltaToolCall) error {
	i := int(d.Index)
	if i > len(a.calls) || i < 0 {
		return garbage(fmt.Sprintf("call %d of the answer comes after %d calls", i+1, len(a.calls)), "")
	}
	if i == len(a.calls) || d.ID != "" && a.calls[i].id != "" && d.ID != a.calls[i].id {
		if last := a.last(); i < len(a.calls) && last.id == d.ID {
			i = len(a.calls) - 1
		} else {
			i = len(a.calls)
			if _, err := a.call(d.ID, ""); err != nil {
				return err
			}
		}
	}
	c := a.calls[i]
	c.name += d.Function.Name
	c.arguments.WriteString(d.Function.Arguments)
	return a.take(d.Function.Name + d.Function.Arguments)
}

// whole reads an answer in one piece, of a provider that does not stream.
func (p openaiChat) whole(data []byte, a *answer) error {
	var said openai.ChatCompletion
	if err := json.Unmarshal(data, &said); err != nil || len(said.Choices) == 0 {
		return garbage("the answer is not a chat completion", string(data))
	}
	openaiUsage(a, said.Usage, said.Model, said.ID)
	choice := said.Choices[0]
	a.finish, a.stop = choice.FinishReason, openaiStop(choice.FinishReason)
	a.refusal.WriteString(choice.Message.Refusal)
	for _, c := range choice.Message.ToolCalls {
		made, err := a.call(c.ID, c.Function.Name)
		if err != nil {
			return err
		}
		made.arguments.WriteString(c.Function.Arguments)
		if err := a.take(c.Function.Arguments); err != nil {
			return err
		}
	}
	return a.say(choice.Message.Content)
}

func openaiUsage(a *answer, u openai.CompletionUsage, model, id string) {
	if model != "" {
		a.used.Model = model
	}
	if id != "" {
		a.used.Response = id
	}
	if u.PromptTokens > 0 || u.CompletionTokens > 0 {
		a.used.Input, a.used.Output, a.used.Cached = u.PromptTokens, u.CompletionTokens, u.PromptTokensDetails.CachedTokens
	}
}

func openaiStop(reason string) string {
	switch reason {
	case "length", "max_tokens":
		return stopLength
	case "content_filter":
		return stopFiltered
	case "":
		return stopUnknown
	}
	return stopEnd
}
