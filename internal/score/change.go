package score

import (
	"time"

	"belay/internal/steps"
)

// What says what a change counts.
type What uint8

const (
	Primary  What = iota + 1 // a call has its result from the first rung
	Degraded                 // it has it from a later one
	Failed                   // it ended without a result
	People                   // it went to people, who were not meant to be asked; counted once a call, whatever becomes of it
	Answered                 // an attempt succeeded
	Faulted                  // an attempt failed, or a call could not go on; Fault says why
	Asked                    // an escalation was opened
	Decided                  // it was decided
	Dropped                  // it ended without a decision
	Defined                  // a run was submitted with these Tools
)

// OfRun stands for the tool where an escalation is about a run as a whole.
const OfRun = "(run)"

// Change is what a record of a run's log adds to the counts.
type Change struct {
	Seq   uint64
	N     int       // among the changes of the record, which are always the same
	At    time.Time // the log's
	What  What
	Tool  string
	Rung  string        // of Primary, Degraded, Answered and Faulted, where there is one
	Took  time.Duration // of Decided: since the escalation was opened
	Late  bool          // of Decided: longer than the tool's objective
	Run   string
	Fault *steps.Fault
	Tools map[string]steps.Tool
}

// changes says what a record adds, of the state after it. Known programs are not looked at again for their tools.
func changes(s *steps.State, r steps.Record, touched []int, known func(*steps.Program) bool) []Change {
	c := counting{s: s, r: r}
	if e, is := r.Event.(steps.Submitted); is {
		if e.RetryOf == "" && !known(s.Program) {
			c.add(Change{What: Defined, Tools: s.Program.Tools})
		}
		return c.all // what a run takes over from another one was counted there
	}
	c.attempt()
	c.escalations(len(c.all) > 0)
	c.ends(touched)
	return c.all
}

type counting struct {
	s   *steps.State
	r   steps.Record
	all []Change
}

func (c *counting) add(n Change) {
	n.Seq, n.N, n.At, n.Run = c.r.Seq, len(c.all), c.s.Now, c.s.Run
	c.all = append(c.all, n)
}

// attempt counts the outcome of an attempt, if the record is one and counts.
func (c *counting) attempt() {
	var a steps.Attempt
	switch e := c.r.Event.(type) {
	case steps.Succeeded:
		a = e.Attempt
	case steps.Failed:
		a = e.Attempt
	case steps.Junk:
		a = e.Attempt
	default:
		return
	}
	i := c.s.Unit(a.Step)
	if i < 0 {
		return
	}
	list := c.s.Units[i].Attempts
	for n := len(list) - 1; n >= 0; n-- {
		if t := &list[n]; t.Round == a.Round && t.Rung == a.Rung && t.Try == a.Try {
			if t.Ended.Equal(c.s.Now) {
				c.outcome(i, t)
			}
			return
		}
	}
}

func (c *counting) outcome(i int, t *steps.AttemptRecord) {
	n := Change{What: Answered, Tool: c.s.Tool(i).Name, Rung: c.rung(i, t.Rung)}
	switch t.State {
	case steps.AttemptSucceeded:
	case steps.AttemptFailed, steps.AttemptUnknown:
		n.What, n.Fault = Faulted, t.Fault
	default:
		return // handed back, or not wanted any more
	}
	c.add(n)
}

func (c *counting) rung(i, k int) string {
	t := c.s.Tool(i)
	if k < 0 || k > len(t.Rungs) || k == len(t.Rungs) && t.Verify == nil {
		return ""
	}
	return t.Rung(k).Name
}

func (c *counting) tool(i int) string {
	if i == steps.RunUnit {
		return OfRun
	}
	return c.s.Tool(i).Name
}

// escalations counts those that the record has opened and ended. What one is about is a cause of its own if it is not the outcome
// of an attempt.
func (c *counting) escalations(known bool) {
	for n := range c.s.Escalations {
		e := &c.s.Escalations[n]
		switch {
		case e.Revision == c.r.Seq:
			c.asked(n, known)
		case e.EndedSeq == c.r.Seq && e.State == steps.EscalationDecided:
			took := e.Ended.Sub(e.Opened)
			c.add(Change{What: Decided, Tool: c.tool(e.Unit), Took: took, Late: c.late(e.Unit, took)})
		case e.EndedSeq == c.r.Seq:
			c.add(Change{What: Dropped, Tool: c.tool(e.Unit)})
		}
	}
}

func (c *counting) late(unit int, took time.Duration) bool {
	if unit == steps.RunUnit {
		return false
	}
	o := c.s.Tool(unit).SLO
	return o != nil && o.Decision > 0 && took > time.Duration(o.Decision)
}

func (c *counting) asked(n int, known bool) {
	e := &c.s.Escalations[n]
	c.add(Change{What: Asked, Tool: c.tool(e.Unit)})
	if e.Unit == steps.RunUnit || !c.unmeant(e) {
		return
	}
	if !known && e.Fault.Class != "" {
		c.add(Change{What: Faulted, Tool: c.tool(e.Unit), Fault: &e.Fault})
	}
	if !c.askedBefore(e.Unit, n) && !c.s.Units[e.Unit].FannedOut() {
		c.add(Change{What: People, Tool: c.tool(e.Unit)})
	}
}

// unmeant reports whether people are asked because the call did not go as meant: no approval, and no question of a tool whose
// first rung is a person, or which needs one.
func (c *counting) unmeant(e *steps.Escalation) bool {
	switch e.Kind {
	case steps.KindApproval:
		return false
	case steps.KindQuestion:
		return c.s.Units[e.Unit].Rung > 0
	}
	return true
}

func (c *counting) askedBefore(unit, before int) bool {
	for n := range before {
		if e := &c.s.Escalations[n]; e.Unit == unit && c.unmeant(e) {
			return true
		}
	}
	return false
}

// ends counts the calls that have ended with the record, but for those that went to people.
func (c *counting) ends(touched []int) {
	for _, i := range touched {
		if i == steps.RunUnit {
			continue
		}
		u := &c.s.Units[i]
		if u.Since != c.r.Seq || !u.State().Ended() || u.FannedOut() || u.ResultOf() >= 0 || c.askedBefore(i, len(c.s.Escalations)) {
			continue
		}
		switch u.State() {
		case steps.StepSucceeded:
			what := Primary
			if u.Rung > 0 {
				what = Degraded
			}
			c.add(Change{What: what, Tool: c.s.Tool(i).Name, Rung: c.rung(i, u.Rung)})
		case steps.StepFailed, steps.StepSkipped:
			if u.Fault != nil && u.Rejected == nil { // else a condition left it out, or a person did not want it
				c.add(Change{What: Failed, Tool: c.s.Tool(i).Name})
			}
		}
	}
}
