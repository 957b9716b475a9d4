package prove

import (
	"time"

	"belay/internal/steps"
	"belay/internal/wire"
)

// overtime reports whether work may go on beyond the run's deadline.
func (c *checker) overtime(work Span) bool {
	d := time.Duration(c.plan.Deadline)
	return d > 0 && (work.Endless || len(work.Each) > 0 || work.Fixed > d)
}

// tail is how long the run may work on when its deadline comes. Nothing new is queued then; what is queued goes on, or is told
// to stop and taken back.
func (c *checker) tail() (most Span) {
	if c.plan.OnDeadline == steps.DeadlineFail {
		return Span{Fixed: steps.StopGrace + wire.HeardBy}
	}
	for i := range c.nodes {
		for _, call := range c.nodes[i].calls() {
			for _, k := range machines(call.rungs(), all) {
				most = most.longer(call.late(k))
			}
		}
	}
	return most
}

// late is how long an attempt on a rung takes at most from when it is queued: the wait before it, and executions that are
// repeated because workers were lost. A probe waits in addition until the call that it looks for must be over.
func (c *call) late(k *rung) Span {
	s := Span{Fixed: total(total(k.longest, k.attempt), c.losses([]*rung{k}, k.attempt)), Endless: k.endless()}
	if budget := time.Duration(c.tool.Timeout); budget > 0 && (s.Endless || s.Fixed > budget) {
		s = Span{Fixed: total(budget, grace)}
	}
	if k == c.probe {
		s = s.plus(Span{Fixed: c.silent()})
	}
	return s
}

// silent is how long a call may go on after its worker has claimed it and fallen silent.
func (c *call) silent() (most time.Duration) {
	for _, k := range machines(c.rungs(), func(k *rung) bool { return k != c.probe }) {
		end, budget := time.Duration(k.Timeout), time.Duration(c.tool.Timeout)
		if budget > 0 && (end == 0 || budget < end) {
			end = budget
		}
		if end > 0 {
			most = max(most, total(end, steps.RunningGrace))
		}
	}
	return most
}
