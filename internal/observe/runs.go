package observe

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"belay/internal/steps"
)

// Runs observes the records that a dispatcher applies. It is safe for concurrent use. A nil field leaves that part out.
type Runs struct {
	Logger  *slog.Logger // one line per change
	Metrics *RunMetrics  // counts and durations
	Traces  *Traces      // a span per run, when it ends
}

// Applied implements the dispatcher's observer.
func (o *Runs) Applied(s *steps.State, r steps.Record, touched []int) {
	c := change{s: s, r: r, touched: touched}
	c.find()
	if o.Metrics != nil {
		o.Metrics.applied(&c)
	}
	if o.Logger != nil && o.Logger.Enabled(context.Background(), slog.LevelError) {
		lines{o.Logger, &c}.tell()
	}
	if _, is := r.Event.(steps.Closed); is {
		o.Traces.ended(s)
	}
}

// change is what one record did to a run.
type change struct {
	s       *steps.State
	r       steps.Record
	touched []int

	unit    int                  // of the attempt that the record is an outcome of, or -1
	attempt *steps.AttemptRecord // that ended by this record, or nil
	started time.Time            // when its execution began, by the worker's clock; zero if it never did
}

// find looks up the attempt that the record ends, if it does.
func (c *change) find() {
	c.unit = -1
	var a steps.Attempt
	switch e := c.r.Event.(type) {
	case steps.Succeeded:
		a, c.started = e.Attempt, e.Started
	case steps.Failed:
		a, c.started = e.Attempt, e.Started
	case steps.Junk:
		a = e.Attempt
	case steps.Unserved:
		a = e.Attempt
	case steps.Withdrawn:
		a = e.Attempt
	default:
		return
	}
	i := c.s.Unit(a.Step)
	if i < 0 {
		return
	}
	c.unit = i
	attempts := c.s.Units[i].Attempts
	for n := len(attempts) - 1; n >= 0; n-- {
		if t := &attempts[n]; t.Round == a.Round && t.Rung == a.Rung && t.Try == a.Try && t.Ended.Equal(c.s.Now) {
			if !withdrawn(t) {
				c.attempt = t
			}
			return
		}
	}
}

// withdrawn reports whether an attempt ended because it was not needed any more, which is not a failure.
func withdrawn(t *steps.AttemptRecord) bool {
	return t.State == steps.AttemptWithdrawn && (t.Fault == nil || t.Fault.Class != steps.NoWorker)
}

// moved calls f for the units whose state this record has changed.
func (c *change) moved(f func(i int, u *steps.Unit)) {
	for _, i := range c.touched {
		if i != steps.RunUnit && c.s.Units[i].Since == c.s.Seq {
			f(i, &c.s.Units[i])
		}
	}
}

// opened calls f for the escalations that this record has opened. They are the last ones.
func (c *change) opened(f func(n int, e *steps.Escalation)) {
	for n := len(c.s.Escalations) - 1; n >= 0 && c.s.Escalations[n].Revision == c.s.Seq; n-- {
		f(n, &c.s.Escalations[n])
	}
}

// decided is the escalation that this record decides; nil if it decides none, or does not count.
func (c *change) decided() *steps.Escalation {
	d, is := c.r.Event.(steps.Decided)
	if !is {
		return nil
	}
	for n := range c.s.Escalations {
		e := &c.s.Escalations[n]
		if e.ID == d.Escalation && e.State == steps.EscalationDecided && e.Ended.Equal(c.s.Now) {
			return e
		}
	}
	return nil
}

// expired calls f for the escalations that expire with this record: by the timer, or by a decision that came too late.
func (c *change) expired(f func(e *steps.Escalation)) {
	switch c.r.Event.(type) {
	case steps.Fired, steps.Decided:
	default:
		return
	}
	for n := range c.s.Escalations {
		if e := &c.s.Escalations[n]; e.State == steps.EscalationExpired && e.Ended.Equal(c.s.Now) {
			f(e)
		}
	}
}

// where names the tool and the rung of an attempt.
func (c *change) where(i int, rung int) (tool, name string) {
	t := c.s.Tool(i)
	if rung < 0 || rung > len(t.Rungs) || rung == len(t.Rungs) && t.Verify == nil {
		return t.Name, ""
	}
	return t.Name, t.Rung(rung).Name
}

// traceID is the trace id in a traceparent, empty without one.
func traceID(parent string) string {
	if len(parent) < 35 || parent[2] != '-' {
		return ""
	}
	return parent[3:35]
}

// workerName is a worker without the token of its claim.
func workerName(worker string) string {
	name, _, _ := strings.Cut(worker, "#")
	return name
}
