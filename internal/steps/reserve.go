package steps

// reserve is the most that one try of a turn takes, as far as can be known before it. It counts for a try of which nobody
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
	r := reserve{input: c.toRead(i), output: int64(n.MaxOutputTokens)}
	for _, rung := range c.Tool(i).Rungs {
		if rung.Price != nil {
			r.cost = max(r.cost, rung.Price.Of(Usage{Input: r.input, Output: r.output}))
		}
	}
	return r
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
	return tokens
}

func (r *Rung) isModel() bool { return r.Executor == "model" || r.Price != nil }

// reserved counts what was reserved for n executions of the current attempt of unit i, if it asks an agent's model.
func (c *change) reserved(i, n int) {
	of := &c.Units[i].origin
	if of.kind != agentTurn {
		return
	}
	rec, hold := c.Units[i].Current(), c.Units[of.parent].loop.hold
	rec.Cost += hold.cost * Money(n)
	rec.uncounted += (hold.input + hold.output) * int64(n)
}
