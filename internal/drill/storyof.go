package drill

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"belay/internal/steps"
)

// Story writes the worst play of a cell down.
func (d *Drill) Story(c *Cell) (*Story, error) {
	if c.Outcome == Blank {
		return nil, &ErrNoCell{c.Name() + " cannot happen: " + c.Why}
	}
	i := slices.IndexFunc(c.plays, func(p *play) bool { return p.judged.Outcome == c.Outcome })
	p := c.plays[i]
	if p.target.kind == onDispatcher {
		return nil, &ErrNoCell{"a story has no killed dispatchers in it: --cell plays them"}
	}
	s := &Story{About: c.Name() + ", " + p.how() + ": " + p.judged.sentence(), Plan: d.Doc.File, Tools: d.Tools.File, Input: decoded(d.Input), Expect: expectOf(p.Played)}
	s.Expect.Within = s.Expect.Within.Round(time.Second) + time.Second
	s.Outputs = map[string]any{}
	for name, out := range d.Outputs { // of tools, and of probes
		s.Outputs[name] = plain(steps.Decode(out))
	}
	for step, out := range d.made.steps {
		s.Outputs[step] = plain(steps.Decode(out))
	}
	if u := p.target.undoing; u != nil {
		s.Cancel = u.unit
	}
	if p.target.kind == onQuestion {
		s.World, s.People = p.provoking(), p.deciding(d)
		return s, nil
	}
	of, above := p.target.unit, Incident{Step: p.target.unit, Class: steps.NotFound, Message: "down, so that the next rung is tried"}
	if p.says != nil && !p.once { // in each turn from this one on
		above.Step, above.After = p.target.step.ID, turnOf(of)-1
	}
	for k := range p.target.rung { // the rungs above are down
		if !p.target.probe() && p.target.tool.Rungs[k].Human == nil {
			above.Rung = p.target.tool.Rungs[k].Name
			s.World = append(s.World, above)
		}
	}
	if p.target.probe() {
		s.World = append(s.World, Incident{Step: of, Rung: p.target.tool.Rungs[0].Name, Fault: "timeout", Acted: true, Times: 1})
	}
	in := Incident{Step: of, Rung: p.target.def().Name, Fault: c.Fault, Acted: p.happens != nil && p.happens.Acts}
	if p.once {
		in.Times = 1
	}
	s.World = append(s.World, in)
	return s, nil
}

// provoking is what goes wrong with a compensation, so that people are asked.
func (p *play) provoking() []Incident {
	if p.happens == nil {
		return nil
	}
	var all []Incident
	f := p.happens.Fault
	for k := range p.target.tool.Rungs {
		if r := &p.target.tool.Rungs[k]; r.Human == nil {
			acted := p.happens.Acts && acts(p.target.tool, k)
			all = append(all, Incident{Step: p.target.unit, Rung: r.Name, Times: 1, Class: f.Class, MayHave: f.MayHaveActed(), Acted: acted, Message: f.Message})
		}
		if f.MayHaveActed() {
			break // nothing is tried after it
		}
	}
	if f.MayHaveActed() && p.target.tool.Probe != nil {
		all = append(all, Incident{Step: p.target.unit, Rung: steps.VerifyRung, Times: 1, Class: blind.Fault.Class, Message: blind.Fault.Message})
	}
	return all
}

// deciding is what people decide in a play about a question.
func (p *play) deciding(d *Drill) []Deciding {
	e := p.target.asked()
	about := Deciding{Asks: e.Kind, Of: p.target.unit, Verb: p.verb, Reason: "the drill wants it so"}
	switch {
	case p.verb == steps.VerbApprove && !p.two:
		return nil // as people decide anyway, and as many as are needed
	case p.silent:
		about.Verb = "none"
	case p.late > 0:
		about.Verb, about.After = steps.VerbApprove, p.late
		if e.Kind != steps.KindApproval {
			about.Verb = steps.VerbAnswer
		}
	case p.verb == steps.VerbEdit:
		about.Params = plain(steps.Decode(p.target.base.State.Units[e.Unit].Params))
	}
	if about.Verb == steps.VerbAnswer {
		about.Answer = plain(steps.Decode(newActing(d, p).answer(p.target.base.State, e)))
	}
	return []Deciding{about}
}

func decoded(raw json.RawMessage) map[string]any {
	m, _ := plain(steps.Decode(raw)).(map[string]any)
	return m
}

// plain is a decoded value with numbers as YAML writes them.
func plain(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, _ := v.Float64()
		return f
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = plain(v[i])
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k := range v {
			out[k] = plain(v[k])
		}
		return out
	}
	return v
}

