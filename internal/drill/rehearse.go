package drill

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"belay/internal/plan"
	"belay/internal/sim"
	"belay/internal/steps"
)

// Verdict compares a run with its rehearsal.
type Verdict string

// The verdicts.
const (
	Same         Verdict = "same"
	Better       Verdict = "better"
	Worse        Verdict = "worse"
	OutOfSupport Verdict = "out of support" // the other policy makes calls of which the log does not say what would come of them
)

// Rehearsal is a run that has ended, and what would have become of it with other tools.
type Rehearsal struct {
	Run      string  `json:"run"`
	Workflow string  `json:"workflow"`
	Verdict  Verdict `json:"verdict"`
	Why      string  `json:"why,omitempty"` // worse and out of support
	Was      Ended   `json:"was"`
	Is       Ended   `json:"is"`
}

// Ended is how a run ended, in counts.
type Ended struct {
	Outcome Outcome        `json:"outcome"`
	Asked   int            `json:"asked"` // decisions that people had to make
	Calls   int            `json:"calls"`
	Took    steps.Duration `json:"took"` // seconds, people's time included
	// Cost is what the calls cost together. It is missing where that is not known, and of what is out of support.
	Cost *Cost `json:"cost,omitempty"`
	// UnknownCosts are rungs that were called, as tool/rung, and that the tools file with the costs does not have.
	UnknownCosts []string `json:"unknown_costs,omitempty"`
}

// Rehearse plays a run that has ended under other tools: calls come out as its log says they did, and people decide as they
// did. What the run's own calls did cost is in no log; old is the tools file that says it.
func Rehearse(s *steps.State, tools, old *plan.Tools) *Rehearsal {
	r := &Rehearsal{Run: s.Run, Workflow: s.Program.Plan.Name, Was: was(s, old)}
	if s.RetryOf != "" || s.Replay != nil {
		return r.out("it goes on from another run")
	}
	program, why := underOther(s, tools)
	if why != "" {
		return r.out(why)
	}
	re := &rehearsing{state: s, tools: tools, seen: map[string]int{}, decided: map[int]bool{}}
	p := sim.Play(sim.Options{
		Program: program, Input: s.Input, By: s.By, World: re.world, People: re.people,
		NeedsApproval: func(tool string, params json.RawMessage, untrusted bool) bool {
			ask := tools.Tool(tool).NeedsApproval
			return ask != nil && ask(params, untrusted)
		},
	})
	r.Is = Ended{Outcome: outcomeOf(p.State), Asked: decisionsIn(p.State), Calls: len(p.Calls), Took: steps.Duration(p.Took)}
	if re.unknown == "" {
		re.unknown = readsOther(s, p.State)
	}
	if re.unknown != "" {
		return r.out(re.unknown)
	}
	r.Is.Cost, r.Is.UnknownCosts = costOf(tools, callsOf(p))
	return r.compare(p)
}

// Sentence says what is different.
func (r *Rehearsal) Sentence() string {
	if r.Why != "" {
		return r.Why
	}
	if r.Was.Outcome != r.Is.Outcome {
		return fmt.Sprintf("%s -> %s", r.Was.Outcome, r.Is.Outcome)
	}
	return fmt.Sprintf("people decide %d times in place of %d", r.Is.Asked, r.Was.Asked)
}

func (r *Rehearsal) out(why string) *Rehearsal {
	r.Verdict, r.Why = OutOfSupport, why
	return r
}

func (r *Rehearsal) compare(p *sim.Played) *Rehearsal {
	wrong, why := p.Wrong()
	switch {
	case wrong != sim.Right:
		r.Verdict, r.Why = Worse, why
	case r.Is.Outcome > r.Was.Outcome:
		r.Verdict, r.Why = Worse, fmt.Sprintf("%s -> %s", r.Was.Outcome, r.Is.Outcome)
	case r.Is.Outcome < r.Was.Outcome:
		r.Verdict = Better
	case r.Is.Asked > r.Was.Asked:
		r.Verdict, r.Why = Worse, fmt.Sprintf("people decide %d times in place of %d", r.Is.Asked, r.Was.Asked)
	case r.Is.Asked < r.Was.Asked:
		r.Verdict = Better
	default:
		r.Verdict = Same
	}
	return r
}

