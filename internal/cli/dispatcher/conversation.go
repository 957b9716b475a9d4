package dispatcher

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"belay/internal/steps"
	"belay/internal/steps/view"
	"belay/internal/text"
)

// maxSaid is how many characters one line shows of what a model or a tool said.
const maxSaid = 120

// turn prints once what the model said in a turn of an agent, and the calls that it proposes.
func (p *progress) turn(s *steps.State, i int) {
	u := &s.Units[i]
	if !u.IsTurn() || u.State() != steps.StepSucceeded || p.turns[u.ID] {
		return
	}
	t, ok := view.TurnOf(s, i)
	if !ok {
		return
	}
	p.turns[u.ID] = true
	if said := text.Line(t.Said); said != "" {
		p.line(s, i, p.mark("»", "36")+" "+text.Cut(said, maxSaid))
	}
	for n, c := range t.Calls {
		fmt.Fprintf(p.w, "  %s %-14s %s\n", p.mark("→", "36"), forPeople(fmt.Sprintf("%s.%d", u.ID, n+1)), proposed(&c, maxSaid))
	}
	if t.Wrong != "" {
		p.line(s, i, p.mark("✗", "33")+" "+text.Cut(text.Line(t.Wrong), maxSaid)+p.dim("  the agent is told"))
	}
}

// summary prints once what an agent's model reads in place of its first turns, or that there is nothing.
func (p *progress) summary(s *steps.State, i int) {
	u := &s.Units[i]
	if !u.IsSummary() || !u.Over() || p.turns[u.ID] {
		return
	}
	m, ok := view.SummaryOf(s, i)
	if !ok {
		return
	}
	p.turns[u.ID] = true
	if said := text.Line(m.Text); said != "" {
		p.line(s, i, p.mark("≡", "36")+" summary of "+m.Covers()+": "+text.Cut(said, maxSaid))
		return
	}
	p.line(s, i, p.mark("≡", "33")+" summary of "+m.Covers()+": "+m.Use())
}

// notes prints once what a person wrote to an agent.
func (p *progress) notes(s *steps.State, i int) {
	w, ok := s.AgentWork(i)
	if !ok {
		return
	}
	n := 0
	for k, t := range w.Turns {
		for _, note := range t.Notes {
			if n++; n > p.written[i] {
				p.written[i] = n
				words := (&view.AgentNote{Text: note.Text, TakesBack: note.TakesBack}).Words(k + 1)
				p.line(s, i, p.mark("«", "35")+" "+text.Line(orNobody(note.By))+": "+text.Cut(text.Line(words), maxSaid))
			}
		}
	}
}

// proposed is a call on one line, with at most so many characters of its arguments.
func proposed(c *view.AgentCall, most int) string {
	return text.Cut(text.Line(c.Tool), maxSaid) + " " + text.Cut(text.Line(readable(c.Arguments)), most)
}

// readable is a JSON value as people read it: what is only a text stands for itself.
func readable(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	return string(raw)
}

// printConversation shows an agent: what it was asked, each turn with its calls, and how much of its limits it has used. With
// rest, the command that shows all of it, it is shorter.
func (a *app) printConversation(v *view.Agent, rest string) {
	p := func(format string, args ...any) { fmt.Fprintf(a.Out, format, args...) }
	p("agent     %s asks %s: %s\n", forPeople(v.Step), v.Model, v.Spent())
	if v.Instructions != "" {
		a.printText("told", v.Instructions, rest != "")
	}
	a.printText("prompt", v.Prompt, rest != "")
	for _, q := range v.People {
		if q.Verb != "" {
			p("limit     %s: %s by %s%s\n", text.Line(q.Message), q.Verb, text.Line(q.By), text.Line(note(q.Reason)))
		}
	}
	if v.Earlier > 0 {
		p("          %s before: %s\n", several(v.Earlier, "turn"), rest)
	}
	a.printSummaries(v, func(after int) bool { return len(v.Turns) == 0 || after < v.Turns[0].Number }, rest != "")
	for i := range v.Turns {
		a.printTurn(&v.Turns[i], rest != "")
		a.printSummaries(v, func(after int) bool { return after == v.Turns[i].Number }, rest != "")
	}
	if rest != "" && v.Earlier == 0 {
		p("          in full: %s\n", rest)
	}
}

