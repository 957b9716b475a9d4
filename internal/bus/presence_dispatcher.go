package bus

import (
	"cmp"
	"context"
	"slices"
	"time"

	"belay/internal/exactjson"
)

// DispatcherService is the NATS service as which dispatchers announce themselves.
const DispatcherService = "belay-dispatcher"

// Dispatcher is the state that a dispatcher reports.
type Dispatcher struct {
	Name     string     `json:"name"`            // as in its log lines
	Unserved []Unserved `json:"unserved"`        // empty if every queued step has a worker
	Store    string     `json:"store,omitempty"` // that the store takes no writes, and what to do; empty while it does

	Version string `json:"version,omitempty"` // of the program
	Sync    string `json:"sync,omitempty"`    // fsync or interval: how the server in its process stores; empty = it has none
}

// Unserved is a rung that has queued steps and no worker.
type Unserved struct {
	Tool  string    `json:"tool"`  // of the queued steps
	Rung  string    `json:"rung"`  // of the tool
	Steps uint64    `json:"steps"` // in the queue
	Since time.Time `json:"since"` // since when, without interruption
	Asks  time.Time `json:"asks"`  // when an escalation opens because of that
}

// AnnounceDispatcher announces a dispatcher until gone is called.
func AnnounceDispatcher(b *Bus, version string, state func() Dispatcher) (gone func(), err error) {
	version = cmp.Or(version, built())
	about := map[string]string{"prefix": b.Names().Prefix, "dispatcher": state().Name, "version": version}
	return b.Announce(DispatcherService, version, "moves runs of Belay on", about, func() any {
		d := state()
		d.Version = version
		return d
	})
}

// Dispatchers asks all dispatchers of this prefix for their state.
func (b *Bus) Dispatchers(ctx context.Context) ([]Dispatcher, error) {
	found, err := b.Discover(ctx, DispatcherService)
	if err != nil {
		return nil, err
	}
	var all []Dispatcher
	for _, it := range found {
		var d Dispatcher
		if it.About["prefix"] == b.Names().Prefix && exactjson.Unmarshal(it.State, &d) == nil {
			all = append(all, d)
		}
	}
	return all, nil
}

// UnservedBy merges what several dispatchers report as unserved: each rung once, with the earliest time at which people are
// asked.
func UnservedBy(all []Dispatcher) []Unserved {
	type rung struct{ tool, name string }
	by := map[rung]Unserved{}
	for _, d := range all {
		for _, u := range d.Unserved {
			k := rung{u.Tool, u.Rung}
			if have, ok := by[k]; !ok || u.Asks.Before(have.Asks) {
				by[k] = u
			}
		}
	}
	list := make([]Unserved, 0, len(by))
	for _, u := range by {
		list = append(list, u)
	}
	slices.SortFunc(list, func(a, b Unserved) int { return cmp.Or(cmp.Compare(a.Tool, b.Tool), cmp.Compare(a.Rung, b.Rung)) })
	return list
}
