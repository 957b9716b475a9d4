package drill

import (
	"encoding/json"
	"slices"
	"time"

	"belay/internal/sim"
	"belay/internal/steps"
)

// mostRetries is how often people who think that the fault is over let a step be tried again.
const mostRetries = 1

// answersIn is how long people take with a question: less, where its deadline is sooner.
func answersIn(e *steps.Escalation) time.Duration {
	const usual = 2 * time.Minute
	if e.Deadline.IsZero() {
		return usual
	}
	return min(usual, e.Deadline.Sub(e.Opened)/2)
}

// people say what is decided about an escalation.
func (a *acting) people(s *steps.State, n int) []sim.Decision {
	for p := a.play; p != nil; p = p.second {
		if p.target != nil && p.target.kind == onQuestion && p.target.matter == matterOf(s, s.Escalations[n].ID) {
			p.reached = true
			return a.another(p, s, n)
		}
	}
	return a.usualDecisions(s, n)
}

// another is what is decided in a play about that question.
func (a *acting) another(p *play, s *steps.State, n int) []sim.Decision {
	usually := a.usualDecisions(s, n)
	switch {
	case p.silent:
		return nil
	case p.late > 0:
		for i := range usually {
			usually[i].After = p.late
		}
		return usually
	case p.two:
		other := sim.Decision{After: answersIn(&s.Escalations[n]), By: "zoe", Verb: p.verb, Reason: "the drill wants it so", Blind: true}
		for i := range usually {
			usually[i].Blind = true
		}
		if p.twoFirst {
			return append([]sim.Decision{other}, usually...)
		}
		return append(usually, other)
	}
	if p.decided || p.verb == steps.VerbApprove || p.verb == steps.VerbAnswer && s.Escalations[n].Question != nil {
		return usually
	}
	p.decided = true
	d := sim.Decision{After: answersIn(&s.Escalations[n]), By: "zoe", Verb: p.verb, Reason: "the drill wants it so", Answer: a.answer(s, &s.Escalations[n])}
	if p.verb == steps.VerbEdit {
		d.Params = s.Units[s.Escalations[n].Unit].Params
	}
	return []sim.Decision{d}
}

// usualDecisions: people approve what is asked, and settle what has failed once they have looked.
func (a *acting) usualDecisions(s *steps.State, n int) []sim.Decision {
	e := &s.Escalations[n]
	switch {
	case a.rejecting(s, n):
		return rejection(e)
	case e.Kind == steps.KindApproval:
		return a.approvals(e)
	}
	return []sim.Decision{{After: answersIn(e), By: "mia", Choose: a.choose}}
}

// choose is what is decided about an escalation that is no approval. People know what has happened; they retry once, and then
// go on without the step.
func (a *acting) choose(s *steps.State, n int) sim.Decision {
	e := &s.Escalations[n]
	unit := ""
	if e.Unit != steps.RunUnit {
		unit = s.Units[e.Unit].ID
	}
	verb := steps.VerbAbort
	for _, v := range []struct {
		steps.Verb
		fits bool
	}{
		{steps.VerbAnswer, e.Question != nil},
		{steps.VerbAnswer, e.Kind == steps.KindUnknown && a.did[unit]}, // it has happened
		{steps.VerbRetry, a.retried[unit] < mostRetries},
		{steps.VerbSkip, unit != ""},
		{steps.VerbAnswer, unit != ""},
	} {
		if v.fits && slices.Contains(e.Allowed, v.Verb) {
			verb = v.Verb
			break
		}
	}
	if verb == steps.VerbRetry {
		a.retried[unit]++
	}
	return sim.Decision{By: "mia", Verb: verb, Reason: "decided in a drill", Answer: a.answer(s, e)}
}

func (a *acting) approvals(e *steps.Escalation) []sim.Decision {
	all := []sim.Decision{{After: answersIn(e), By: "mia", Verb: steps.VerbApprove}}
	if e.Needed > 1 {
		all = append(all, sim.Decision{After: answersIn(e) * 3 / 2, By: "bo", Verb: steps.VerbApprove})
	}
	return all
}

// answer is what a person gives in place of the tool, or to what is asked.
func (a *acting) answer(s *steps.State, e *steps.Escalation) json.RawMessage {
	if e.Question != nil {
		if len(e.Question.Options) > 0 {
			return encode(e.Question.Options[0])
		}
		if len(e.Question.Schema) > 0 {
			return encode(sampleOf(object(e.Question.Schema), 0))
		}
	}
	if e.Unit == steps.RunUnit {
		return json.RawMessage("null")
	}
	unit := &s.Units[e.Unit]
	if unit.IsUndo() || unit.IsCall() {
		return orElse(a.made.tools[s.Tool(e.Unit).Name], `"an answer"`)
	}
	step, _, _ := cutUnit(unit.ID)
	if out, ok := a.made.steps[step]; ok {
		return out
	}
	return json.RawMessage("{}")
}

func orElse(out json.RawMessage, other string) json.RawMessage {
	if out == nil {
		return json.RawMessage(other)
	}
	return out
}
