package modelexec

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"belay/internal/exactjson"
	"belay/internal/executor"
	"belay/internal/steps"
)

// conversation is what a model is asked.
type conversation struct {
	instructions string
	messages     []message
	tools        []tool
	schema       json.RawMessage // of the object that it must answer with; nil for text
	fits         func(json.RawMessage) error
	whole        bool // the object is the output
	noCalls      bool // it must answer, and may call no tool
	maxOutput    int  // tokens; 0: what the provider allows
}

// asked is what the parameters of a rung without a prompt of its own say.
type asked struct {
	Prompt          *string         `json:"prompt"`
	Messages        []message       `json:"messages"`
	Instructions    string          `json:"instructions"`
	Tools           []tool          `json:"tools"`
	NoCalls         bool            `json:"no_calls"`
	OutputSchema    json.RawMessage `json:"output_schema"`
	MaxOutputTokens *int            `json:"max_output_tokens"`
}

// The roles of messages.
const (
	roleUser      = "user"
	roleAssistant = "assistant"
	roleTool      = "tool"
)

// message is one turn of a conversation.
type message struct {
	Role   string `json:"role"`
	Text   string `json:"text"`
	Calls  []call `json:"calls"`  // of the assistant
	Call   string `json:"call"`   // id of the call that a tool answers
	Failed bool   `json:"failed"` // the tool did not do it
}

// call is one use of a tool that a model asks for.
type call struct {
	ID         string          `json:"id"`
	Name       string          `json:"name"`
	Arguments  json.RawMessage `json:"arguments,omitempty"`  // an object
	Unreadable string          `json:"unreadable,omitempty"` // what the model wrote in their place
}

// tool is what a model may call.
type tool struct {
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	InputSchema json.RawMessage `json:"input_schema,omitempty"`
}

// conversation makes it of an attempt's parameters. Its errors are faults of a call that was never made.
func (x *rung) conversation(req executor.Request) (*conversation, error) {
	params, err := executor.Decode(req.Params)
	if err != nil {
		return nil, err
	}
	c := &conversation{schema: x.spec.Schema, fits: x.spec.Fits, whole: x.spec.Schema != nil, maxOutput: x.spec.MaxOutputTokens}
	if c.instructions, err = filled("instructions", x.spec.Instructions, params); err != nil {
		return nil, err
	}
	if x.spec.Prompt == nil {
		return c, x.read(c, req.Params)
	}
	prompt, err := filled("prompt", x.spec.Prompt, params)
	if err != nil {
		return nil, err
	}
	if prompt == "" {
		return nil, neverSent("the prompt is empty after filling in the parameters")
	}
	c.messages = []message{{Role: roleUser, Text: prompt}}
	return c, nil
}

func filled(key string, text executor.Text, params any) (string, error) {
	if text == nil {
		return "", nil
	}
	s, err := text(params)
	if err != nil {
		return "", executor.BadTemplate(key, err)
	}
	return s, nil
}

// read completes a conversation with what the parameters ask.
func (x *rung) read(c *conversation, params json.RawMessage) error {
	var a asked
	if err := exactjson.Strict(params, &a); err != nil {
		return neverSent("the parameters are not what a model is asked by: " + err.Error())
	}
	if err := a.check(c.whole); err != nil {
		return neverSent(err.Error())
	}
	c.messages, c.tools, c.noCalls = a.Messages, a.Tools, a.NoCalls
	if a.Prompt != nil {
		c.messages = []message{{Role: roleUser, Text: *a.Prompt}}
	}
	if a.Instructions != "" {
		c.instructions = strings.TrimPrefix(c.instructions+"\n\n"+a.Instructions, "\n\n")
	}
	if n := a.MaxOutputTokens; n != nil && (c.maxOutput == 0 || *n < c.maxOutput) {
		c.maxOutput = *n
	}
	if !given(a.OutputSchema) {
		return nil
	}
	fits, err := x.spec.Compile(a.OutputSchema)
	if err != nil {
		return neverSent("output_schema: " + err.Error())
	}
	c.schema, c.fits = a.OutputSchema, fits
	return nil
}

