package drill

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"belay/internal/plan"
	"belay/internal/sim"
	"belay/internal/steps"
)

// play is one play: a fault, and what came of it.
type play struct {
	target *target
	second *play // another fault beside it

	// The fault.
	happens  *sim.Happens // what the call does, in place of what it does otherwise
	once     bool         // it comes once and not for good
	befalls  sim.Trouble
	unserved bool
	crash    int // 1 + the publish before which the dispatcher is killed; 0: never
	verb     steps.Verb
	silent   bool
	late     time.Duration
	two      bool // another person decides in the same moment
	twoFirst bool // and is the first

	// What came of it.
	*sim.Played
	decided bool           // the question has been decided as the play says; if it is asked again, as usual
	reached bool           // the fault has come about
	calls   map[string]int // by dependency
	cost    float64        // of all calls
	waited  time.Duration  // for people
	judged  judgement
}

// hit is the play of a call that does something else.
func hit(t *target, h sim.Happens, once bool) *play { return &play{target: t, happens: &h, once: once} }

// playsOf are the plays of a target under a fault.
func (d *Drill) playsOf(t *target, f fault) ([]*play, string) { return f.plays(d, t) }

// play plays one, at once. Nil: without a fault.
func (d *Drill) play(p *play) *play {
	if p == nil {
		p = &play{}
	}
	d.perform(p)
	return p
}

// perform plays p.
func (d *Drill) perform(p *play) {
	a := newActing(d, p)
	p.Played = sim.Play(d.options(a))
	p.calls, p.cost = a.calls, a.cost
	p.waited = waitedForPeople(p.Played)
	p.judged = d.judge(p)
}

func newActing(d *Drill, p *play) *acting {
	return &acting{Drill: d, play: p, calls: map[string]int{}, retried: map[string]int{}, did: map[string]bool{}}
}

func (d *Drill) options(a *acting) sim.Options {
	return sim.Options{
		Program: d.Doc.Program, Input: d.Input, By: "drill",
		CancelWith: a.cancelWith(), World: a.world, Acted: func(e sim.Effect) { a.did[e.Step] = true }, People: a.people, Serves: a.serves, Crash: a.crash(),
		CheckInput: a.checkInput, NeedsApproval: a.needsApproval, Broken: d.broken,
	}
}

// acting is what the world and people do in a play.
type acting struct {
	*Drill
	*play
	calls   map[string]int
	cost    float64
	retried map[string]int  // by unit, by people
	did     map[string]bool // units whose call has had its effect
}

// crash kills the dispatcher at the publishes that the faults say; a later one counts on from an earlier one.
func (a *acting) crash() func(int) bool {
	at := map[int]bool{}
	for p := a.play; p != nil; p = p.second {
		if p.crash > 0 {
			at[p.crash-1] = true
		}
	}
	return func(n int) bool { return at[n] }
}

// checkInput is the worker's check. The tool with which an agent asks a person is in no tools file, and in no worker's hands.
func (a *acting) checkInput(tool string, params json.RawMessage) error {
	if t := a.Tools.Tools[tool]; t != nil && t.CheckInput != nil {
		return t.CheckInput(params)
	}
	return nil
}

func (a *acting) needsApproval(tool string, params json.RawMessage) bool {
	return needsApproval(a.Tools, tool, params)
}

// needsApproval is the worker's own question whether a call needs an approval.
func needsApproval(tools *plan.Tools, tool string, params json.RawMessage) bool {
	t := tools.Tools[tool]
	return t != nil && t.NeedsApproval != nil && t.NeedsApproval(params)
}

// cancelWith is the unit with whose result the run is cancelled.
func (a *acting) cancelWith() string {
	if u := a.undoing(); u != nil {
		return u.unit
	}
	return ""
}

// serves: a rung that no worker serves is served again once a person has been asked and wants a retry, unless it stays away.
func (a *acting) serves(m steps.StepMessage) bool {
	for p := a.play; p != nil; p = p.second {
		if p.away(m) {
			p.reached = true
			return false
		}
	}
	return true
}

// away reports whether no worker serves the rung of a message. One that is missed while something is undone was there before.
func (p *play) away(m steps.StepMessage) bool {
	return p.unserved && p.target.tool.Name == m.Tool && p.target.def().Name == m.RungName && (p.target.undoing == nil || strings.HasSuffix(m.Step, undoSuffix))
}

// world says what a call does.
func (a *acting) world(c sim.Call) sim.Happens {
	h := a.usually(c)
	for p := a.play; p != nil; p = p.second {
		h = p.apply(c, h)
	}
	return h
}

