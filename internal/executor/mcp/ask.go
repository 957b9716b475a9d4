package mcpexec

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"belay/internal/executor"
	"belay/internal/steps"
)

// A server of 2026-07-28 and later answers a call with a question, and with the state that it wants to have back with the
// answer. Both go to the run's log: whichever worker goes on with the call sends it once more with them.

// kept is what the executor leaves on the log for the attempt that goes on.
type kept struct {
	Of string `json:"of"` // server and tool: what one has left is nothing to another

	State string  `json:"state,omitempty"` // the server's own, for the same request again
	Asked []asked `json:"asked,omitempty"` // in the order of their ids

	Task     string   `json:"task,omitempty"`     // its id: the call has become a task of the server
	Poll     int64    `json:"poll,omitempty"`     // how often the server wants to be asked for it, in milliseconds
	Answered []string `json:"answered,omitempty"` // ids of the task's questions that have their answers

	Older bool    `json:"older,omitempty"` // the server asks in the middle of a call, which is made anew
	Given []given `json:"given,omitempty"` // what it gets then when it asks the same
}

// asked is one of the questions that an answer is to.
type asked struct {
	ID   string `json:"id"`             // the server's
	Page bool   `json:"page,omitempty"` // it is answered on a page, and not with a value
}

// elicitation is a question as it is sent.
type elicitation struct {
	Message string          `json:"message"`
	Schema  json.RawMessage `json:"requestedSchema,omitempty"`
	URL     string          `json:"url,omitempty"`
}

const (
	elicit = "elicitation/create"
	// pageDone is the answer to a question that is answered on a page.
	pageDone = "done"
)

var donePage = json.RawMessage(`{"enum":["` + pageDone + `"]}`)

// needed is the fault of a call that the server goes on with once it has what it needs. Questions are for people; a server
// that asks for nothing is busy, and wants to be called on again.
func needed(requests map[string]inputRequest, k kept) error {
	ids := slices.Sorted(maps.Keys(requests))
	var questions []elicitation
	for _, id := range ids {
		var q elicitation
		if r := requests[id]; r.Method != elicit || json.Unmarshal(r.Params, &q) != nil {
			return steps.Fault{Class: steps.ToolError, Acted: steps.ActedMaybe, Message: "the server asks for something that Belay does not give: " + executor.Head([]byte(r.Method), 60), Detail: executor.Head(r.Params, detailBytes)}
		}
		questions = append(questions, q)
		k.Asked = append(k.Asked, asked{ID: id, Page: q.URL != ""})
	}
	if len(questions) > 0 {
		return executor.Unfinished{Fault: faultOf(questions), Resume: k.resume(), Question: questionOf(ids, questions)}
	}
	busy := steps.Fault{Class: steps.Unavailable, Acted: steps.ActedMaybe, Message: "the server is busy and asks to be called again later"}
	if k.State == "" {
		return busy
	}
	return executor.Unfinished{Fault: busy, Resume: k.resume()}
}

// resume is k as it is left on the log.
func (k kept) resume() *steps.Resume {
	b, err := json.Marshal(k)
	if err != nil {
		panic("mcpexec: texts cannot fail to encode: " + err.Error())
	}
	if k.Task != "" {
		return &steps.Resume{Value: b, About: "task " + executor.Head([]byte(k.Task), 100), Harmless: true}
	}
	if k.Older {
		return &steps.Resume{Value: b, About: "the same call once more, answered when it asks", Anew: true}
	}
	return &steps.Resume{Value: b, About: "the server's state"}
}

// faultOf is the fault of a call that goes on only after people have answered.
func faultOf(questions []elicitation) steps.Fault {
	var words []string
	for _, q := range questions {
		words = append(words, q.words())
	}
	detail, err := json.Marshal(questions)
	if err != nil {
		detail = nil
	}
	return steps.Fault{
		Class: steps.NeedsHuman, Acted: steps.ActedMaybe, Message: executor.Head([]byte(strings.Join(words, "; ")), messageBytes), Detail: executor.Head(detail, 2*detailBytes),
	}
}

func (q elicitation) words() string {
	if text := strings.TrimSpace(q.Message); text != "" {
		return executor.Head([]byte(text), messageBytes)
	}
	return "the server asks something, and does not say what"
}

// schema is that of the answer to one question.
func (q elicitation) schema() json.RawMessage {
	switch {
	case q.URL != "":
		return donePage
	case len(bytes.TrimSpace(q.Schema)) == 0 || string(q.Schema) == "null":
		return json.RawMessage(`{"type":"object"}`)
	}
	var is struct {
		Type any `json:"type"`
	}
	if json.Unmarshal(q.Schema, &is) != nil || is.Type != "object" || bytes.Contains(q.Schema, []byte(`"$ref"`)) {
		return json.RawMessage(`{"type":"object"}`) // it could not be answered, or not beside others; an answer is an object in any case
	}
	return q.Schema
}