// underOther compiles the run's own plan with other tools.
func underOther(s *steps.State, tools *plan.Tools) (p *steps.Program, why string) {
	def := steps.Definition{Plan: s.Program.Plan, Tools: map[string]steps.Tool{}}
	for name, own := range s.Program.Tools {
		switch t := tools.Tools[name]; {
		case t != nil:
			tools.Pin(def.Tools, name)
		case name == steps.AskPerson: // it is there without a tools file
			def.Tools[name] = own
		default:
			return nil, "the tools file has no tool " + name
		}
	}
	raw, err := json.Marshal(def)
	if err == nil {
		p, err = plan.Compile(raw)
	}
	if err != nil {
		return nil, "its plan does not fit the tools file: " + err.Error()
	}
	return p, ""
}

// readsOther says which turn or summary of an agent is told something else of its calls in the rehearsal than it was told in the run: what a
// model would have said to that, nobody knows. Empty where all are told the same.
func readsOther(was, is *steps.State) string {
	for i := range is.Units {
		u := &is.Units[i]
		if !u.IsTurn() && !u.IsSummary() {
			continue
		}
		a := steps.Attempt{Step: u.ID}
		before, known := was.Conversation(a)
		now, _ := is.Conversation(a)
		if !known || before.Instructions != now.Instructions || !bytes.Equal(encode(before.Messages), encode(now.Messages)) {
			return "the model is told something else in " + u.Spoken() + " than it was told in the run, and nobody knows what it would have said to that"
		}
	}
	return ""
}

// was is how a run ended, and what it cost by what old says.
func was(s *steps.State, old *plan.Tools) Ended {
	made := callsMade(s)
	e := Ended{Outcome: outcomeOf(s), Asked: decisionsIn(s), Calls: len(made)}
	e.Cost, e.UnknownCosts = costOf(old, made)
	if !s.Now.IsZero() {
		e.Took = steps.Duration(s.Now.Sub(s.Submitted))
	}
	return e
}

// callsMade are the calls of a run. What people answer is none, and one that was repeated because its worker was lost is one.
func callsMade(s *steps.State) (made []called) {
	for i := range s.Units {
		t := s.Tool(i)
		for n := range s.Units[i].Attempts {
			a := &s.Units[i].Attempts[n]
			rung := t.Rung(a.Rung)
			if rung.Human == nil && (!a.Started.IsZero() || a.Fault != nil || a.State == steps.AttemptSucceeded) {
				made = append(made, called{t.Name, rung.Name})
			}
		}
	}
	return made
}

// callsOf are the calls of a play.
func callsOf(p *sim.Played) []called {
	made := make([]called, len(p.Calls))
	for i := range p.Calls {
		made[i] = called{p.Calls[i].Tool, p.Calls[i].RungName}
	}
	return made
}

// decisionsIn counts the decisions that people had to make.
func decisionsIn(s *steps.State) (n int) {
	for i := range s.Escalations {
		if s.Escalations[i].State != steps.EscalationSuperseded {
			n += max(1, len(s.Escalations[i].Approvals))
		}
	}
	return n
}

// outcomeOf is how a run ended, in the words of a drill. Approvals and questions that the plan asks are no fault.
func outcomeOf(s *steps.State) Outcome {
	for n := range s.Escalations {
		e := &s.Escalations[n]
		if e.State == steps.EscalationOpen || e.State == steps.EscalationDecided && e.Kind != steps.KindApproval && e.Question == nil {
			return Person
		}
	}
	switch s.Status() {
	case steps.RunSucceeded:
		return OK
	case steps.RunDegraded:
		return Degraded
	case steps.RunAborted:
		return Person
	}
	for i := range s.Units {
		if s.Units[i].IsUndo() && s.Units[i].State() == steps.StepSucceeded {
			return Compensated
		}
	}
	return Failed
}

// rehearsing is the world as the log of a run says it was.
type rehearsing struct {
	state   *steps.State
	tools   *plan.Tools
	seen    map[string]int // calls by unit and rung
	decided map[int]bool   // escalations of the run whose decision was made
	unknown string         // the first thing that the log does not say
}