// apply changes what a call does, if the fault hits it.
func (p *play) apply(c sim.Call, h sim.Happens) sim.Happens {
	if p.target == nil || p.target.kind == onDispatcher || c.Step != p.target.unit {
		return h
	}
	if p.target.kind == onQuestion {
		return p.provoke(c, h)
	}
	if c.Rung < p.target.rung && !p.target.probe() {
		return above(h)
	}
	if p.target.probe() && c.Rung < p.target.rung { // so that the probe is asked
		return sim.Happens{Took: forEver, Acts: acts(p.target.tool, c.Rung)}
	}
	if c.Rung != p.target.rung || p.unserved || p.once && p.reached {
		return h
	}
	p.reached = true
	if p.happens != nil {
		return *p.happens
	}
	h.Worker = p.befalls
	return h
}

// provoke changes what the calls of the first round do, so that the question is asked. Before it is asked the probe finds
// nothing out.
func (p *play) provoke(c sim.Call, h sim.Happens) sim.Happens {
	if p.happens == nil || c.Round > 0 || p.decided {
		return h
	}
	if c.RungName == steps.VerifyRung {
		return blind
	}
	h = *p.happens
	h.Acts = h.Acts && acts(p.target.tool, c.Rung)
	return h
}

// blind is a probe that finds nothing out.
var blind = sim.Happens{Took: usual, Fault: &steps.Fault{Class: steps.NotFound, Acted: steps.ActedNo, Message: "down, so that a person is asked"}}

func (t *target) probe() bool { return t.rung == len(t.tool.Rungs) }

// above is a rung above the one that is hit: it fails for good, so that the ladder goes on.
func above(h sim.Happens) sim.Happens {
	return sim.Happens{Took: h.Took, Fault: &steps.Fault{Class: steps.Unavailable, Acted: steps.ActedNo, Final: true, Message: "down, so that the next rung is tried"}}
}

// usually is what a call does without a fault.
func (a *acting) usually(c sim.Call) sim.Happens {
	t := a.Tools.Tools[c.Tool]
	h := sim.Happens{Took: usual}
	if c.RungName == steps.VerifyRung {
		a.count(t.Dependency(t.Probe))
		yes := 0
		if a.did[c.Step] {
			yes = 1
		}
		h.Output = a.made.probes[c.Tool][yes]
		return h
	}
	r := &t.Rungs[c.Rung]
	a.count(t.Dependency(r))
	a.cost += r.Cost
	h.Output = a.outputOf(c)
	switch {
	case r.Spec.Static != nil:
		h = a.resulting(&target{tool: t, rung: c.Rung}, r.Spec.Static.Output, nil)
		h.Took = time.Millisecond
	case r.Spec.Cache != nil:
		h.Took, h.Age = time.Millisecond, time.Hour
	default:
		h.Acts = acts(t, c.Rung)
	}
	return h
}

func (a *acting) count(dependency string) {
	if dependency != "" {
		a.calls[dependency]++
	}
}

func (a *acting) outputOf(c sim.Call) json.RawMessage {
	if st := a.agentOf(c); st != nil {
		return a.turnSaid(st, c.Step)
	}
	step, _, _ := cutUnit(c.Step)
	if out, ok := a.made.steps[step]; ok && c.Step == step || isItem(c.Step) {
		return out
	}
	return a.made.tools[c.Tool]
}

// callsOf is how many calls went to the dependency of a target.
func (p *play) callsOf(t *target) int {
	if t == nil || t.kind != onRung {
		return 0
	}
	return p.calls[t.tool.Dependency(t.def())]
}

// Times of people.
const (
	usualAnswer = 2 * time.Minute
	mostRetries = 1 // of a step, by people who think that the fault is over
)

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
		other := sim.Decision{After: usualAnswer, By: "zoe", Verb: p.verb, Reason: "the drill wants it so", Blind: true}
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
	d := sim.Decision{After: usualAnswer, By: "zoe", Verb: p.verb, Reason: "the drill wants it so", Answer: a.answer(s, &s.Escalations[n])}
	if p.verb == steps.VerbEdit {
		d.Params = s.Units[s.Escalations[n].Unit].Params
	}
	return []sim.Decision{d}
}

// usualDecisions: people approve what is asked, and settle what has failed once they have looked.
func (a *acting) usualDecisions(s *steps.State, n int) []sim.Decision {
	if e := &s.Escalations[n]; e.Kind == steps.KindApproval {
		return a.approvals(e)
	}
	return []sim.Decision{{After: usualAnswer, By: "mia", Choose: a.choose}}
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
	all := []sim.Decision{{After: usualAnswer, By: "mia", Verb: steps.VerbApprove}}
	if e.Needed > 1 {
		all = append(all, sim.Decision{After: usualAnswer + time.Minute, By: "bo", Verb: steps.VerbApprove})
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
	if unit.IsUndo() {
		return a.made.tools[s.Tool(e.Unit).Name]
	}
	step, _, _ := cutUnit(unit.ID)
	if out, ok := a.made.steps[step]; ok {
		return out
	}
	return json.RawMessage("{}")
}