// StoryOfRun writes down what happened to a real run: the faults of its calls, what tools gave and what people decided.
// Texts that no expression of the plan compares with are replaced, the same one always by the same; numbers stay. A run with
// an agent cannot be told: a story has no place for what a model said in each turn.
func StoryOfRun(s *steps.State, plan, tools string) (*Story, error) {
	for i := range s.Units {
		if s.Units[i].Loops() {
			return nil, fmt.Errorf("run %s has an agent, %s: a story cannot tell what its model said in each turn; `dispatcher runs export` has all of it", s.Run, s.Units[i].ID)
		}
	}
	r := &replacer{state: s, texts: map[string]string{}, people: map[string]string{}}
	r.keep()
	out := &Story{
		About: "what happened to a run of " + s.Program.Plan.Name, Plan: plan, Tools: tools, Input: map[string]any{}, Outputs: map[string]any{},
		Expect: Expect{Ends: s.Status(), Degraded: []string{}, Asked: []string{}},
	}
	if in, is := r.value(plain(steps.Decode(s.Input))).(map[string]any); is {
		out.Input = in
	}
	for i := range s.Units {
		r.unit(out, i)
	}
	for n := range s.Escalations {
		r.escalation(out, n)
	}
	return out, nil
}

// replacer replaces what a story must not tell.
type replacer struct {
	state  *steps.State
	kept   map[string]bool
	texts  map[string]string
	people map[string]string
}

// keep finds the texts that the plan's expressions name.
func (r *replacer) keep() {
	raw, err := json.Marshal(r.state.Program.Definition)
	if err != nil {
		raw = nil
	}
	r.kept = literals(string(raw))
}

// literals are the quoted words in a text.
func literals(text string) map[string]bool {
	found := map[string]bool{}
	for _, quote := range []byte{'\'', '"'} {
		from := -1
		for i := range len(text) {
			switch {
			case text[i] != quote:
			case from < 0:
				from = i + 1
			default:
				found[text[from:i]] = true
				from = i + 1 // it may end one and begin another
			}
		}
	}
	return found
}

func (r *replacer) value(v any) any {
	switch v := v.(type) {
	case string:
		return r.text(v)
	case []any:
		for i := range v {
			v[i] = r.value(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = r.value(v[k])
		}
	}
	return v
}

func (r *replacer) text(s string) string {
	if s == "" || r.kept[s] {
		return s
	}
	if r.texts[s] == "" {
		r.texts[s] = fmt.Sprintf("text-%d", len(r.texts)+1)
	}
	return r.texts[s]
}

func (r *replacer) person(name string) string {
	if r.people[name] == "" {
		r.people[name] = fmt.Sprintf("person-%d", len(r.people)+1)
	}
	return r.people[name]
}

// unit adds the faults of a unit's calls, and what its tool gave.
func (r *replacer) unit(out *Story, i int) {
	u, t := &r.state.Units[i], r.state.Tool(i)
	step, rest, derived := cutUnit(u.ID)
	if u.IsUndo() {
		step, derived = u.ID, false
	}
	if derived && rest != "0" || u.FannedOut() {
		return
	}
	for n := range u.Attempts {
		a := &u.Attempts[n]
		if a.Fault == nil || a.Rung >= len(t.Rungs) || t.Rungs[a.Rung].Human != nil {
			continue
		}
		f := a.Fault
		out.World = append(out.World, Incident{
			Step: step, Rung: t.Rungs[a.Rung].Name, Times: 1, Class: classOf(f), MayHave: f.MayHaveActed(), Acted: f.MayHaveActed() && happened(u, n),
			RetryAfter: time.Duration(f.RetryAfter), Message: "it failed",
		})
	}
	if u.State() == steps.StepSucceeded && u.Output != nil && !u.IsUndo() {
		out.Outputs[step] = r.value(plain(steps.Decode(u.Output)))
	}
	if u.Degraded != nil && u.Rung > 0 && !derived {
		out.Expect.Degraded = append(out.Expect.Degraded, u.ID+"."+u.Degraded.Rung)
	}
}

// classOf is the class that the call had; unknown is what the core makes of one that may have acted.
func classOf(f *steps.Fault) steps.Class {
	if f.Class == steps.Unknown {
		return steps.Timeout
	}
	return f.Class
}

// happened reports whether it was found afterwards that an attempt had had its effect: by a probe, or by a person's answer.
func happened(u *steps.Unit, n int) bool {
	return u.State() == steps.StepSucceeded && u.Attempts[n].Round == u.Round && (u.AnswerBy != "" || n+1 < len(u.Attempts) && u.Attempts[len(u.Attempts)-1].Rung > u.Attempts[n].Rung)
}

// escalation adds what was asked, and what was decided.
func (r *replacer) escalation(out *Story, n int) {
	e := &r.state.Escalations[n]
	of := unitName(r.state, e)
	asked := string(e.Kind)
	if of != "" {
		asked += " of " + of
	}
	out.Expect.Asked = append(out.Expect.Asked, asked)
	for _, d := range e.Approvals {
		out.People = append(out.People, Deciding{Asks: e.Kind, Of: of, Verb: d.Verb, By: r.person(d.By)})
	}
	if d := e.Decision; d != nil && !slices.ContainsFunc(e.Approvals, func(a steps.Decided) bool { return a.By == d.By && a.Verb == d.Verb }) {
		out.People = append(out.People, Deciding{
			Asks: e.Kind, Of: of, Verb: d.Verb, By: r.person(d.By), After: e.Ended.Sub(e.Opened).Round(time.Second), Reason: "as it was decided",
			Params: r.value(plain(steps.Decode(d.Params))), Answer: r.value(plain(steps.Decode(d.Answer))),
		})
	}
}
