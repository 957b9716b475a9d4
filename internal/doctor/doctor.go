// Package doctor looks at an installation as a whole and says what is not as it should be, with what to do about it. It changes
// nothing: whatever it asks is a question, or a request that is refused for what it says.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"belay/internal/bus"
	"belay/internal/outbound"
)

// State is how a check ended.
type State string

// The states, the worst last.
const (
	OK      State = "ok"
	Unknown State = "unknown" // it cannot be seen from here
	Warn    State = "warn"    // it works, and should be otherwise
	Fail    State = "fail"    // it must not be so
)

var order = []State{OK, Unknown, Warn, Fail}

// Finding is what one check has found.
type Finding struct {
	Check string `json:"check"`        // what was looked at, in a word or two
	State State  `json:"state"`        // ok, unknown, warn or fail
	Seen  string `json:"seen"`         // what is so
	Do    string `json:"do,omitempty"` // what to do about it; empty = nothing
}

// Report is what all checks have found.
type Report struct {
	At       time.Time `json:"at"`       // when it was made, by the clock of whoever made it
	Where    string    `json:"where"`    // the server, or the folder of the embedded store
	State    State     `json:"state"`    // the worst of the findings
	Findings []Finding `json:"findings"` // in the order in which one would look
}

// Of makes a report of findings.
func Of(where string, findings ...Finding) Report {
	r := Report{At: time.Now().UTC().Truncate(time.Second), Where: where, State: OK, Findings: findings}
	for _, f := range findings {
		if slices.Index(order, f.State) > slices.Index(order, r.State) {
			r.State = f.State
		}
	}
	return r
}

// Count is how many findings have a state.
func (r Report) Count(s State) (n int) {
	for _, f := range r.Findings {
		if f.State == s {
			n++
		}
	}
	return n
}

// Options say what is looked at. Bus is required.
type Options struct {
	Bus      *bus.Bus
	Version  string // of this program
	Embedded bool   // the bus is that of an embedded store that nothing else uses now
	Sync     string // how a server in this process stores: fsync or interval; empty = it is somewhere else

	Serves []string // tool/rung that workers should serve; none = those that have steps in the queue
	File   string   // the tools file that they are of
	Asks   string   // a tool of that file which takes no approval without a passkey; empty = none does, or no file is known
	// LeftBehind names the schedules for which nobody answers any more; nil = that is not looked at.
	LeftBehind func(ctx context.Context, b *bus.Bus) ([]string, error)

	Channels []Channel       // by which people are notified
	Monitors []string        // URLs of the servers' monitoring; none = they are not asked
	Outbound outbound.Policy // how those are reached
}

// Channel is a way to reach people.
type Channel struct {
	Name  string
	Reach func(ctx context.Context) (seen string, err error) // whether it answers; it notifies nobody unless it was asked to
}

// Unfit is the report on a server that could not be used at all.
func Unfit(where string, err error) Report {
	return Of(where, Finding{"server", Fail, err.Error(), "nothing else was looked at; mend this first"})
}

// Examine looks at everything.
func Examine(ctx context.Context, o Options) Report {
	e := &examination{Options: o, rig: o.Bus.Look(ctx)}
	checks := []func(context.Context) []Finding{
		e.server, e.durability, e.streams, e.replicas, e.headroom, e.log, e.clock, e.rights, e.account, e.keys, e.passkeys, e.schedules, e.contradicted, e.dispatchers, e.workers, e.versions, e.channels,
	}
	all := make([][]Finding, len(checks))
	var wg sync.WaitGroup
	for i, check := range checks {
		wg.Go(func() { all[i] = check(ctx) })
	}
	wg.Wait()
	return Of(o.Bus.Place(), slices.Concat(all...)...)
}

// examination is one examination. What several checks need is asked once.
type examination struct {
	Options
	rig error // why there is no log to look at; nil = there is one

	once    sync.Once
	fleet   fleet
	looked  sync.Once
	found   bus.Found
	foundBy error
}

func one(check string, s State, seen, do string) []Finding { return []Finding{{check, s, seen, do}} }

// failed is a check that could not be made.
func failed(check string, err error) []Finding {
	return one(check, Unknown, "it could not be looked at: "+err.Error(), "may this connection ask for it? Try again, or with other credentials")
}

func (e *examination) inspect(ctx context.Context) (bus.Found, error) {
	e.looked.Do(func() {
		if e.foundBy = e.rig; e.rig == nil {
			e.found, e.foundBy = e.Bus.Inspect(ctx)
		}
	})
	return e.found, e.foundBy
}

// noLog reports whether nothing has been set up on this server.
func (e *examination) noLog() bool { return errors.Is(e.rig, bus.ErrNoStream) }

func count(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}
