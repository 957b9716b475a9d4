package steps

// reserve is the most that one try of a turn or of a summary takes, as far as can be known before it. It counts for a try of which nobody
// knows what it took.
type reserve struct {
	input, output int64 // tokens
	cost          Money // on the dearest rung
}

// framing is how many tokens a provider adds to what it is sent at most: how tools and roles are told to its model.
const framing = 1000

// estimate reserves for the next turn of agent i: it reads what the last one read and wrote and what has come since, a token
// being at least a byte, and writes as much as it may.
func (c *change) estimate(i int) reserve {
	n := c.Program.Nodes[i].Agent
	return reserve{input: c.toRead(i), output: int64(n.MaxOutputTokens)}.priced(c.Tool(i))
}

// priced is r with what it costs on the dearest rung of a tool.
func (r reserve) priced(t *Tool) reserve {
	for _, rung := range t.Rungs {
		if rung.Price != nil {
			r.cost = max(r.cost, rung.Price.Of(Usage{Input: r.input, Output: r.output}))
		}
	}
	return r
}

// holdOf is what is reserved for a try of unit i; nil where it asks no model for an agent.
func (c *change) holdOf(i int) *reserve {
	of := &c.Units[i].origin
	switch of.kind {
	case agentTurn:
		return &c.Units[of.parent].loop.hold
	case agentSummary:
		return &c.Units[of.parent].loop.summaries[of.item-1].hold
	}
	return nil
}

// toRead is how many tokens the model of agent i reads next at most.
func (c *change) toRead(i int) (tokens int64) {
	n, l := c.Program.Nodes[i].Agent, c.Units[i].loop
	if len(l.turns) == 0 {
		tokens = framing + int64(len(l.instructions)+len(l.prompt)+len(n.OutputSchema))
		for _, t := range n.Tools {
			tokens += int64(len(t.Call) + len(t.Description) + len(t.Tool.InputSchema))
		}
		return tokens
	}
	last := l.turns[len(l.turns)-1]
	tokens = l.hold.input + int64(len(c.Units[last.unit].Output))
	for _, rec := range c.Units[last.unit].Attempts {
		if rec.Usage != nil {
			tokens = rec.Usage.Input + rec.Usage.Output
		}
	}
	for _, u := range last.calls {
		result, _ := c.resultOf(u)
		tokens += int64(len(result)) + 256
	}
	tokens += int64(len(last.wrong))
	for n := range l.notes {
		if l.notes[n].after == len(l.turns) {
			tokens += int64(len(c.noteText(l, n)))
		}
	}
	if len(l.summaries) > 0 && l.tried() == len(l.turns) {
		tokens += int64(len(c.saidOfPast(i, c.past(i, len(l.turns)))))
	}
	return tokens
}

func (r *Rung) isModel() bool { return r.Executor == "model" || r.Price != nil }

// reserved counts what was reserved for n executions of the current attempt of unit i, if it asks an agent's model.
func (c *change) reserved(i, n int) {
	hold := c.holdOf(i)
	if hold == nil {
		return
	}
	rec := c.Units[i].Current()
	rec.Cost += hold.cost * Money(n)
	rec.uncounted += (hold.input + hold.output) * int64(n)
}
