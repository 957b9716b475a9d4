package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"belay/internal/bus"
)

// fleet is who runs now.
type fleet struct {
	dispatchers []bus.Dispatcher
	workers     []bus.Worker
	err         error
}

func (e *examination) meet(ctx context.Context) *fleet {
	e.once.Do(func() {
		var wg sync.WaitGroup
		var first, second error
		wg.Go(func() { e.fleet.dispatchers, first = e.Bus.Dispatchers(ctx) })
		wg.Go(func() { e.fleet.workers, second = e.Bus.Workers(ctx) })
		wg.Wait()
		e.fleet.err = errors.Join(first, second)
	})
	return &e.fleet
}

func (e *examination) dispatchers(ctx context.Context) []Finding {
	const check = "dispatchers"
	f := e.meet(ctx)
	switch {
	case f.err != nil:
		return failed(check, f.err)
	case len(f.dispatchers) > 0:
		var names []string
		for _, d := range f.dispatchers {
			names = append(names, d.Name)
		}
		return one(check, OK, fmt.Sprintf("%d: %s", len(names), strings.Join(names, ", ")), "")
	case e.Embedded:
		return one(check, OK, "none runs; commands like `dispatcher run` bring their own", "")
	}
	return one(check, Fail, "none answers: no run moves on", "start `dispatcher serve`; it takes over what was left")
}

func (e *examination) workers(ctx context.Context) []Finding {
	const check = "workers"
	f := e.meet(ctx)
	if f.err != nil {
		return failed(check, f.err)
	}
	served := map[string]bool{}
	for _, w := range f.workers {
		for _, s := range w.Serves {
			served[s] = true
		}
	}
	var all []Finding
	waiting := map[string]bool{}
	for _, u := range bus.UnservedBy(f.dispatchers) {
		rung := u.Tool + "/" + u.Rung
		waiting[rung] = true
		all = append(all, Finding{check, Fail, fmt.Sprintf("%s of %s, since %s, and no worker serves it", waits(u.Steps), rung, u.Since.Local().Format("15:04:05")), "start a worker whose tools file has it: worker --tools FILE"})
	}
	var missing []string
	for _, rung := range e.Serves {
		if !served[rung] && !waiting[rung] {
			missing = append(missing, rung)
		}
	}
	if len(missing) > 0 {
		all = append(all, Finding{check, Warn, fmt.Sprintf("no worker serves %s of %s", strings.Join(missing, ", "), e.File), "start a worker with that file: worker --tools " + e.File})
	}
	if len(all) > 0 {
		return all
	}
	switch {
	case len(f.workers) == 0 && !e.Embedded:
		return one(check, Warn, "none runs; no step waits for one now", "start one: worker --tools FILE")
	case len(f.workers) == 0:
		return one(check, OK, "none runs; commands like `dispatcher run` bring their own", "")
	}
	return one(check, OK, fmt.Sprintf("%s, for %s", count(len(f.workers), "worker", "workers"), count(len(served), "rung", "rungs")), "")
}

func waits(steps uint64) string { return count(int(steps), "step waits", "steps wait") }

// versions compares the versions of all programs that run now.
func (e *examination) versions(ctx context.Context) []Finding {
	const check = "versions"
	f := e.meet(ctx)
	if f.err != nil {
		return nil // and said so
	}
	by := map[string][]string{e.Version: {"this program"}}
	for _, d := range f.dispatchers {
		by[d.Version] = append(by[d.Version], d.Name)
	}
	for _, w := range f.workers {
		by[w.Version] = append(by[w.Version], w.Name)
	}
	if len(by) == 1 {
		return one(check, OK, "everything that runs is "+orNone(e.Version), "")
	}
	var lines []string
	for v, names := range by {
		slices.Sort(names)
		lines = append(lines, orNone(v)+": "+strings.Join(slices.Compact(names), ", "))
	}
	slices.Sort(lines)
	return one(check, Warn, strings.Join(lines, "; "), "finish the upgrade: an older program may lack checks that a newer one has")
}

func orNone(version string) string {
	if version == "" {
		return "(no version)"
	}
	return version
}

// channelWait is how long a channel has to answer.
const channelWait = 10 * time.Second

func (e *examination) channels(ctx context.Context) []Finding {
	all := make([]Finding, len(e.Channels))
	var wg sync.WaitGroup
	for i, c := range e.Channels {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, channelWait)
			defer cancel()
			check := "channel " + c.Name
			if seen, err := c.Reach(ctx); err != nil {
				all[i] = Finding{check, Fail, err.Error(), "people get no notices by it; try it with `dispatcher notify test " + c.Name + "`"}
			} else {
				all[i] = Finding{check, OK, seen, ""}
			}
		})
	}
	wg.Wait()
	return all
}
