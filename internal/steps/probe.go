package steps

import "encoding/json"

// probe queues the tool's probe, which looks whether the attempt with the unknown outcome has happened. In the queue it is
// an attempt like any other, on the rung behind the last one; it acts on nothing. It waits while that attempt may still be
// executed.
func (c *change) probe(i int) {
	u := &c.Units[i]
	u.ladder.doubted = rungCount{u.ladder.faults, u.ladder.named}
	u.Rung, u.Try, u.ladder.faults, u.ladder.named, u.onward = len(c.Tool(i).Rungs), 0, nil, 0, nil
	for n := range u.Attempts {
		if rec := &u.Attempts[n]; rec.Round == u.Round && rec.Rung == u.Rung {
			u.Try++
		}
	}
	c.newBudget(i)
	c.queue(i, c.stillRunning(i))
}

// probed draws the conclusion. That it has happened settles the step. That it has not is left to a person, since what was
// sent may still arrive.
func (c *change) probed(i int, output json.RawMessage) {
	asks := c.Asks(i)
	happened, err := asks.Happened(c.CallScope(i, output))
	switch {
	case err != nil:
		c.doubtful(i, "the probe's answer cannot be read: "+err.Error())
	case string(happened) != "true":
		c.doubtful(i, "the probe says that it has not happened so far")
	default:
		c.happened(i, asks.Verified, output)
	}
}

func (c *change) happened(i int, verified Expr, output json.RawMessage) {
	u := &c.Units[i]
	if verified != nil {
		made, err := verified(c.CallScope(i, output))
		if err != nil {
			c.doubtful(i, "the probe says that it has happened, but its output cannot be made: "+err.Error())
			return
		}
		output = made
	}
	c.standOn(i, u.doubt.index())
	u.Current().Note = "the probe says that it has happened"
	u.Output, u.Fault, u.doubt = output, nil, 0
	c.label(i, 0)
	c.done(i, PhaseSucceeded)
}

// probeFailed retries the probe, as its own policy says, and then asks a person.
func (c *change) probeFailed(i int, f Fault) {
	if c.ending == "" || c.Units[i].origin.kind == undo {
		if wait, ok := c.retry(i, &f); ok {
			c.queue(i, wait)
			return
		}
	}
	c.doubtful(i, "the probe failed: "+f.Error())
}

// doubtful leaves it to a person to say what became of the attempt.
func (c *change) doubtful(i int, note string) {
	u := &c.Units[i]
	c.standOn(i, u.doubt.index())
	f := *u.Current().Fault
	f.Class, f.Acted, f.Message = Unknown, ActedMaybe, f.Message+c.atWork(i)+"; "+note
	c.become(i, PhaseUnknown)
	if c.ending != "" && u.origin.kind != undo && !c.undone(i) {
		c.leaveUnknown(i)
		return
	}
	c.ask(i, KindUnknown, f)
}

// unprobe ends a probe that the outcome of the attempt itself, a, or a decision about the run has overtaken.
func (c *change) unprobe(i int, a Attempt) {
	u := &c.Units[i]
	if !c.Probing(i) || u.is(a) {
		return
	}
	rec := u.Current()
	rec.State, rec.Ended = AttemptGivenUp, c.Now
	c.standOn(i, u.doubt.index())
	c.become(i, PhaseUnknown)
}

// standOn makes attempt n, which is not in doubt any more, or is left to a person, the one that unit i stands on. What has failed
// on its rung before the probe still counts.
func (c *change) standOn(i, n int) {
	u := &c.Units[i]
	if c.Probing(i) && c.since(7) {
		u.ladder.faults, u.ladder.named = u.ladder.doubted.faults, u.ladder.doubted.named
	}
	u.Rung, u.Try = u.Attempts[n].Rung, u.Attempts[n].Try
}
