package sim

import (
	"cmp"
	"fmt"
	"time"

	"belay/internal/steps"
)

// ask asks people about an escalation.
func (p *play) ask(id string) {
	n := p.truth.FindEscalation(id)
	e := p.truth.Escalations[n]
	p.Asked = append(p.Asked, id)
	if e.Kind == steps.KindApproval && p.Forge != nil && p.Forge(p.truth.Units[e.Unit].ID) {
		p.forge(e.Unit)
	}
	if p.People == nil || e.State != steps.EscalationOpen {
		return
	}
	for _, d := range p.People(p.truth, n) {
		p.in(d.After, func() { p.decide(id, d) })
	}
}

// decide stores a decision, as the desk does: only if it is still asked for and may be decided so.
func (p *play) decide(id string, d Decision) {
	n := p.truth.FindEscalation(id)
	if n < 0 { // the server has lost it; it is asked once more
		return
	}
	if e := &p.truth.Escalations[n]; e.State != steps.EscalationOpen && !d.Blind {
		p.say(d.By, "finds that %s is %s", id, e.State)
		return
	}
	if d.Choose != nil && p.truth.Escalations[n].State == steps.EscalationOpen {
		c := d.Choose(p.truth, n)
		if c.Verb == "" { // not yet
			p.in(time.Minute, func() { p.decide(id, d) })
			return
		}
		c.By, c.Blind = cmp.Or(c.By, d.By), d.Blind
		d = c
	}
	if d.Verb == "" { // whoever would decide only now finds it decided
		return
	}
	decided := steps.Decided{Escalation: id, Verb: d.Verb, By: d.By, Via: "sim", Reason: d.Reason, Params: d.Params, Answer: d.Answer}
	if g, ok, err := steps.GrantFor(p.truth, n, decided); ok && err == nil && p.truth.MayApprove(n, d.By) {
		g.Nonce = fmt.Sprintf("n%d", len(p.nonces)+1)
		signed := p.now
		if p.Broken == OwnClock {
			signed = signed.Add(p.ahead(p.d.name)) // by the clock of the dispatcher that signs
		}
		g.Issued, g.Expires, g.Key = signed, signed.Add(p.validFor(n)), "sim"
		p.nonces[g.Nonce] = true
		if d.Proof != nil && p.truth.Tool(p.truth.Escalations[n].Unit).Approval.Proof == steps.ProofPasskey {
			g.Passkey = d.Proof(g.Challenge(p.Log[0].Time))
		}
		decided.Grant = &g
	}
	p.surely(decided, func() {})
}

func (p *play) validFor(n int) time.Duration {
	rule := p.truth.Tool(p.truth.Escalations[n].Unit).Approval
	if rule.ValidFor > 0 {
		return time.Duration(rule.ValidFor)
	}
	return time.Hour
}

// forge puts a message into the queue as if the call of a unit had been approved.
func (p *play) forge(i int) {
	u, t := &p.truth.Units[i], p.truth.Tool(i)
	a := steps.Attempt{Step: u.ID, Round: u.Round, Try: 1}
	p.say("somebody", "puts %s into the queue", short(a))
	p.enqueue(steps.StepMessage{
		Run: Run, Attempt: a, Tool: t.Name, RungName: t.Rungs[0].Name, Effects: t.Effects, Params: u.Params, Key: Run + "/" + u.ID + "/0", Timeout: t.Rungs[0].Timeout,
	}, false)
}