func (a *app) printTurn(t *view.AgentTurn, brief bool) {
	a.printText(fmt.Sprintf("turn %d", t.Number), cmp.Or(t.Said, "("+silent(t)+")"), brief)
	if how := howItWent(t); how != "" {
		fmt.Fprintf(a.Out, "          [%s]\n", text.Line(how))
	}
	for i := range t.Calls {
		a.printProposed(t, i, brief)
	}
	if t.Wrong != "" {
		a.printText("wrong", t.Wrong, brief)
	}
	for _, n := range t.Notes {
		unread := ""
		if n.Unread {
			unread = " (not read yet)"
		}
		a.printText("message", orNobody(n.By)+unread+": "+n.Words(t.Number), brief)
	}
}

// printSummaries shows those that were asked for after some turns.
func (a *app) printSummaries(v *view.Agent, which func(after int) bool, brief bool) {
	for i := range v.Summaries {
		m := &v.Summaries[i]
		if !which(m.After) {
			continue
		}
		a.printText("summary", cmp.Or(m.Text, "("+m.Use()+")"), brief)
		how := []string{"of " + m.Covers()}
		if more := tookAndCost(m.Took, m.Tokens, m.Cost, m.Outcome()); more != "" {
			how = append(how, more)
		}
		fmt.Fprintf(a.Out, "          [%s]\n", text.Line(strings.Join(how, ", ")))
	}
}

func orNobody(by string) string { return cmp.Or(by, "nobody named") }

// silent says why there is nothing that the model said.
func silent(t *view.AgentTurn) string {
	if t.State == steps.StepSucceeded {
		return "no text"
	}
	return "no answer"
}

// howItWent says what a turn took and cost, and what was special about it.
func howItWent(t *view.AgentTurn) string { return tookAndCost(t.Took, t.Tokens, t.Cost, t.Outcome()) }

func tookAndCost(took steps.Duration, tokens int64, cost steps.Money, how string) string {
	var parts []string
	if took > 0 {
		parts = append(parts, time.Duration(took).Round(time.Millisecond).String())
	}
	if tokens > 0 {
		parts = append(parts, several(int(tokens), "token"))
	}
	if cost > 0 {
		parts = append(parts, cost.String())
	}
	if how != "" {
		parts = append(parts, how)
	}
	return strings.Join(parts, ", ")
}

func (a *app) printProposed(t *view.AgentTurn, n int, brief bool) {
	most := 2000
	if brief {
		most = 300
	}
	c := &t.Calls[n]
	fmt.Fprintf(a.Out, "%-9s %s\n", fmt.Sprintf("  t%d.%d", t.Number, n+1), proposed(c, most))
	if c.Changed != nil {
		fmt.Fprintf(a.Out, "          changed to %s\n", text.Cut(text.Line(readable(c.Changed)), most))
	}
	fmt.Fprintf(a.Out, "          %s", text.Line(c.Outcome()))
	if id := c.Waits(); id != "" {
		fmt.Fprintf(a.Out, " (%s)", short(id))
	}
	if c.Result != "" {
		fmt.Fprintf(a.Out, " -> %s", text.Cut(text.Line(c.Result), most))
	}
	fmt.Fprintln(a.Out)
}

// printText shows a text under its name: on one line, or on as many as it has.
func (a *app) printText(name, s string, brief bool) {
	if brief {
		fmt.Fprintf(a.Out, "%-9s %s\n", name, text.Cut(text.Line(s), 300))
		return
	}
	for line := range strings.Lines(text.Lines(strings.TrimSpace(s))) {
		fmt.Fprintf(a.Out, "%-9s %s\n", name, strings.TrimSuffix(line, "\n"))
		name = ""
	}
}

func several(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}
