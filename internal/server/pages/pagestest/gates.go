package pagestest

import (
	"context"
	"fmt"
	"slices"

	"belay/internal/breaker"
	"belay/internal/gates"
	"belay/internal/limits"
	"belay/internal/people"
)

// ListGates implements [pages.Gates].
func (w *World) ListGates(context.Context) ([]gates.Progress, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	list := []gates.Progress{}
	for _, g := range w.gates {
		p := gates.Progress{Gate: g}
		if g.Closed() {
			p.Runs, p.Held, p.Which = 1, 12, []string{"A-1009/charge/0-0-1"}
		}
		list = append(list, p)
	}
	return list, w.broken
}

// ListBreakers implements [pages.Gates].
func (w *World) ListBreakers(context.Context) ([]breaker.Record, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.Breakers, nil
}

// ListLimits implements [pages.Gates].
func (w *World) ListLimits(context.Context) ([]limits.Limit, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.Limits, nil
}

// CloseGate implements [pages.Gates].
func (w *World) CloseGate(_ context.Context, who people.Actor, g gates.Gate) (gates.Gate, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := who.May(people.CloseGate); err != nil {
		return g, fmt.Errorf("%w: %w", gates.ErrDenied, err)
	}
	g.ID, g.By, g.Via, g.Since = fmt.Sprintf("g%d", len(w.gates)+1), who.Name, who.Via, w.Now()
	if err := g.Check(); err != nil {
		return g, fmt.Errorf("%w: %w", gates.ErrWrong, err)
	}
	w.gates = append([]gates.Gate{g}, w.gates...)
	return g, w.refusal
}

// OpenGate implements [pages.Gates].
func (w *World) OpenGate(_ context.Context, who people.Actor, id, reason string) (gates.Gate, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := who.May(people.OpenGate); err != nil {
		return gates.Gate{}, fmt.Errorf("%w: %w", gates.ErrDenied, err)
	}
	i := slices.IndexFunc(w.gates, func(g gates.Gate) bool { return g.ID == id })
	switch {
	case i < 0:
		return gates.Gate{}, fmt.Errorf("gate %q: %w", id, gates.ErrNone)
	case !w.gates[i].Closed():
		return w.gates[i], fmt.Errorf("gate %s: %w", id, gates.ErrOpen)
	}
	w.gates[i].Opened = &gates.Opening{By: who.Name, Via: who.Via, Reason: reason, At: w.Now()}
	return w.gates[i], w.refusal
}

// ClosedGates implements [pages.Gates].
func (w *World) ClosedGates() (closed []gates.Gate) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, g := range w.gates {
		if g.Closed() {
			closed = append(closed, g)
		}
	}
	return closed
}
