// Package fleet knows which workers run: each announces itself as the NATS service belay-worker, and answers what it
// serves and what it has in hand. Nothing is stored, so a worker that is gone is gone from the list at once; and nothing
// depends on it, so one that may not announce itself works all the same.
package fleet

import (
	"cmp"
	"context"
	"encoding/json"
	"os"
	"runtime/debug"
	"slices"
	"time"

	"belay/internal/bus"
)

// Service is what workers announce themselves as.
const Service = "belay-worker"

// Worker is what a worker says of itself.
type Worker struct {
	Name        string    `json:"name"` // as in the logs of runs
	Host        string    `json:"host"`
	PID         int       `json:"pid"`
	Version     string    `json:"version"`
	Started     time.Time `json:"started"`
	Serves      []string  `json:"serves"` // tool/rung
	Concurrency int       `json:"concurrency"`
	Executing   int       `json:"executing"`
	InHand      int       `json:"in_hand"`  // with what waits for a slot
	Draining    bool      `json:"draining"` // it finishes what it has, and takes no more
}

// Announce lets others know of a worker until gone is called. State gives name, tools and figures; the rest is known here.
func Announce(b *bus.Bus, version string, state func() Worker) (gone func(), err error) {
	host, err := os.Hostname()
	if err != nil {
		host = ""
	}
	version = cmp.Or(version, built())
	about := map[string]string{"prefix": b.Names().Prefix, "worker": state().Name, "host": host, "version": version}
	return b.Announce(Service, version, "executes steps of Belay", about, func() any {
		w := state()
		w.Host, w.PID, w.Version = host, os.Getpid(), version
		return w
	})
}

// built is the version of the module that the program was built of.
func built() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.Main.Version
	}
	return ""
}

// Workers asks all workers of this prefix, and sorts them by name.
func Workers(ctx context.Context, b *bus.Bus) ([]Worker, error) {
	found, err := b.Discover(ctx, Service)
	if err != nil {
		return nil, err
	}
	all := []Worker{}
	for _, it := range found {
		var w Worker
		if it.About["prefix"] != b.Names().Prefix || json.Unmarshal(it.State, &w) != nil {
			continue
		}
		w.Started = it.Started
		all = append(all, w)
	}
	slices.SortFunc(all, func(a, b Worker) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.PID, b.PID)) })
	return all, nil
}
