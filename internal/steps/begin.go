package steps

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// begin starts unit i once all that it needs is done: it takes the unit over from an earlier run, skips it, fans it out
// or queues its first attempt.
func (c *change) begin(i int) {
	if c.ending != "" || c.Units[i].Over() {
		return
	}
	if k, ok := c.carried[c.Units[i].ID]; ok {
		c.carry(i, k)
		return
	}
	c.taint(i)
	if run, ok := c.evalWhen(i); !ok {
		return
	} else if !run {
		c.skip(i)
		return
	}
	if c.Units[i].origin.kind == planStep && c.Program.Nodes[i].ForEach != nil {
		c.fanOut(i)
		return
	}
	if c.Units[i].origin.kind == planStep && c.Program.Nodes[i].Agent != nil {
		c.startAgent(i)
		return
	}
	c.prepare(i)
}

// prepare fills in the parameters of unit i and queues its first attempt of this round.
func (c *change) prepare(i int) {
	params, err := c.evalParams(i)
	if err != nil {
		c.giveUp(i, badExpression("with", err))
		return
	}
	if len(params) > MaxParams {
		msg := fmt.Sprintf("the parameters have %d bytes, at most %d fit into a step message: pass a reference instead", len(params), MaxParams)
		c.giveUp(i, Fault{Class: BudgetExceeded, Acted: ActedNo, Message: msg})
		return
	}
	c.Units[i].Params = params
	c.firstTry(i)
}

var noParams = json.RawMessage("{}")

func (c *change) evalParams(i int) (json.RawMessage, error) {
	if of, is := c.Undo(i); is {
		return c.undoParams(of)
	}
	with := c.Program.Nodes[c.Units[i].Node].With
	if with == nil {
		return noParams, nil
	}
	return with(c.scope(i))
}

// evalWhen reports whether unit i is to run; ok is false when its condition failed and the unit was given up instead.
func (c *change) evalWhen(i int) (run, ok bool) {
	when := c.Program.Nodes[c.Units[i].Node].When
	if when == nil || c.Units[i].origin.kind == undo || c.skipsWhen(i) {
		return true, true
	}
	v, err := when(c.scope(i))
	if err == nil && string(v) != "true" && string(v) != "false" {
		err = fmt.Errorf("gives %.60s, not true or false", v)
	}
	if err != nil {
		c.giveUp(i, badExpression("when", err))
		return false, false
	}
	return string(v) == "true", true
}

// skipsWhen reports whether the condition is not asked for unit i. A for_each step's is asked for the step or for each
// item, depending on whether it names the item.
func (c *change) skipsWhen(i int) bool {
	n := &c.Program.Nodes[c.Units[i].Node]
	return n.ForEach != nil && n.WhenPerItem != (c.Units[i].origin.kind == fanItem)
}

func badExpression(where string, err error) Fault {
	return Fault{Class: BadExpression, Acted: ActedNo, Message: where + ": " + err.Error()}
}

// fanOut makes one unit per item of the list and starts the first of them.
func (c *change) fanOut(i int) {
	list, err := c.evalList(i)
	if err != nil {
		c.giveUp(i, badExpression("for_each", err))
		return
	}
	c.Units[i].fan = &fan{items: list, first: len(c.Units), left: len(list)}
	for n := range list {
		c.Units = append(c.Units, Unit{
			ID: c.Units[i].ID + "~" + strconv.Itoa(n), Node: c.Units[i].Node, Since: c.Seq,
			origin: origin{kind: fanItem, parent: int32(i), item: int32(n)}, tainted: c.Units[i].tainted, stranger: c.Units[i].stranger,
		})
	}
	c.left += len(list)
	c.become(i, PhaseFannedOut)
	c.refill(i)
}

func (c *change) evalList(i int) ([]json.RawMessage, error) {
	v, err := c.Program.Nodes[i].ForEach(c.scope(i))
	if err != nil {
		return nil, err
	}
	var list []json.RawMessage
	if err := json.Unmarshal(v, &list); err != nil || list == nil {
		return nil, fmt.Errorf("gives %.60s, not a list", v)
	}
	return list, nil
}

// refill starts items of for_each unit i, up to max_parallel at once, and ends the unit when all items have ended.
func (c *change) refill(i int) {
	f := c.Units[i].fan
	limit := c.Program.Nodes[i].Step.MaxParallel
	if limit <= 0 {
		limit = DefaultFanOut
	}
	for f.busy < limit && f.next < len(f.items) && c.ending == "" {
		f.busy++
		f.next++
		c.ready = append(c.ready, f.first+f.next-1)
	}
	if f.left == 0 && c.ending == "" {
		c.collect(i)
	}
}

// collect makes the list of the items' outputs, null for a skipped item, the output of for_each unit i.
func (c *change) collect(i int) {
	out := []byte{'['}
	for n, it := range c.Items(i) {
		if n > 0 {
			out = append(out, ',')
		}
		out = append(out, orNull(it.Output)...)
		c.Units[i].tainted = c.Units[i].tainted || it.tainted
		c.warn(i, it.stranger)
	}
	c.Units[i].Output = append(out, ']')
	c.done(i, PhaseSucceeded)
}

