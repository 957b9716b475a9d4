package steps

// The log can have the end of an attempt before it has what the attempt follows from. A server whose disk failed loses the end
// of a log, and those who had written into it write once more, in any order: a worker its outcome, a person the decision
// that the outcome came of. When the attempt is made after that, its name is used up: whoever gets its message finds an end
// in the log and drops it. So it gets another name.

// maxEarly bounds how many such names are kept. Whoever can write into the log could write any number.
const maxEarly = 1000

// noteEarly notes the name of an attempt that has come to an end, or was claimed, before the run has made it.
func (c *change) noteEarly(e Event) {
	var a Attempt
	switch e := e.(type) {
	case Succeeded:
		a = e.Attempt
	case Failed:
		a = e.Attempt
	case Claimed:
		a = e.Attempt
	case Objected:
		a = e.Attempt
	case Withdrawn:
		a = e.Attempt
	case Junk:
		a = e.Attempt
	default:
		return
	}
	if !c.since(5) || len(c.early) >= maxEarly || c.known(a) {
		return
	}
	if c.early == nil {
		c.early = map[Attempt]bool{}
	}
	c.early[a] = true
}

// forgetEarly forgets the names of unit i that were used before its approval: whoever gets a message that acts on one reads
// the log from there on, see [SinceGrant].
func (c *change) forgetEarly(i int) {
	for a := range c.early {
		if a.Step == c.Units[i].ID {
			delete(c.early, a)
		}
	}
}

// unused is the first try from this one on whose name the log does not have.
func (c *change) unused(i, try int) int {
	u := &c.Units[i]
	for c.early[Attempt{u.ID, u.Round, u.Rung, try}] {
		try++
	}
	return try
}
