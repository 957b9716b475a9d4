package steps

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Conversation is what a model is asked in one turn of an agent: the parameters of a rung `model`. Each part of it stands on
// the log once; whoever executes the turn puts it together from there.
type Conversation struct {
	Instructions string          `json:"instructions,omitempty"`
	Messages     []Message       `json:"messages"`
	Tools        []OfferedTool   `json:"tools,omitempty"`
	NoCalls      bool            `json:"no_calls,omitempty"` // the model must answer now, although it is told of the tools
	OutputSchema json.RawMessage `json:"output_schema,omitempty"`
	MaxTokens    int             `json:"max_output_tokens"`
}

// Message is one part of a [Conversation].
type Message struct {
	Role   string        `json:"role"`             // user, assistant or tool
	Text   string        `json:"text"`             // what was said, or what came of a call
	Calls  []MessageCall `json:"calls,omitempty"`  // of the assistant
	Call   string        `json:"call,omitempty"`   // of a tool: the id of the call that it answers
	Failed bool          `json:"failed,omitempty"` // of a tool: the call gave no result
}

// MessageCall is a call that the assistant has proposed.
type MessageCall struct {
	ID        string          `json:"id"` // `t<turn>_<position>`, never the model's own
	Name      string          `json:"name"`
	Arguments json.RawMessage `json:"arguments"` // an object
}

// OfferedTool is a tool as the model is told of it.
type OfferedTool struct {
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	InputSchema json.RawMessage `json:"input_schema"`
}

// Conversation is what attempt a asks the model: to go on with a turn of an agent, or to summarise some; false if a is neither.
func (s *State) Conversation(a Attempt) (Conversation, bool) {
	i := s.Unit(a.Step)
	if i < 0 || !s.Units[i].asksModel() {
		return Conversation{}, false
	}
	o := s.Units[i].origin
	if o.kind == agentSummary {
		return s.askSummary(int(o.parent), &s.Units[o.parent].loop.summaries[o.item-1]), true
	}
	return s.askTurn(int(o.parent), int(o.item)-1), true
}

// askTurn is what the model of an agent is asked after so many turns.
func (s *State) askTurn(agent, turns int) Conversation {
	n, l := s.Program.Nodes[s.Units[agent].Node].Agent, s.Units[agent].loop
	c := Conversation{Instructions: l.instructions, OutputSchema: n.OutputSchema, MaxTokens: n.MaxOutputTokens}
	for _, t := range n.Tools {
		schema := t.Tool.InputSchema
		if len(schema) == 0 {
			schema = json.RawMessage(`{"type":"object"}`)
		}
		c.Tools = append(c.Tools, OfferedTool{t.Call, t.Description, schema})
	}
	p := s.past(agent, turns)
	c.Messages = append(c.Messages, Message{Role: "user", Text: l.prompt + s.saidOfPast(agent, p)})
	for k := range p.upto {
		c.Messages = s.addNotes(c.Messages, l, k+1)
	}
	c.Messages = s.addTurns(c.Messages, l, p.upto, turns)
	if l.last && turns == len(l.turns)-1 {
		c.NoCalls = true
		c.Messages = append(c.Messages, Message{Role: "user", Text: "You have reached a limit. Answer now, as well as you can with what you know, without calling a tool, and say what is missing."})
	}
	return c
}

// addTurns appends what an agent's model may be shown of its turns from number `from` on, before number `to`, counted from 0, and
// all that people wrote meanwhile.
func (s *State) addTurns(list []Message, l *loop, from, to int) []Message {
	shown := l.shown(from, to)
	for k := from; k < to; k++ {
		if len(shown) > 0 && shown[0] == k {
			list, shown = s.addTurn(list, k+1, &l.turns[k]), shown[1:]
		}
		list = s.addNotes(list, l, k+1)
	}
	return list
}

// addTurn appends what the model said in turn k, and what came of it.
func (s *State) addTurn(list []Message, k int, t *turn) []Message {
	if s.Units[t.unit].phase != PhaseSucceeded {
		return list // there was no answer
	}
	answer := s.Units[t.unit].said()
	m := Message{Role: "assistant", Text: answer.Text}
	if m.Text == "" && len(answer.Calls) == 0 {
		m.Text = string(orNull(answer.Object))
	}
	var results []Message
	for n, p := range answer.Calls {
		id := fmt.Sprintf("t%d_%d", k, n+1)
		m.Calls = append(m.Calls, MessageCall{id, sayable(p.Name), argumentsOf(p)})
		if n < len(t.calls) {
			text, failed := s.resultOf(t.calls[n])
			results = append(results, Message{Role: "tool", Call: id, Text: text, Failed: failed})
		}
	}
	list = append(append(list, m), results...)
	if t.wrong != "" {
		list = append(list, Message{Role: "user", Text: t.wrong})
	}
	return list
}

