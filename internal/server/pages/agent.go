package pages

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"belay/internal/people"
	"belay/internal/steps"
	"belay/internal/steps/view"
)

// agentView is an agent as a conversation: what it was asked, what it said and called, and how much of its limits it has used.
// What models and tools said is outside text.
type agentView struct {
	Step, Model  string
	State        steps.StepState
	Spent        string
	Instructions string
	Prompt       string
	Limits       []row // what people have decided about its limits
	Earlier      string
	Whole        string        // path of the run with all of it
	Summaries    []summaryView // of turns that are not shown here
	Turns        []turnView
	Steer        *steerView // the form with which the reader writes to it; nil = they cannot
}

type turnView struct {
	Number int
	Said   string
	Silent string // why nothing was said
	Took   string // and what it cost
	How    string // what was special about it; may hold outside text
	Wrong  string
	Back   bool // it was taken back, as How says
	Calls  []callView
	Notes  []noteView

	Summaries []summaryView // that were asked for after it
}

// summaryView is what the agent reads in place of its first turns.
type summaryView struct {
	Covers string // the turns that it stands for
	Use    string // what comes of it
	Text   string // outside text; empty: there is none
	Took   string // and what it cost
	How    string // what was special about it; may hold outside text
}

// noteView is what a person has written to the agent.
type noteView struct {
	By, Text string // outside text
	Unread   bool
}

type callView struct {
	Mark      string
	State     steps.StepState
	Tool      string
	Arguments valueLine
	Changed   *valueLine
	Outcome   string // may hold outside text
	Result    valueLine
	Card      string // path of the open escalation about it; empty = there is none
	Short     string // of that escalation
	Here      bool   // it is in question on this card
}

// valueLine is a value on one line; Whole is all of it where the line is not.
type valueLine struct{ Brief, Whole string }

const lineRoom = 160 // characters

func (r *room) line(s string) valueLine {
	s = r.said(s)
	brief := strings.Join(strings.Fields(s), " ")
	if utf8.RuneCountInString(brief) <= lineRoom {
		return valueLine{Brief: brief}
	}
	return valueLine{Brief: cut(brief, lineRoom), Whole: s}
}

func (r *room) arguments(raw json.RawMessage) valueLine {
	if most := min(textRoom, max(r.left, 0)); len(raw) > most {
		return r.line(strings.ToValidUTF8(string(raw[:most]), "") + "…")
	}
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return r.line(s)
	}
	return r.line(ascii(string(raw)))
}

// agent shows an agent. here is the step in question; whole is the page with all of it.
func (r *room) agent(a *view.Agent, here, whole string) *agentView {
	if a == nil {
		return nil
	}
	turns, hidden := lastOf(a.Turns)
	v := &agentView{
		Step: a.Step, Model: a.Model, State: a.State, Spent: a.Spent(), Instructions: r.said(a.Instructions), Prompt: r.said(a.Prompt), Whole: whole,
	}
	if n := a.Earlier + hidden; n > 0 {
		v.Earlier = count(n, "earlier turn", "earlier turns")
	}
	for _, q := range a.People {
		if q.Verb != "" {
			v.Limits = append(v.Limits, row{Name: spoken(q.Message), Text: r.said(decision(q))})
		}
	}
	for i := range turns {
		v.Turns = append(v.Turns, r.turn(&turns[i], here))
	}
	for i := range a.Summaries {
		m := &a.Summaries[i]
		at := slices.IndexFunc(turns, func(t view.AgentTurn) bool { return t.Number == m.After })
		if at >= 0 {
			v.Turns[at].Summaries = append(v.Turns[at].Summaries, r.summary(m))
		} else if m.Read {
			v.Summaries = append(v.Summaries, r.summary(m))
		}
	}
	return v
}

