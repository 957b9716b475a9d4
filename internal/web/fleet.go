package web

import (
	"context"
	"slices"
	"strings"

	"belay/internal/bus"
	"belay/internal/console"
	"belay/internal/dlq"
)

// fleet says how the tools are served, by what their queues look like.
type fleet struct {
	bus     *bus.Bus
	letters *dlq.Box
}

// Tools implements [console.Fleet].
func (f fleet) Tools(ctx context.Context) ([]console.ToolHealth, error) {
	backlogs, err := f.bus.Backlogs(ctx)
	if err != nil {
		return nil, err
	}
	letters, err := f.letters.List(ctx)
	if err != nil {
		return nil, err
	}
	tools := map[string]*console.ToolHealth{}
	of := func(name string) *console.ToolHealth {
		if tools[name] == nil {
			tools[name] = &console.ToolHealth{Tool: name}
		}
		return tools[name]
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
	return sorted(tools), nil
}

func sorted(tools map[string]*console.ToolHealth) []console.ToolHealth {
	list := make([]console.ToolHealth, 0, len(tools))
	for _, t := range tools {
		slices.SortFunc(t.Rungs, func(a, b console.RungHealth) int { return strings.Compare(a.Rung, b.Rung) })
		list = append(list, *t)
	}
	slices.SortFunc(list, func(a, b console.ToolHealth) int { return strings.Compare(a.Tool, b.Tool) })
	return list
}
