package steps

import "encoding/json"

// probe looks with the tool's verify probe whether the attempt whose outcome is unknown has happened. To the queue it is
// an attempt like any other, on the rung behind the last, which acts on nothing.
func (c *change) probe(i int) {
	u := &c.Units[i]
	u.Rung, u.Try, u.counts, u.named = len(c.Tool(i).Rungs), 0, nil, 0
	for n := range u.Attempts {
		if rec := &u.Attempts[n]; rec.Round == u.Round && rec.Rung == u.Rung {
			u.Try++
		}
	}
	c.newBudget(i)
	c.queue(i, 0)
}

// probed draws the conclusion. That it has happened settles the step; that it has not is for a person to believe, since
// what was sent may still arrive.
func (c *change) probed(i int, output json.RawMessage) {
	asks := c.asks(i)
	happened, err := asks.Happened(c.about(i, output))
	switch {
	case err != nil:
		c.doubtful(i, "the probe's answer says nothing: "+err.Error())
	case string(happened) != "true":
		c.doubtful(i, "the probe says that it has not happened so far")
	default:
		c.happened(i, asks.Verified, output)
	}
}

func (c *change) happened(i int, verified Expr, output json.RawMessage) {
	u := &c.Units[i]
	if verified != nil {
		made, err := verified(c.about(i, output))
		if err != nil {
			c.doubtful(i, "the probe says that it has happened, but its output cannot be made: "+err.Error())
			return
		}
		output = made
	}
	c.standOn(i, u.doubt-1)
	u.record().Note = "the probe says that it has happened"
	u.Output, u.Fault, u.doubt = output, nil, 0
	c.label(i, 0)
	c.done(i, StepSucceeded)
}

// probeFailed tries the probe again, as its own retry policy says, and then asks a person.
func (c *change) probeFailed(i int, f Fault) {
	if c.ending == "" || c.Units[i].kind == undo {
		if wait, ok := c.again(i, &f); ok {
			c.queue(i, wait)
			return
		}
	}
	c.doubtful(i, "the probe failed: "+f.Error())
}

// doubtful leaves it to a person what became of the attempt.
func (c *change) doubtful(i int, note string) {
	u := &c.Units[i]
	c.standOn(i, u.doubt-1)
	f := *u.record().Fault
	f.Class, f.Acted, f.Message = Unknown, ActedMaybe, f.Message+"; "+note
	c.set(i, StepUnknown)
	if c.ending != "" && u.kind != undo && c.Program.Nodes[u.Node].CompensateTool == nil {
		c.settleUnknown(i)
		return
	}
	c.ask(i, KindUnknown, f)
}

// unprobe ends a probe because the attempt itself, a, or a decision about the run has overtaken it.
func (c *change) unprobe(i int, a Attempt) {
	u := &c.Units[i]
	if !c.probing(i) || u.is(a) {
		return
	}
	rec := u.record()
	rec.State, rec.Ended = AttemptGivenUp, c.Now
	u.giving = nil
	c.standOn(i, u.doubt-1)
	c.set(i, StepUnknown)
}

// standOn makes attempt n the one that unit i stands on.
func (c *change) standOn(i, n int) {
	u := &c.Units[i]
	u.Rung, u.Try = u.Attempts[n].Rung, u.Attempts[n].Try
}