func (r *room) summary(m *view.AgentSummary) summaryView {
	return summaryView{Covers: m.Covers(), Use: spoken(m.Use()), Text: r.said(m.Text), Took: tookAndCost(m.Took, m.Tokens, m.Cost), How: r.said(m.Outcome())}
}

// decision says who decided what, and why.
func decision(q view.Asked) string {
	text := strings.ToLower(verbWords[people.Action(q.Verb)].Label) + ", by " + q.By
	if q.Reason != "" {
		text += ": " + q.Reason
	}
	return text
}

func (r *room) turn(t *view.AgentTurn, here string) turnView {
	v := turnView{Number: t.Number, Said: r.said(t.Said), Wrong: r.said(t.Wrong), How: r.said(t.Outcome()), Back: t.Back != nil}
	v.Took = tookAndCost(t.Took, t.Tokens, t.Cost)
	if t.Said == "" {
		v.Silent = "It has not answered."
		if t.State == steps.StepSucceeded {
			v.Silent = "It said nothing."
		}
	}
	for i := range t.Calls {
		v.Calls = append(v.Calls, r.call(&t.Calls[i], here))
	}
	for _, n := range t.Notes {
		v.Notes = append(v.Notes, noteView{r.said(cmp.Or(n.By, "nobody named")), r.said(n.Words(t.Number)), n.Unread})
	}
	return v
}

func tookAndCost(d steps.Duration, tokens int64, cost steps.Money) string {
	var parts []string
	if d > 0 {
		parts = append(parts, took(time.Duration(d)))
	}
	if tokens > 0 {
		parts = append(parts, count(int(tokens), "token", "tokens"))
	}
	if cost > 0 {
		parts = append(parts, cost.String())
	}
	return strings.Join(parts, ", ")
}

func (r *room) call(c *view.AgentCall, here string) callView {
	v := callView{
		Mark: stepMark(c.State), State: c.State, Tool: r.said(c.Tool), Arguments: r.arguments(c.Arguments), Outcome: r.said(c.Outcome()),
		Result: r.line(c.Result), Here: c.Step != "" && c.Step == here,
	}
	if c.Changed != nil {
		changed := r.arguments(c.Changed)
		v.Changed = &changed
	}
	if id := c.Waits(); id != "" {
		v.Card, v.Short = cardPath(id), shortID(id)
	}
	return v
}

// limitReached says which limit an agent has reached; detail is what it was reached with, which may be outside text.
func limitReached(d view.Dossier) (sentence, detail string) {
	reached, detail, _ := strings.Cut(d.Message, ": ")
	if rest, ok := strings.CutPrefix(reached, "the agent"); ok {
		return "Agent " + d.Step + rest, detail
	}
	return "Agent " + d.Step + " stands still: " + reached, detail
}

// moreWords are the labels of what an agent can be given, and what to type.
var moreWords = map[string]struct{ Label, Hint string }{
	"turns":    {"Turns", "Times that the model is asked."},
	"calls":    {"Calls", "Calls that it proposes."},
	"tokens":   {"Tokens", "Read and written by the model."},
	"usd":      {"US dollars", "For the model, like 0.50."},
	"time":     {"Time", "In seconds."},
	"repeats":  {"Repeats", "Turns that propose the same."},
	"refusals": {"Rejections", "Calls in a row that people reject."},
}

// extend makes a field of each limit, with what the plan gives as its value.
func (v *formView) extend() {
	top, _ := members(v.schema)
	properties, _ := members(find(top, "properties"))
	var given []member
	for _, p := range properties {
		of, _ := members(p.Value)
		given = append(given, member{p.Name, find(of, "default")})
	}
	v.setMore(object(given))
}

// setMore fills the fields in.
func (v *formView) setMore(amounts json.RawMessage) {
	v.Fields = fieldsOf(amounts, v.schema)
	for i := range v.Fields {
		f := &v.Fields[i]
		f.Label, f.Hint, f.Help = moreWords[f.Name].Label, moreWords[f.Name].Hint, ""
	}
}
