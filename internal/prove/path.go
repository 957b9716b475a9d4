package prove

import (
	"slices"
	"time"

	"belay/internal/steps"
)

// work is how long the run works at most. What can be done at the same time is, and the longest way through the plan counts; but
// a question whose deadline lets a step go on puts that step's work off, while others are at work, until there is nothing else.
// Then it takes no longer than all of its steps one after the other, nor than the longest way with the time for the questions.
func (c *checker) work() Span {
	most := c.longest((*node).active)
	if !slices.ContainsFunc(c.nodes, func(n node) bool { return n.waits() }) {
		return most
	}
	var sum Span
	for i := range c.nodes {
		sum = sum.plus(c.nodes[i].active())
	}
	return sum.shorter(c.longest(func(n *node) Span { return n.asking().times(n.n, n.ID, n.parallel()) }))
}

// longest is the longest way through the plan, where each step takes as long as of says.
func (c *checker) longest(of func(*node) Span) Span {
	done := make([]Span, len(c.nodes))
	known := make([]bool, len(c.nodes))
	var at func(i int) Span
	at = func(i int) Span {
		if known[i] {
			return done[i]
		}
		var before Span
		for _, id := range c.nodes[i].Needs {
			before = before.longer(at(c.index[id]))
		}
		done[i], known[i] = before.plus(of(&c.nodes[i])), true
		return done[i]
	}
	var most Span
	for i := range c.nodes {
		most = most.longer(at(i))
	}
	return most
}

// active is how long something of a step is at work at most. Where questions put off its elements or calls, they need not be at
// work at the same time.
func (n *node) active() Span {
	if !n.waits() {
		return n.work().times(n.n, n.ID, n.parallel())
	}
	parts := n.parts()
	var sum Span
	for _, p := range parts {
		sum = sum.plus(p.once(all).by(p.n))
	}
	if n.agent == nil || n.agent.time == 0 {
		return sum.times(n.n, n.ID, 1)
	}
	timely := Span{Fixed: n.agent.time}.plus(n.inFlight(parts[1].n))
	return sum.shorter(timely).times(n.n, n.ID, 1)
}

// asking is how long a step takes at most, with the questions whose deadlines let it go on; of a list one element.
func (n *node) asking() (sum Span) {
	for _, p := range n.parts() {
		sum = sum.plus(p.once(all).plus(Span{Fixed: p.waits(n.agent != nil)}).by(p.waves))
	}
	return sum
}

func (n *node) waits() bool {
	return slices.ContainsFunc(n.parts(), func(p part) bool { return p.waits(n.agent != nil) > 0 })
}

// waits is how long people have for the questions of one call at most, whose deadlines let the step go on.
func (p part) waits(ofAgent bool) (most time.Duration) {
	for _, k := range p.of {
		most = max(most, k.waits(ofAgent))
	}
	return most
}

// waits is how long people have for the questions of a call whose deadlines let its step go on: with the next rung or, of an
// agent's call, by telling its model.
func (c *call) waits(ofAgent bool) (sum time.Duration) {
	add := func(d steps.Duration, then steps.OnExpiry) {
		if d > 0 && (then == steps.ExpiryFallback || then == steps.ExpiryFail && ofAgent) {
			sum = total(sum, time.Duration(d))
		}
	}
	if a := c.tool.Approval; a != nil {
		add(a.Deadline, a.OnDeadline)
	}
	for _, k := range c.rungs() {
		if k.Human != nil {
			add(k.Human.Deadline, k.Human.OnDeadline)
		}
	}
	return sum
}
