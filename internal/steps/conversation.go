package steps

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
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

// Turn is the conversation that attempt a asks the model to go on with; false if a is no turn of an agent.
func (s *State) Turn(a Attempt) (Conversation, bool) {
	i := s.Unit(a.Step)
	if i < 0 || s.Units[i].origin.kind != agentTurn {
		return Conversation{}, false
	}
	agent := int(s.Units[i].origin.parent)
	n, l := s.Program.Nodes[s.Units[agent].Node].Agent, s.Units[agent].loop
	c := Conversation{Instructions: l.instructions, OutputSchema: n.OutputSchema, MaxTokens: n.MaxOutputTokens}
	for _, t := range n.Tools {
		schema := t.Tool.InputSchema
		if len(schema) == 0 {
			schema = json.RawMessage(`{"type":"object"}`)
		}
		c.Tools = append(c.Tools, OfferedTool{t.Call, t.Description, schema})
	}
	c.Messages = append(c.Messages, Message{Role: "user", Text: l.prompt})
	turns := int(s.Units[i].origin.item) - 1
	shown := l.shown(0, turns)
	if keep := n.KeepTurns; keep > 0 && len(shown) > keep {
		c.Messages[0].Text += s.leftOut(agent, shown[:len(shown)-keep])
		shown = shown[len(shown)-keep:]
	}
	for k := range turns {
		if slices.Contains(shown, k) {
			c.Messages = s.addTurn(c.Messages, k+1, &l.turns[k])
		}
		c.Messages = s.addNotes(c.Messages, l, k+1)
	}
	if l.last && turns == len(l.turns)-1 {
		c.NoCalls = true
		c.Messages = append(c.Messages, Message{Role: "user", Text: "You have reached a limit. Answer now, as well as you can with what you know, without calling a tool, and say what is missing."})
	}
	return c, true
}

// leftOut says what an agent's model is not shown any more: nothing is left out silently.
func (s *State) leftOut(agent int, turns []int) string {
	l, made := s.Units[agent].loop, map[string]int{}
	for _, k := range turns {
		for _, u := range l.turns[k].calls {
			if s.Tool(u) != noTool {
				made[CallName(s.Tool(u).Name)]++
			}
		}
	}
	var calls []string
	for _, name := range slices.Sorted(maps.Keys(made)) {
		calls = append(calls, fmt.Sprintf("%s %d times", name, made[name]))
	}
	text := fmt.Sprintf("\n\n(Your first %s are left out here", plural(len(turns), "turn"))
	if calls != nil {
		text += "; in them you have called " + strings.Join(calls, ", ")
	}
	return text + ".)"
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
	if len(notes) == 0 {
		return plain(u.Output), false
	}
	notes["output"] = orNull(u.Output)
	b, err := json.Marshal(notes)
	if err != nil {
		return plain(u.Output), false
	}
	return string(b), false
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
