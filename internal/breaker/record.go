package breaker

import (
	"fmt"
	"strings"
	"time"

	"belay/internal/steps"
)

// Target is what a breaker is about: a rung of a tool, and the host that it talks to.
type Target struct {
	Tool string `json:"tool"`
	Rung string `json:"rung"`
	Host string `json:"host,omitempty"` // with its port, if the tools file has one; of what is no URL, as people are shown it
}

func (t Target) String() string { return strings.TrimSpace(t.Tool + "/" + t.Rung + " " + t.Host) }

// State is where a breaker stands that is not closed.
type State string

const (
	Open     State = "open"      // no call goes
	HalfOpen State = "half_open" // one call goes: the probe
	Ramp     State = "ramp"      // the probe was answered: calls go, more of them every second
)

// Record is what all dispatchers know of a breaker that is not closed; there is none of a closed one.
type Record struct {
	Target
	State    State         `json:"state"`
	Settings steps.Breaker `json:"settings"`        // of the run whose call opened it
	Since    time.Time     `json:"since"`           // when it opened
	From     time.Time     `json:"from"`            // since when it is in its state
	Until    time.Time     `json:"until"`           // open: then one call goes; half-open: so long its outcome is waited for; ramp: then all calls go
	Calls    int           `json:"calls"`           // in the window when it opened
	Failed   int           `json:"failed"`          // of these
	Fault    string        `json:"fault,omitempty"` // the last of them
	Probe    string        `json:"probe,omitempty"` // half-open: whose call goes, as `<run>/<step>`
	Probes   int           `json:"probes"`          // that were sent since it opened
}

// Trip opens a breaker.
func Trip(t Target, set steps.Breaker, calls, failed int, fault string, now time.Time) Record {
	return Record{
		Target: t, State: Open, Settings: set, Since: now, From: now, Until: now.Add(time.Duration(set.Open)), Calls: calls, Failed: failed, Fault: fault,
	}
}

// MayProbe reports whether a call may be let through to see whether the target is back.
func (r *Record) MayProbe(now time.Time) bool { return r.State != Ramp && !now.Before(r.Until) }

// grace is how much longer than it may take the outcome of a probe is waited for before another call is one.
const grace = 10 * time.Second

// Probing lets the call of a unit through, which may take so long; 0 = that is not known.
func (r *Record) Probing(unit string, timeout time.Duration, now time.Time) Record {
	n := *r
	n.State, n.Probe, n.Probes, n.From = HalfOpen, unit, r.Probes+1, now
	n.Until = now.Add(max(timeout, time.Duration(r.Settings.Open)) + grace)
	return n
}

// rampFor is how long a ramp lasts. How fast calls go meanwhile, and which of them go first, whoever lets them go decides.
const rampFor = 10 * time.Second

// Settled is the breaker after the outcome of its probe.
func (r *Record) Settled(o Outcome, fault string, now time.Time) Record {
	n := *r
	n.Probe, n.From = "", now
	switch o {
	case Answered:
		n.State, n.Until = Ramp, now.Add(rampFor)
	case Failed:
		n.State, n.Until, n.Fault = Open, now.Add(time.Duration(r.Settings.Open)), fault
	default:
		n.State, n.Until = Open, now // another call is the next probe
	}
	return n
}

// Over reports whether nothing is left of it: all calls go.
func (r *Record) Over(now time.Time) bool { return r.State == Ramp && !now.Before(r.Until) }

// Why says in words why a call does not go.
func (r *Record) Why() string {
	text := fmt.Sprintf("open since %s, %d of %d calls failed", r.Since.UTC().Format("15:04:05 UTC"), r.Failed, r.Calls)
	if r.Fault != "" {
		text += ", the last with " + r.Fault
	}
	if r.State == Ramp {
		text += "; it answers again, and calls go to it little by little"
	}
	return text
}
