package steps

import (
	"slices"
	"strconv"
	"strings"
)

// nameCall makes the part of unit u's idempotency key that names its call: what is called, and the how many-th such call of
// its agent it is. An agent that is asked again in a retry of its run may make its calls in another order; the same call has
// the same key there. And a call that may have happened has its key once more when its model repeats it: whoever keeps to the
// key does not act twice. False: it is not to be made at all, because that would repeat what must not be repeated.
func (c *change) nameCall(u int, p proposal) bool {
	l := c.Units[c.Units[u].origin.parent].loop
	digest := c.digestOf([]proposal{p})[:16]
	if names := l.unsettled[digest]; len(names) > 0 {
		if c.Tool(u).Effects.Unsafe() {
			return false
		}
		c.Units[u].call, l.unsettled[digest] = names[0], names[1:]
		return true
	}
	if name := c.unmade(l, digest); name != "" {
		c.Units[u].call = name
		return true
	}
	if l.made == nil {
		l.made = map[string]int{}
	}
	c.Units[u].call = digest + "." + strconv.Itoa(l.made[digest])
	l.made[digest]++
	return true
}

// unsettle notes call u if it is over without a result and may have happened: itself, or before under the same key.
func (c *change) unsettle(u int) {
	l := c.Units[c.Units[u].origin.parent].loop
	digest, _, named := strings.Cut(c.Units[u].call, ".")
	if !named || c.Units[u].phase == PhaseSucceeded || !c.mayHaveHappened(u) && !c.repeated(l, u) {
		return
	}
	if l.unsettled == nil {
		l.unsettled = map[string][]string{}
	}
	l.unsettled[digest] = append(slices.Clip(l.unsettled[digest]), c.Units[u].call)
}

// repeated reports whether an earlier call that may have happened has the key of call u.
func (c *change) repeated(l *loop, u int) bool {
	return slices.ContainsFunc(l.turns, func(t turn) bool {
		return slices.ContainsFunc(t.calls, func(k int) bool {
			return k != u && c.Units[k].call == c.Units[u].call && c.mayHaveHappened(k)
		})
	})
}

// unmade is the name of a call that nobody has begun when its turn was taken back, and that no other call has got since; empty
// where there is none. The next call of the same has it: in a retry of the run, which knows nothing of what was taken back, it
// would be the first.
func (c *change) unmade(l *loop, digest string) string {
	if len(l.notes) == 0 {
		return ""
	}
	var free []string
	for _, t := range l.turns {
		for _, k := range t.calls {
			name := c.Units[k].call
			if !strings.HasPrefix(name, digest+".") {
				continue
			}
			free = slices.DeleteFunc(free, func(f string) bool { return f == name })
			if t.back != 0 && c.neverBegan(k) {
				free = append(free, name)
			}
		}
	}
	if len(free) == 0 {
		return ""
	}
	return slices.Min(free)
}

// neverBegan reports whether call k is over and nobody has executed it.
func (c *change) neverBegan(k int) bool {
	u := &c.Units[k]
	return u.Over() && !slices.ContainsFunc(u.Attempts, func(rec AttemptRecord) bool { return rec.State != AttemptWithdrawn })
}

// mayHaveHappened reports whether unit i, which has no result, may have acted all the same.
func (s *State) mayHaveHappened(i int) bool {
	if s.Tool(i).Effects == EffectsNone || s.Units[i].phase == PhaseSucceeded {
		return false
	}
	return slices.ContainsFunc(s.Units[i].Attempts, mayHaveActed)
}

// mayHaveActed reports whether an attempt that gave no result may have acted all the same.
func mayHaveActed(rec AttemptRecord) bool {
	lost := rec.Crashes > 0 || len(rec.Lost) > 0
	return lost || rec.Fault != nil && rec.Fault.MayHaveActed() && rec.State != AttemptWithdrawn
}
