package steps

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// limits are those of agent i, with what people have added.
func (s *State) limits(i int) AgentLimits {
	l, extra := s.Program.Nodes[i].Agent.Limits, s.Units[i].loop.extra
	l.Turns, l.Calls, l.Repeats, l.Refusals = l.Turns+extra.Turns, l.Calls+extra.Calls, l.Repeats+extra.Repeats, l.Refusals+extra.Refusals
	if l.Tokens > 0 {
		l.Tokens += extra.Tokens
	}
	if l.USD > 0 {
		l.USD += extra.USD
	}
	if l.Time > 0 {
		l.Time += extra.Time
	}
	return l
}

// limitReached says why the model of agent i may not be asked again; empty if it may.
func (c *change) limitReached(i int) string {
	l, limits := c.Units[i].loop, c.limits(i)
	tokens, spent := c.agentSpent(i)
	switch {
	case len(l.turns) >= limits.Turns:
		return "the agent has had its " + plural(limits.Turns, "turn")
	case limits.Refusals > 0 && l.refused >= limits.Refusals:
		return "people have rejected its last " + plural(l.refused, "call")
	case limits.Tokens > 0 && tokens >= limits.Tokens:
		return fmt.Sprintf("the agent has used %d tokens of %d", tokens, limits.Tokens)
	case c.tooDear(i, l.hold):
		return fmt.Sprintf("the agent has spent %s of %s, and another turn may cost %s", spent, limits.USD, l.hold.cost)
	case limits.Time > 0 && l.clock.at(c.Now) >= time.Duration(limits.Time):
		return "the agent's time of " + limits.Time.String() + " is over"
	}
	return ""
}

// tooDear reports whether what is reserved for one more try of agent i may cost more than is left.
func (c *change) tooDear(i int, hold reserve) bool {
	most := c.limits(i).USD
	_, spent := c.agentSpent(i)
	return most > 0 && spent+hold.cost > most
}

// agentSpent is what the turns and summaries of agent i took so far, and cost. Where nobody knows what one took, what was
// reserved for it counts.
func (s *State) agentSpent(i int) (tokens int64, cost Money) {
	add := func(u int) {
		for n := range s.Units[u].Attempts {
			rec := &s.Units[u].Attempts[n]
			tokens += rec.Tokens()
			cost += rec.Cost
		}
	}
	l := s.Units[i].loop
	for k := range l.turns {
		add(l.turns[k].unit)
	}
	for k := range l.summaries {
		add(l.summaries[k].unit)
	}
	return tokens, cost
}

// atLimit does what the plan says about an agent that has reached a limit.
func (c *change) atLimit(i int, why string) {
	l := c.Units[i].loop
	switch c.Program.Nodes[i].Agent.OnLimit {
	case LimitFinish:
		if !l.last && !c.tooDear(i, l.hold) {
			c.finishAgent(i, why)
			return
		}
	case LimitFail:
		f := Fault{Class: BudgetExceeded, Acted: ActedNo, Message: why}
		c.Units[i].Fault = &f
		c.become(i, PhaseFailed)
		c.startEnding(RunFailed, c.Units[i].ID+": "+f.Error())
		return
	}
	c.askAtLimit(i, why)
}

func (c *change) askAtLimit(i int, why string) {
	c.ask(i, KindLimit, Fault{Class: BudgetExceeded, Acted: ActedNo, Message: why})
}

// noMoneyLeft reports whether unit i is a turn or a summary that may not be tried once more after f, because that may cost more
// than is left; then its agent has reached a limit, and an extension asks the model anew.
func (c *change) noMoneyLeft(i int, f Fault) bool {
	agent := int(c.Units[i].origin.parent)
	hold := c.holdOf(i)
	if hold == nil || !c.tooDear(agent, *hold) {
		return false
	}
	c.Units[i].Fault = &f
	c.become(i, PhaseFailed)
	_, spent := c.agentSpent(agent)
	why := fmt.Sprintf("failed (%s); the agent has spent %s of %s, and another try may cost %s", f.Class, spent, c.limits(agent).USD, hold.cost)
	if c.Units[i].origin.kind == agentSummary {
		c.breakOff(agent, i)
		c.atLimit(agent, "the model of its summary "+why)
		return true
	}
	c.atLimit(agent, "the model "+why)
	return true
}

// finishAgent asks the model for the last time, without tools. What it has proposed and nobody has begun is not done.
func (c *change) finishAgent(i int, why string) {
	c.Units[i].loop.last = true
	c.dropProposals(i, why)
	c.nextTurn(i)
}

// dropProposals ends the calls that the model has proposed beyond a limit.
func (c *change) dropProposals(i int, why string) {
	l := c.Units[i].loop
	if len(l.turns) == 0 {
		return
	}
	at := len(l.turns) - 1
	if len(l.turns[at].calls) > 0 || l.turns[at].back != 0 {
		return
	}
	for k, p := range c.Units[l.turns[at].unit].said().Calls {
		tool, _ := c.toolOf(i, p.Name)
		u := c.sub(i, agentCall, callID(c.Units[l.turns[at].unit].ID, k+1), int32(tool))
		l.turns[at].calls = append(l.turns[at].calls, u)
		c.Units[u].Fault = &Fault{Class: BudgetExceeded, Acted: ActedNo, Message: "not done: " + why}
		c.become(u, PhaseFailed)
	}
}