// given reports whether a value is there and not null.
func given(raw json.RawMessage) bool { return len(raw) > 0 && string(raw) != "null" }

// check says what is wrong with the parameters. With whole, the tool's own schema says what the model answers.
func (a *asked) check(whole bool) error {
	switch {
	case (a.Prompt == nil) == (len(a.Messages) == 0):
		return errors.New("the parameters need either prompt or messages")
	case a.Prompt != nil && *a.Prompt == "":
		return errors.New("prompt is empty")
	case whole && (given(a.OutputSchema) || len(a.Tools) > 0):
		return errors.New("output_schema and tools cannot be asked for: the tool's own output_schema says what the model answers")
	case a.MaxOutputTokens != nil && *a.MaxOutputTokens < 1:
		return errors.New("max_output_tokens must be at least 1")
	}
	for i, t := range a.Tools {
		if err := t.check(); err != nil {
			return fmt.Errorf("tools[%d]: %w", i, err)
		}
	}
	open := map[string]bool{}
	for i, m := range a.Messages {
		if err := m.check(open); err != nil {
			return fmt.Errorf("messages[%d]: %w", i, err)
		}
	}
	return nil
}

func (t tool) check() error {
	if t.Name == "" {
		return errors.New("it has no name")
	}
	if given(t.InputSchema) && t.InputSchema[0] != '{' {
		return fmt.Errorf("the input_schema of %s is not an object", t.Name)
	}
	return nil
}

// schema is what the tool takes.
func (t tool) schema() json.RawMessage {
	if given(t.InputSchema) {
		return t.InputSchema
	}
	return json.RawMessage(`{"type":"object"}`)
}

// check says what is wrong with a message. Open has the calls before it.
func (m message) check(open map[string]bool) error {
	switch m.Role {
	case roleUser:
		return m.checkUser()
	case roleAssistant:
		return m.checkAssistant(open)
	case roleTool:
		return m.checkTool(open)
	}
	return fmt.Errorf("the role %.40q is none of user, assistant, tool", m.Role)
}

func (m message) checkUser() error {
	if len(m.Calls) > 0 || m.Call != "" || m.Failed {
		return errors.New("a user's message has role and text, nothing else")
	}
	if m.Text == "" {
		return errors.New("a user's message needs a text")
	}
	return nil
}

func (m message) checkAssistant(open map[string]bool) error {
	if m.Call != "" || m.Failed {
		return errors.New("an assistant's message has role, text and calls, nothing else")
	}
	if m.Text == "" && len(m.Calls) == 0 {
		return errors.New("an assistant's message needs a text or calls")
	}
	for i, c := range m.Calls {
		if c.ID == "" || c.Name == "" {
			return fmt.Errorf("calls[%d] needs an id and a name", i)
		}
		if given(c.Arguments) && c.Arguments[0] != '{' {
			return fmt.Errorf("the arguments of calls[%d] are not an object", i)
		}
		open[c.ID] = true
	}
	return nil
}

func (m message) checkTool(open map[string]bool) error {
	if len(m.Calls) > 0 {
		return errors.New("a tool's message has role, call, text and failed, nothing else")
	}
	if !open[m.Call] {
		return fmt.Errorf("it answers the call %.40q, which no message before it makes", m.Call)
	}
	return nil
}

// object is the arguments of a call as they are sent: always an object.
func (c call) object() json.RawMessage {
	if given(c.Arguments) {
		return c.Arguments
	}
	return json.RawMessage("{}")
}

// answer is the text of a tool's message as the model gets it.
func (m message) answer() string {
	if m.Failed {
		return "failed: " + cmp.Or(m.Text, "no reason was given")
	}
	return m.Text
}

func neverSent(message string) steps.Fault {
	return steps.Fault{Class: steps.InvalidInput, Acted: steps.ActedNo, Message: message}
}
