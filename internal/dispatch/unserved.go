package dispatch

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"belay/internal/bus"
	"belay/internal/steps"
	"belay/internal/wire"
)

// route is a tool and one of its rungs: one consumer of the step queue.
type route struct{ tool, rung string }

// routes are the routes for which this dispatcher has queued steps.
type routes struct {
	mu   sync.RWMutex
	seen map[route]struct{}
}

func newRoutes() *routes { return &routes{seen: make(map[route]struct{})} }

func (t *routes) add(r route) {
	t.mu.RLock()
	_, ok := t.seen[r]
	t.mu.RUnlock()
	if ok {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seen[r] = struct{}{}
}

func (t *routes) all() []route {
	t.mu.RLock()
	defer t.mu.RUnlock()
	list := make([]route, 0, len(t.seen))
	for r := range t.seen {
		list = append(list, r)
	}
	return list
}

// Unserved is a rung that no worker serves although steps of it are queued.
type Unserved struct {
	Tool, Rung string    // of the tools file
	Steps      uint64    // in the queue
	Since      time.Time // since when, without interruption
	Asks       time.Time // when their runs ask people; both are times of the server, and in this process's list of this process
}

// missing are the rungs that no worker serves, as they were last seen.
type missing struct {
	mu    sync.Mutex
	list  map[route]*Unserved
	quiet map[route]*quiet // used only by watchServed
}

func newMissing() *missing {
	return &missing{list: make(map[route]*Unserved), quiet: make(map[route]*quiet)}
}

// unasked is the queued steps that no worker pulls.
type unasked struct {
	steps uint64
	since time.Time
}

// Unserved lists the rungs that no worker serves. One that was seen only once is not among them yet: a worker that has just
// pulled its last batch looks like that for a moment.
func (d *Dispatcher) Unserved() []Unserved {
	d.missing.mu.Lock()
	defer d.missing.mu.Unlock()
	var list []Unserved
	clock := d.Bus.Clock()
	for _, u := range d.missing.list {
		if u.Steps > 0 {
			list = append(list, Unserved{Tool: u.Tool, Rung: u.Rung, Steps: u.Steps, Since: clock.Now(u.Since), Asks: clock.Now(u.Asks)})
		}
	}
	slices.SortFunc(list, func(a, b Unserved) int { return cmp.Or(cmp.Compare(a.Tool, b.Tool), cmp.Compare(a.Rung, b.Rung)) })
	return list
}

// serveEvery is how often the queue is looked at.
func (d *Dispatcher) serveEvery() time.Duration {
	return min(max(d.UnservedAfter/40, 10*time.Millisecond), 1500*time.Millisecond)
}

// watchServed looks for queued steps that no worker pulls: [Dispatcher.Unserved] lists them within seconds, and after
// UnservedAfter their runs are notified, so that they ask a person instead of hanging silently. Those that the queue has lost are queued
// again.
func (d *Dispatcher) watchServed(ctx context.Context) {
	d.every(ctx, d.serveEvery(), "look for steps that no worker serves", func(ctx context.Context) error {
		asked := time.Now()
		backlogs, err := d.Bus.Backlogs(ctx)
		if err != nil {
			return err
		}
		if err := d.lookForOverlooked(ctx, asked, backlogs); err != nil {
			return err
		}
		idle, err := d.unserved(ctx, backlogs)
		if err != nil {
			return err
		}
		for _, r := range d.seen(idle) {
			err := errors.Join(d.tellUnserved(ctx, r), d.tellAbandoned(ctx, r))
			if err != nil && ctx.Err() == nil {
				d.Logger.Warn("could not notify runs that no worker serves them; trying again", "tool", r.tool, "rung", r.rung, "error", err)
			}
		}
		return nil
	})
}

// seen notes what is unserved now, and lists those for which that has lasted long enough.
func (d *Dispatcher) seen(all map[route]unasked) (over []route) {
	d.missing.mu.Lock()
	defer d.missing.mu.Unlock()
	maps.DeleteFunc(d.missing.list, func(r route, _ *Unserved) bool { return all[r].steps == 0 })
	for r, waits := range all {
		u := d.missing.list[r]
		if u == nil {
			d.missing.list[r] = &Unserved{Tool: r.tool, Rung: r.rung, Since: waits.since, Asks: waits.since.Add(d.UnservedAfter)}
			continue
		}
		if u.Steps == 0 {
			d.Logger.Warn("no worker serves this tool: start one that does, or the steps go to a person",
				"tool", r.tool, "rung", r.rung, "steps", waits.steps, "at", u.Asks)
		}
		if u.Steps = waits.steps; !time.Now().Before(u.Asks) {
			over = append(over, r)
		}
	}
	return over
}

// unserved returns the routes with queued steps that no worker pulls or has in hand.
func (d *Dispatcher) unserved(ctx context.Context, backlogs []bus.Backlog) (map[route]unasked, error) {
	now := time.Now()
	all := make(map[route]unasked)
	consumed := make(map[route]bool, len(backlogs))
	for _, b := range backlogs {
		r := route{b.Tool, b.Rung}
		consumed[r] = true
		switch {
		case b.Waiting > 0 || b.InFlight == 0:
			delete(d.missing.quiet, r)
			if b.Waiting == 0 && b.Pending > 0 {
				all[r] = unasked{b.Pending, now}
			}
		default:
			q, err := d.lookAtQuiet(ctx, r, b.AckWait)
			if err != nil {
				return nil, err
			}
			if q.abandoned {
				all[r] = unasked{b.Pending + b.InFlight, q.since}
			}
		}
	}
	for _, r := range d.routes.all() {
		if consumed[r] {
			continue
		}
		queued, err := d.queuedFor(ctx, r)
		if err != nil {
			return nil, err
		}
		if len(queued) > 0 {
			all[r] = unasked{uint64(len(queued)), now}
		}
	}
	return all, nil
}

func (d *Dispatcher) queuedFor(ctx context.Context, r route) ([]string, error) {
	return d.Bus.Subjects(ctx, d.names.StepsStream(), d.names.StepFilter(r.tool, r.rung))
}

// tellUnserved appends Unserved to the logs of all runs in memory whose attempts wait for the route. Runs that are not
// in memory belong to another dispatcher, which does the same.
func (d *Dispatcher) tellUnserved(ctx context.Context, r route) error {
	subjects, err := d.queuedFor(ctx, r)
	if err != nil {
		return err
	}
	for _, s := range subjects {
		_, _, run, attempt, ok := d.names.ParseStep(s)
		if !ok {
			continue
		}
		p := d.parts[wire.Partition(run, len(d.parts))]
		p.box.call(func() { p.unservedAttempt(run, attempt) })
	}
	return nil
}

func (p *partition) unservedAttempt(id string, a steps.Attempt) {
	r := p.runs[id]
	if r == nil || !r.live() || !r.hasSent(a) {
		return
	}
	name := a.Step + "/" + a.Token()
	if r.knows(unservedWord, name) {
		return
	}
	r.note(unservedWord, name)
	p.append(r, steps.Unserved{Attempt: a}, func(err error) {
		if err != nil {
			p.complain(r.id, err)
			delete(r.made, made{unservedWord, name})
		}
	})
}
