package drill

import (
	"encoding/json"
	"strings"
	"time"

	"belay/internal/sim"
	"belay/internal/steps"
)

// play is one play: a fault, and what came of it.
type play struct {
	target *target
	second *play // another fault beside it

	// The fault.
	happens  *sim.Happens                   // what the call does, in place of what it does otherwise
	once     bool                           // it comes once and not for good
	says     func(turn int) json.RawMessage // what an agent's model says, in place of what it says otherwise
	rejects  bool                           // people reject the calls that it proposes then
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
	return &acting{Drill: d, play: p, calls: map[string]int{}, retried: map[string]int{}, did: map[string]bool{}, odd: map[string]bool{}}
}

func (d *Drill) options(a *acting) sim.Options {
	return sim.Options{
		Program: d.program, Input: d.Input, By: "drill",
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
	odd     map[string]bool // turns of agents in which the model said what a fault makes it say
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

func (a *acting) checkInput(tool string, params json.RawMessage) error {
	if check := a.Tools.Tool(tool).CheckInput; check != nil {
		return check(params)
	}
	return nil
}

func (a *acting) needsApproval(tool string, params json.RawMessage, untrusted bool) bool {
	ask := a.Tools.Tool(tool).NeedsApproval
	return ask != nil && ask(params, untrusted)
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
		h = a.apply(p, c, h)
	}
	return h
}

// apply changes what a call does, if the fault hits it.
func (a *acting) apply(p *play, c sim.Call, h sim.Happens) sim.Happens {
	if p.target == nil || p.target.kind == onDispatcher || !p.strikes(c.Step) {
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
	return a.suffer(p, c, h)
}

// suffer is what a call does that the fault hits.
func (a *acting) suffer(p *play, c sim.Call, h sim.Happens) sim.Happens {
	switch {
	case p.happens != nil:
		return *p.happens
	case p.says != nil:
		a.odd[c.Step] = true
		h.Output = p.says(turnOf(c.Step))
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
	t := a.Tools.Tool(c.Tool)
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
	if r.Spec.Model != nil {
		h.Usage = &steps.Usage{Input: 1, Output: 1} // so little that it reaches no limit
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
	if steps.IsSummary(c.Step) {
		return summarySaid
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