// sayable is the name of a call as providers take it back: a model that has made one up would otherwise hear nothing more.
func sayable(name string) string {
	const most = 64
	ok := func(c rune) bool {
		return c == '_' || c == '-' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
	}
	name = strings.Map(func(c rune) rune {
		if ok(c) {
			return c
		}
		return '_'
	}, name)
	if name == "" {
		return "unnamed"
	}
	return name[:min(len(name), most)]
}

func argumentsOf(p proposal) json.RawMessage {
	if !bytes.HasPrefix(bytes.TrimSpace(p.Arguments), []byte("{")) {
		return noParams
	}
	return p.Arguments
}

// resultOf is what the model is told of a call. Whatever did not come about as it proposed is named: another rung's result,
// a person's answer, changed arguments.
func (s *State) resultOf(i int) (text string, failed bool) {
	if u := &s.Units[i]; u.phase != PhaseSucceeded {
		text = s.noResult(i)
		if s.mayHaveHappened(i) {
			text += ". It may have happened all the same"
		}
		if s.strange(i) {
			text += " (" + asData + ")"
		}
		return text, true
	}
	u := &s.Units[i]
	notes := map[string]any{}
	if u.shows != 0 {
		notes["made_before"] = "in a turn that was taken back; it was not made again"
	}
	if u.Degraded != nil {
		notes["degraded"] = "from rung " + u.Degraded.Rung + ", because of " + u.Degraded.Cause
	}
	if u.AnswerBy != "" {
		notes["answered_by"] = u.AnswerBy
	}
	if u.edit > 0 {
		notes["changed_by_a_person"] = u.Params
	}
	if s.strange(i) {
		notes["untrusted"] = asData
	}
	text, left := s.shownOf(i)
	switch {
	case len(notes) == 0 && left == "":
		return text, false
	case len(notes) == 0:
		return text + "\n\n(" + left + ")", false
	case left == "":
		notes["output"] = orNull(u.Output)
	default:
		notes["output"], notes["left_out"] = text, left
	}
	b, err := json.Marshal(notes)
	if err != nil {
		return text, false
	}
	return string(b), false
}

// shownOf is what an agent's model is shown of the output of call i, and what it is told of the rest; empty: that is all.
func (s *State) shownOf(i int) (text, left string) {
	text = plain(s.Units[i].Output)
	keep := s.Program.Nodes[s.Units[i].Node].Agent.KeepOutput
	if keep == 0 || len(text) <= keep {
		return text, ""
	}
	all := len(text)
	for !utf8.RuneStart(text[keep]) {
		keep--
	}
	left = fmt.Sprintf("these are the first %d of %d bytes, and the other %d are left out", keep, all, all-keep)
	if s.Tool(i).Effects == EffectsNone {
		return text[:keep], left + ": if you need more of it, call this tool for a smaller part, where it can give one"
	}
	return text[:keep], left + ": do not call this tool again to see them"
}

// noResult is what the model is told of a call that has none.
func (s *State) noResult(i int) string {
	u := &s.Units[i]
	skipped := func(e Escalation) bool { return e.Unit == i && e.Decision != nil && e.Decision.Verb == VerbSkip }
	switch {
	case u.Rejected != nil:
		return "rejected by " + u.Rejected.By + because(u.Rejected.Reason) + ". " + refusedNow(u.Rejected.Scope)
	case slices.ContainsFunc(s.Escalations, skipped):
		return "a person has skipped this call: there is no result"
	case u.Fault != nil:
		return u.Fault.Error()
	}
	return "there is no result"
}

// refusedNow says what is not to be proposed after a rejection.
func refusedNow(scope DenialScope) string {
	switch scope {
	case ScopeTool:
		return "Do not call this tool again: no call of it will be made"
	case ScopeTarget:
		return "Do not call this tool again for the same target: no such call will be made"
	}
	return "Do not propose the same again"
}

// plain is an output as text: one that is nothing but text stands for itself.
func plain(out json.RawMessage) string {
	var v map[string]json.RawMessage
	var text string
	if json.Unmarshal(out, &v) == nil && len(v) == 1 && json.Unmarshal(v["text"], &text) == nil {
		return text
	}
	if json.Unmarshal(out, &text) == nil {
		return text
	}
	return strings.TrimSpace(string(orNull(out)))
}