// questionOf is what a person is asked: one question as it is, several as an object with the answer to each under its id.
func questionOf(ids []string, questions []elicitation) *steps.Question {
	if len(questions) == 1 {
		q := questions[0]
		asks := &steps.Question{Text: q.words(), Schema: q.schema(), URL: q.URL}
		if q.URL != "" {
			asks.Options = []string{pageDone}
		}
		return asks
	}
	var words []string
	properties := make([]string, 0, len(ids))
	for n, q := range questions {
		text := q.words()
		if q.URL != "" {
			text += " (answer it on " + q.URL + ", then say done)"
		}
		words = append(words, ids[n]+": "+text)
		properties = append(properties, quoted(ids[n])+":"+string(titled(q.schema(), text)))
	}
	required, err := json.Marshal(ids)
	if err != nil {
		panic("mcpexec: texts cannot fail to encode: " + err.Error())
	}
	schema := `{"type":"object","properties":{` + strings.Join(properties, ",") + `},"required":` + string(required) + `,"additionalProperties":false}`
	return &steps.Question{Text: strings.Join(words, "\n"), Schema: json.RawMessage(schema)}
}

func quoted(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic("mcpexec: a text cannot fail to encode: " + err.Error())
	}
	return string(b)
}

// titled is a schema that says in words what it is for, where it does not yet.
func titled(schema json.RawMessage, text string) json.RawMessage {
	rest, is := bytes.CutPrefix(bytes.TrimSpace(schema), []byte("{"))
	var has struct{ Description string }
	if !is || json.Unmarshal(schema, &has) != nil || has.Description != "" {
		return schema
	}
	head := `{"description":` + quoted(text)
	if rest = bytes.TrimSpace(rest); len(rest) > 0 && rest[0] != '}' {
		head += ","
	}
	return append([]byte(head), rest...)
}

// keptBy reads what an attempt before has left.
func (x *rung) keptBy(c *steps.Continuation) (kept, error) {
	var k kept
	if err := json.Unmarshal(c.Value, &k); err != nil {
		return k, steps.Fault{Class: steps.InvalidInput, Acted: steps.ActedNo, Message: "what the attempt before has left cannot be read: " + err.Error()}
	}
	if k.Of != x.of() {
		return k, steps.Fault{Class: steps.PolicyDenied, Acted: steps.ActedNo, Message: "not gone on with: the attempt before has left it with another server or tool than this worker's tools file names; bring the tools files of the workers in line, then retry"}
	}
	return k, nil
}

// of is a name for the rung's server and tool.
func (x *rung) of() string {
	b, err := json.Marshal([]any{x.spec.Server, x.spec.Tool})
	if err != nil {
		panic("mcpexec: settings cannot fail to encode: " + err.Error())
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

// signed notes in what a call leaves whose it is.
func (x *rung) signed(err error) error {
	u, is := err.(executor.Unfinished) //nolint:errorlint // made here, and never wrapped
	if !is || u.Resume == nil {
		return err
	}
	var k kept
	if json.Unmarshal(u.Resume.Value, &k) != nil {
		return u.Fault
	}
	k.Of = x.of()
	u.Resume = k.resume()
	return u
}

// responses are what the server gets for its questions; nil if it asked none.
func (k kept) responses(c *steps.Continuation) (mcp.InputResponseMap, error) {
	if len(k.Asked) == 0 {
		return nil, nil //nolint:nilnil // nothing was asked
	}
	all := mcp.InputResponseMap{}
	if c.Answer == nil && c.Declined == "" {
		return nil, nil //nolint:nilnil // nobody has decided: a task says once more what it needs
	}
	if c.Answer == nil {
		for _, a := range k.Asked {
			all[a.ID] = &mcp.ElicitResult{Action: "decline"}
		}
		return all, nil
	}
	if len(k.Asked) == 1 {
		return all, accept(all, k.Asked[0], c.Answer)
	}
	var each map[string]json.RawMessage
	if err := json.Unmarshal(c.Answer, &each); err != nil {
		return nil, unfit(err.Error())
	}
	for _, a := range k.Asked {
		if err := accept(all, a, each[a.ID]); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// accept adds the answer to one question. Numbers stay as they were written.
func accept(all mcp.InputResponseMap, a asked, answer json.RawMessage) error {
	r := &mcp.ElicitResult{Action: "accept"}
	all[a.ID] = r
	if a.Page {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(answer))
	d.UseNumber()
	if err := d.Decode(&r.Content); err != nil {
		return unfit(err.Error())
	}
	return nil
}

func unfit(why string) error {
	return steps.Fault{Class: steps.InvalidInput, Acted: steps.ActedNo, Message: "the answer is not an object, as the server wants it: " + why}
}
