package fleet

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"time"

	"belay/internal/bus"
)

// DispatcherService is what dispatchers announce themselves as.
const DispatcherService = "belay-dispatcher"

// Dispatcher is what a dispatcher says of itself.
type Dispatcher struct {
	Name     string     `json:"name"`
	Unserved []Unserved `json:"unserved"`
}

// Unserved is a rung of which steps are queued that no worker asks for.
type Unserved struct {
	Tool  string    `json:"tool"`
	Rung  string    `json:"rung"`
	Steps uint64    `json:"steps"` // that wait
	Since time.Time `json:"since"`
	Asks  time.Time `json:"asks"` // when people are asked because of that
}

// AnnounceDispatcher lets others know of a dispatcher until gone is called.
func AnnounceDispatcher(b *bus.Bus, version string, state func() Dispatcher) (gone func(), err error) {
	version = cmp.Or(version, built())
	about := map[string]string{"prefix": b.Names().Prefix, "dispatcher": state().Name, "version": version}
	return b.Announce(DispatcherService, version, "moves runs of Belay on", about, func() any { return state() })
}

// Dispatchers asks all dispatchers of this prefix.
func Dispatchers(ctx context.Context, b *bus.Bus) ([]Dispatcher, error) {
	found, err := b.Discover(ctx, DispatcherService)
	if err != nil {
		return nil, err
	}
	var all []Dispatcher
	for _, it := range found {
		var d Dispatcher
		if it.About["prefix"] == b.Names().Prefix && json.Unmarshal(it.State, &d) == nil {
			all = append(all, d)
		}
	}
	return all, nil
}

// UnservedBy lists what no worker serves, as several dispatchers have seen it: each rung once, with the first time at
// which people are asked.
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