func orNull(v json.RawMessage) json.RawMessage {
	if len(v) == 0 {
		return json.RawMessage("null")
	}
	return v
}

// carry takes a finished unit over from the run that this one goes on from.
func (c *change) carry(i int, k Carried) {
	c.Units[i].takeOver(k)
	if k.State == StepSkipped {
		c.done(i, PhaseSkipped)
		return
	}
	c.done(i, PhaseSucceeded)
}

// takeOver gives the unit the result that another run had of it.
func (u *Unit) takeOver(k Carried) {
	u.Output, u.Rung, u.Params = k.Output, k.Rung, k.Params
	u.Degraded, u.tainted, u.stranger = k.Degraded, k.Tainted, k.Untrusted
	u.AnswerBy, u.Rejected = k.AnswerBy, k.Rejected
}

// taint marks unit i when something that it needs is degraded or untrusted.
func (c *change) taint(i int) {
	u := &c.Units[i]
	if u.origin.kind != planStep {
		return
	}
	for _, j := range c.Program.Nodes[i].Needs {
		u.tainted = u.tainted || c.Units[j].tainted
		c.warn(i, c.Units[j].stranger)
	}
}

// firstTry queues the first attempt of unit i in this round, on rung 0 with a new budget, or asks for the approval that
// it needs first.
func (c *change) firstTry(i int) {
	c.Units[i].Rung, c.Units[i].Try = 0, 0
	if c.awaitApproval(i) {
		return
	}
	c.act(i)
}

// act queues the first attempt of unit i, which has all the approvals that it needs by what is known of its tool.
func (c *change) act(i int) {
	c.Units[i].permit.policies = int32(c.policiesOf(i))
	c.newBudget(i)
	c.onRung(i, 0)
}

// newBudget gives unit i the whole budget of its tool, from when it may go on.
func (c *change) newBudget(i int) {
	c.Units[i].Deadline = time.Time{}
	if t := c.Tool(i).Timeout; t > 0 {
		c.Units[i].Deadline = c.Now.Add(c.stillRunning(i) + time.Duration(t))
	}
}

// queue puts the next try on unit i's rung into the queue, to be executed once wait has passed. While people are asked
// about the run's deadline, or whether a damaged run goes on, it is deferred instead. A call that the log may have forgotten is not
// made.
func (c *change) queue(i int, wait time.Duration) {
	u := &c.Units[i]
	u.out.notBefore = time.Time{}
	if c.pausing() {
		c.become(i, PhaseDeferred)
		return
	}
	if h := c.Tool(i).Rung(u.Rung).Human; h != nil {
		c.askQuestion(i, h)
		return
	}
	u.Try = c.nextTry(i)
	u.out.effects = c.Tool(i).Effects
	to := PhaseQueued
	if wait > 0 {
		u.out.notBefore = c.Now.Add(wait)
		to = PhaseRetrying
	}
	u.Attempts = append(u.Attempts, AttemptRecord{
		Round: u.Round, Rung: u.Rung, Try: u.Try, State: AttemptQueued, Queued: c.Now, Wait: Duration(wait), Continues: u.onward,
	})
	c.become(i, to)
	if c.forgotten(i) {
		c.putInDoubt(i, c.mayBeForgotten())
	}
}

// nextTry numbers the next try of unit i on its rung. Where an outcome that was in doubt sends it back to a rung, there
// may be later tries than the one that it stands on.
func (c *change) nextTry(i int) int {
	u := &c.Units[i]
	try := u.Try + 1
	if !c.since(4) {
		return try
	}
	for n := len(u.Attempts) - 1; n >= 0 && u.Attempts[n].Round == u.Round; n-- {
		if rec := &u.Attempts[n]; rec.Rung == u.Rung {
			try = max(try, rec.Try+1)
		}
	}
	return c.unused(i, try)
}

// skip ends unit i without a result.
func (c *change) skip(i int) {
	c.Units[i].Output = nil
	c.done(i, PhaseSkipped)
}

// mayBeUndone reports whether a unit that has succeeded is one that something may undo.
func (c *change) mayBeUndone(u *Unit) bool {
	switch u.origin.kind {
	case undo, agentTurn, agentSummary:
		return false
	case agentCall:
		return c.since(7)
	}
	return c.carried[u.ID].From == "" // what a replay has taken over stays what the other run did
}

// done ends unit i so that what depends on it goes on.
func (c *change) done(i int, to Phase) {
	c.become(i, to)
	u := &c.Units[i]
	c.distrust(i)
	if to == PhaseSucceeded && c.mayBeUndone(u) {
		c.completed = append(c.completed, i)
	}
	switch u.origin.kind {
	case planStep:
		for _, j := range c.Program.Nodes[u.Node].Dependents {
			c.Units[j].unmet--
			if c.Units[j].unmet == 0 {
				c.ready = append(c.ready, j)
			}
		}
	case fanItem:
		f := c.Units[u.origin.parent].fan
		f.busy--
		f.left--
		c.refill(int(u.origin.parent))
	case agentTurn:
		c.turnEnded(int(u.origin.parent), i)
	case agentCall:
		c.callEnded(int(u.origin.parent), i)
	case agentSummary:
		c.summaryEnded(int(u.origin.parent), i)
	}
}
