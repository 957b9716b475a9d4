package steps

// Where a server lets workers report of their own tools alone, the subject of an outcome or claim names the tool, and what is said there of
// another tool's step counts for nothing. For what nobody can read there see [Junk] and junk.go.

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

// Foreign reports whether in r a worker says something about a step of a tool that it may not report of, or what nobody can read and is not
// about an attempt of its own tool: then it has not counted.
func (s *State) Foreign(r Record) bool {
	if r.Tool == "" {
		return false
	}
	a, ok := Reports(r.Event)
	i := s.Unit(a.Step)
	if i >= 0 && s.Tool(i).Name != r.Tool {
		return ok
	}
	j, is := r.Event.(Junk)
	return is && (i < 0 || !s.hears(j))
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
		switch e := r.Event.(type) {
		case Failed:
			c.alarm(e)
		case Junk:
			if c.hears(e) { // of a step that may be still to come
				c.noteEarly(e)
			}
		}
		return
	}
	if note := r.NotCounted(); rec.Note != note {
		rec.Note = note
		c.touch(c.Unit(a.Step))
	}
}
