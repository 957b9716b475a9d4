package steps

// What stands on the subject of one tool's workers can only be a report or a claim of theirs, also where nobody can read it. A run that was
// submitted under an epoch from junkEpoch on hears nothing from workers that came with a later epoch, so that every version folds it the same
// way: such a report is one that its worker has spoiled. It ends the attempt that it names as any failure does, and where what failed must
// not happen twice, as one that may have happened. What names no attempt counts for nothing.
//
// A run of an older epoch may have reports that a later version knows. There junk ends nothing, and what may be such a report stops the run.

// junkEpoch is the first epoch in which a report that nobody can read ends its attempt.
const junkEpoch = 7

// HearsJunk reports whether [Junk] ends the attempt that it names, in a run that was submitted so.
func HearsJunk(e Submitted) bool { return epochOf(e) >= junkEpoch }

// hears reports whether junk may be about an attempt, of the workers of that attempt's tool.
func (s *State) hears(j Junk) bool { return s.since(junkEpoch) && j.Step != "" }

// Stops reports whether junk stops the run, see above. It does if it is about a step of the worker's own tool that is not over: nobody may go
// on as if nothing had been said. On any other step nothing that such a worker says counts in any version, and what no version says counts
// nowhere.
func (s *State) Stops(r Record) bool {
	j, is := r.Event.(Junk)
	if !is || !j.Newer || s == nil || s.since(junkEpoch) {
		return false
	}
	for i := range s.Units {
		if u := &s.Units[i]; !u.Over() && s.Tool(i).Name == r.Tool && (j.Step == "" || j.Step == u.ID) {
			return true
		}
	}
	return false
}

// onJunk ends the attempt that a worker has reported of what nobody can read.
func (c *change) onJunk(e Junk) {
	i, ok := c.current(e.Attempt)
	if !ok {
		return
	}
	f := c.spoiled(i, e)
	if rec := c.Units[i].Current(); e.Claim {
		if !c.claimed(i) || !rec.claimed.IsZero() {
			return // it needs none, or has one: the first claim counts
		}
		rec.claimed = c.Now // whoever wrote it may take it for a claim, and begin
	}
	c.onFailed(Failed{Attempt: e.Attempt, Fault: f})
}

// spoiled is what a report that cannot be read says of the current attempt of unit i.
func (c *change) spoiled(i int, e Junk) Fault {
	if e.Policy {
		f := Fault{Class: PolicyDenied, Acted: ActedNo, Message: "a worker asks for a policy of " + c.Tool(i).Name + " that cannot be used here: upgrade the dispatchers or mend its tools file, then retry", Detail: e.Why}
		if c.Units[i].Current().State != AttemptQueued {
			f.Acted = ActedMaybe
		}
		return f
	}
	what := "reported"
	if e.Claim {
		what = "claimed it with"
	}
	f := Fault{Class: InvalidOutput, Acted: ActedMaybe, Message: "its worker has " + what + " what cannot be read", Detail: e.Why}
	if c.effects(i).Unsafe() {
		f.Class, f.Message = Unknown, f.Message+": it may have happened"
	}
	return f
}
