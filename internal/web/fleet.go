package web

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"belay/internal/bus"
	"belay/internal/console"
	"belay/internal/dlq"
	"belay/internal/fleet"
)

// tools says how the tools are served, by what their queues look like.
type tools struct {
	bus     *bus.Bus
	letters *dlq.Box

	mu      sync.Mutex
	asked   time.Time
	workers []fleet.Worker
}

// fresh is how long an answer about workers serves all who look.
const fresh = 2 * time.Second

// Workers implements [console.Fleet].
func (f *tools) Workers(ctx context.Context) ([]fleet.Worker, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if time.Since(f.asked) < fresh {
		return f.workers, nil
	}
	all, err := fleet.Workers(ctx, f.bus)
	if err == nil {
		f.asked, f.workers = time.Now(), all
	}
	return all, err
}

// Tools implements [console.Fleet].
func (f *tools) Tools(ctx context.Context) ([]console.ToolHealth, error) {
	backlogs, err := f.bus.Backlogs(ctx)
	if err != nil {
		return nil, err
	}
	letters, err := f.letters.List(ctx)
	if err != nil {
		return nil, err
	}
	by := map[string]*console.ToolHealth{}
	of := func(name string) *console.ToolHealth {
		if by[name] == nil {
			by[name] = &console.ToolHealth{Tool: name}
		}
		return by[name]
	}
	for _, b := range backlogs {
		t := of(b.Tool)
		t.Rungs = append(t.Rungs, console.RungHealth{Rung: b.Rung, Waiting: b.Waiting, Queued: int(b.Pending), InFlight: int(b.InFlight)})
		t.Served = t.Served || b.Waiting > 0 || b.InFlight > 0
	}
	for _, l := range letters {
		if l.Tool != "" {
			of(l.Tool).Parked++
		}
	}
	return sorted(by), nil
}

func sorted(by map[string]*console.ToolHealth) []console.ToolHealth {
	list := make([]console.ToolHealth, 0, len(by))
	for _, t := range by {
		slices.SortFunc(t.Rungs, func(a, b console.RungHealth) int { return strings.Compare(a.Rung, b.Rung) })
		list = append(list, *t)
	}
	slices.SortFunc(list, func(a, b console.ToolHealth) int { return strings.Compare(a.Tool, b.Tool) })
	return list
}