func (r *rehearsing) world(c sim.Call) sim.Happens {
	key := c.Step + "/" + c.RungName
	n := r.seen[key]
	r.seen[key]++
	made := r.calls(c)
	switch {
	case n < len(made):
		return made[n]
	case len(made) > 0 && made[len(made)-1].Fault == nil:
		return made[len(made)-1]
	}
	if h, ok := r.fixed(c); ok {
		return h
	}
	if r.unknown == "" {
		r.unknown = fmt.Sprintf("the log has no %s call of %s/%s for %s", ordinal(n+1), c.Tool, c.RungName, c.Step)
	}
	return sim.Happens{Took: usual, Fault: &steps.Fault{Class: steps.NeedsHuman, Acted: steps.ActedNo, Message: "nobody knows"}}
}

func ordinal(n int) string {
	switch n {
	case 1:
		return "first"
	case 2:
		return "second"
	case 3:
		return "third"
	}
	return fmt.Sprintf("%dth", n)
}

// fixed is what a rung gives that always gives the same.
func (r *rehearsing) fixed(c sim.Call) (sim.Happens, bool) {
	t := r.tools.Tool(c.Tool)
	if c.Rung >= len(t.Rungs) || t.Rungs[c.Rung].Spec.Static == nil {
		return sim.Happens{}, false
	}
	d := &Drill{}
	return d.resulting(&target{tool: t, rung: c.Rung}, t.Rungs[c.Rung].Spec.Static.Output, nil), true
}

// calls are what came of the calls of a unit's rung, in the log.
func (r *rehearsing) calls(c sim.Call) []sim.Happens {
	i := r.state.Unit(c.Step)
	if i < 0 {
		return nil
	}
	u, t := &r.state.Units[i], r.state.Tool(i)
	var all []sim.Happens
	for n := range u.Attempts {
		a := &u.Attempts[n]
		if t.Rung(a.Rung).Name != c.RungName {
			continue
		}
		h := sim.Happens{Took: max(time.Duration(a.Took), time.Millisecond), Usage: a.Usage}
		switch {
		case goesOn(u, n) && a.Fault.Class == steps.NeedsHuman:
			h.Asks = true
		case goesOn(u, n):
			continue // it was one call, and the next attempt tells how it ended
		case a.Fault != nil:
			f := *a.Fault
			f.Class = classOf(&f)
			h.Fault, h.Acts = &f, f.MayHaveActed() && happened(u, n)
		case a.State == steps.AttemptSucceeded:
			h.Output, h.Acts = r.output(u), t.Effects != steps.EffectsNone && a.Rung < len(t.Rungs) && !t.Rungs[a.Rung].Harmless()
		default:
			continue
		}
		all = append(all, h)
	}
	return all
}

// goesOn reports whether the attempt after the n-th of a unit went on with what that one had left.
func goesOn(u *steps.Unit, n int) bool {
	return u.Attempts[n].Fault != nil && n+1 < len(u.Attempts) && u.Attempts[n+1].Continues != nil && u.Attempts[n+1].Round == u.Attempts[n].Round
}

// output is what an attempt gave. The log keeps that of the unit; of a probe it is enough that it has found something.
func (r *rehearsing) output(u *steps.Unit) json.RawMessage {
	if u.Output != nil {
		return u.Output
	}
	return json.RawMessage("null")
}

// people decide as they did, about the same step for the same reason.
func (r *rehearsing) people(s *steps.State, n int) []sim.Decision {
	e := &s.Escalations[n]
	for i := range r.state.Escalations {
		was := &r.state.Escalations[i]
		if r.decided[i] || was.Kind != e.Kind || unitName(r.state, was) != unitName(s, e) {
			continue
		}
		r.decided[i] = true
		return decisionsOf(was)
	}
	return nil
}

func decisionsOf(e *steps.Escalation) []sim.Decision {
	var all []sim.Decision
	add := func(d *steps.Decided) {
		all = append(all, sim.Decision{After: e.Ended.Sub(e.Opened), By: d.By, Verb: d.Verb, Reason: d.Reason, Params: d.Params, Answer: d.Answer})
	}
	for i := range e.Approvals {
		add(&e.Approvals[i])
	}
	if e.Decision != nil && !slices.ContainsFunc(e.Approvals, func(a steps.Decided) bool { return a.By == e.Decision.By && a.Verb == e.Decision.Verb }) {
		add(e.Decision)
	}
	return all
}
