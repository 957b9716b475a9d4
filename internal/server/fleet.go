package server

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"belay/internal/bus"
	"belay/internal/dlq"
	"belay/internal/server/pages"
)

// tools finds out how the tools are served, from their queues.
type tools struct {
	bus         *bus.Bus
	escalations *dlq.Queue

	mu      sync.Mutex
	asked   time.Time
	workers []bus.Worker
}

// fresh is for how long an answer about the workers is given to everybody who asks.
const fresh = 2 * time.Second

// Workers are the workers that run now.
func (f *tools) Workers(ctx context.Context) ([]bus.Worker, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if time.Since(f.asked) < fresh {
		return f.workers, nil
	}
	all, err := f.bus.Workers(ctx)
	if err == nil {
		f.asked, f.workers = time.Now(), all
	}
	return all, err
}

// Tools returns how each tool is served that has a queue or an open escalation.
func (f *tools) Tools(ctx context.Context) ([]pages.ToolHealth, error) {
	backlogs, err := f.bus.Backlogs(ctx)
	if err != nil {
		return nil, err
	}
	escalations, err := f.escalations.List(ctx)
	if err != nil {
		return nil, err
	}
	by := map[string]*pages.ToolHealth{}
	of := func(name string) *pages.ToolHealth {
		if by[name] == nil {
			by[name] = &pages.ToolHealth{Tool: name}
		}
		return by[name]
	}
	for _, b := range backlogs {
		t := of(b.Tool)
		t.Rungs = append(t.Rungs, pages.RungHealth{Rung: b.Rung, Waiting: b.Waiting, Queued: int(b.Pending), InFlight: int(b.InFlight)})
		t.Served = t.Served || b.Waiting > 0 || b.InFlight > 0
	}
	for _, l := range escalations {
		if l.Tool != "" {
			of(l.Tool).Parked++
		}
	}
	return sorted(by), nil
}

func sorted(by map[string]*pages.ToolHealth) []pages.ToolHealth {
	list := make([]pages.ToolHealth, 0, len(by))
	for _, t := range by {
		slices.SortFunc(t.Rungs, func(a, b pages.RungHealth) int { return strings.Compare(a.Rung, b.Rung) })
		list = append(list, *t)
	}
	slices.SortFunc(list, func(a, b pages.ToolHealth) int { return strings.Compare(a.Tool, b.Tool) })
	return list
}
