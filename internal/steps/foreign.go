package steps

// Where a server lets workers report of their own tools alone, the subject of an outcome or claim names the tool, and what is said there of
// another tool's step counts for nothing. Neither does what nobody can read, or whoever may write there could stop every run.

// Reports is the attempt that a worker says something about; ok is false for what no worker reports.
func Reports(e Event) (a Attempt, ok bool) {
	switch e := e.(type) {
	case Started:
		return e.Attempt, true
	case Progress:
		return e.Attempt, true
	case Resumable:
		return e.Attempt, true
	case Succeeded:
		return e.Attempt, true
	case Failed:
		return e.Attempt, true
	case Objected:
		return e.Attempt, true
	case Claimed:
		return e.Attempt, true
	case Junk:
		return e.Attempt, true
	}
	return Attempt{}, false
}

// Foreign reports whether in r a worker says something about a step of a tool that it may not report of, or what nobody can read: then it has
// not counted.
func (s *State) Foreign(r Record) bool {
	if r.Tool == "" {
		return false
	}
	if _, is := r.Event.(Junk); is {
		return true
	}
	a, ok := Reports(r.Event)
	i := s.Unit(a.Step)
	return ok && i >= 0 && s.Tool(i).Name != r.Tool
}

// Stops reports whether junk stops the run. It does if a later version may know what was said, and it is about a step of the worker's own tool
// that is not over: nobody may go on as if nothing had been said. On any other step nothing that such a worker says counts in any version, and
// what no version says counts nowhere.
func (s *State) Stops(r Record) bool {
	j, is := r.Event.(Junk)
	if !is || !j.Newer || s == nil {
		return false
	}
	for i := range s.Units {
		if u := &s.Units[i]; !u.Over() && s.Tool(i).Name == r.Tool && (j.Step == "" || j.Step == u.ID) {
			return true
		}
	}
	return false
}

// NotCounted says that a foreign record has not counted.
func (r Record) NotCounted() string {
	did := "reported of"
	switch r.Event.(type) {
	case Claimed:
		did = "claimed"
	case Junk:
		return "not counted: a worker of " + r.Tool + " has written what cannot be read"
	}
	return "not counted: a worker of " + r.Tool + " has " + did + " this attempt"
}

// disbelieve notes for people that a report did not count. A worker of this tool that refuses what the run never wanted is heard: that
// message was put into its queue under the name of another tool's step.
func (c *change) disbelieve(r Record) {
	a, _ := Reports(r.Event)
	rec := c.attempt(a)
	if rec == nil {
		if e, is := r.Event.(Failed); is {
			c.alarm(e)
		}
		return
	}
	if note := r.NotCounted(); rec.Note != note {
		rec.Note = note
		c.touch(c.Unit(a.Step))
	}
}