// extendAgent lets agent i go on, with as much again of everything that the plan gives it, or with what the person says.
func (c *change) extendAgent(i int, d Decided) {
	l, more := c.Units[i].loop, c.Program.Nodes[i].Agent.Limits
	if given := readLimits(d.Params); given != nil {
		more = *given
	}
	e := &l.extra
	e.Turns, e.Calls, e.Tokens, e.USD, e.Time = e.Turns+more.Turns, e.Calls+more.Calls, e.Tokens+more.Tokens, e.USD+more.USD, e.Time+more.Time
	e.Repeats, e.Refusals = e.Repeats+more.Repeats, e.Refusals+more.Refusals
	c.Units[i].Fault = nil
	c.become(i, PhaseLooping)
	if at := len(l.turns) - 1; at >= 0 && len(l.turns[at].calls) == 0 && l.turns[at].back == 0 {
		if calls := c.Units[l.turns[at].unit].said().Calls; len(calls) > 0 && l.turns[at].wrong == "" {
			c.proposeWithin(i, calls)
			return
		}
	}
	c.nextTurn(i)
}

// stuck reports whether the last turn proposes what k of the last turns have proposed: the same each time, or in turns with
// something else.
func (c *change) stuck(l *loop, k int) bool { return k > 0 && l.repeats(k) >= k }

// repeats is how many of the last turns propose what the last one does, where k is the limit.
func (l *loop) repeats(k int) (same int) {
	last := l.turns[len(l.turns)-1].digest
	for n := max(l.heard(), len(l.turns)-2*k); n < len(l.turns); n++ {
		if l.turns[n].digest == last {
			same++
		}
	}
	return same
}

// digestOf is a name for what a turn proposes, in whatever spelling.
func (c *change) digestOf(calls []proposal) string {
	h := sha256.New()
	for _, p := range calls {
		args, err := Canonical(p.Arguments)
		if err != nil {
			args = p.Arguments
		}
		fmt.Fprintf(h, "%q %q\n", p.Name, args)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func turnID(agent string, n int) string { return agent + "~t" + strconv.Itoa(n) }
func callID(turn string, k int) string  { return turn + "." + strconv.Itoa(k) }

func plural(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return strconv.Itoa(n) + " " + what
}

// short cuts what a model wrote.
func short(s string) string {
	const most = 200
	if len(s) > most {
		s = s[:most] + "..."
	}
	return strconv.Quote(s)
}

// IsTurn reports whether a unit's id is that of a turn of an agent.
func IsTurn(id string) bool {
	_, rest, _ := strings.Cut(id, "~")
	number, is := strings.CutPrefix(rest, "t")
	_, ok := Number(number)
	return is && ok
}

// IsCall reports whether a unit's id is that of a call that an agent has proposed.
func IsCall(id string) bool {
	turn, number, is := strings.Cut(id, ".")
	_, ok := Number(number)
	return is && ok && IsTurn(turn)
}

// noTool stands for a tool that a model has made up.
var noTool = &Tool{Name: "none", Effects: EffectsNone, Rungs: []Rung{{Name: "none", Executor: "static"}}}

// ofAgent reports whether the unit is a turn, a call or a summary of an agent.
func (u *Unit) ofAgent() bool { return u.asksModel() || u.origin.kind == agentCall }

// asksModel reports whether the unit asks the model of an agent, or of its summaries.
func (u *Unit) asksModel() bool { return u.origin.kind == agentTurn || u.origin.kind == agentSummary }

// find is the unit of a turn, `3`, or of a call, `3.1`; -1 where there is none.
func (l *loop) find(name string) int {
	number, position, isCall := strings.Cut(name, ".")
	n, ok := Number(number)
	if !ok || n < 1 || n > len(l.turns) {
		return -1
	}
	t := &l.turns[n-1]
	if !isCall {
		return t.unit
	}
	k, ok := Number(position)
	if !ok || k < 1 || k > len(t.calls) {
		return -1
	}
	return t.calls[k-1]
}

// readLimits reads what a person gives an agent; nil where they leave it to the plan.
func readLimits(params json.RawMessage) *AgentLimits {
	var l AgentLimits
	if len(params) == 0 || json.Unmarshal(params, &l) != nil || l == (AgentLimits{}) {
		return nil
	}
	l.Turns, l.Calls, l.Tokens, l.USD = max(0, l.Turns), max(0, l.Calls), max(0, l.Tokens), max(0, l.USD)
	l.Time, l.Repeats, l.Refusals = max(0, l.Time), max(0, l.Repeats), max(0, l.Refusals)
	return &l
}
