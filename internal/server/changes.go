package server

import (
	"context"
	"log/slog"
	"sync"

	"belay/internal/bus"
	"belay/internal/handoff"
	"belay/internal/runlog"
	"belay/internal/server/pages"
	"belay/internal/steps"
	"belay/internal/wire"
)

// follower tells open pages what has changed: new escalations, decisions, runs that begin and end. It follows the
// streams once for all pages.
type follower struct {
	bus     *bus.Bus
	changes *pages.Changes
	logger  *slog.Logger
}

// run feeds the pages until ctx ends.
func (f follower) run(ctx context.Context) {
	var wg sync.WaitGroup
	names := f.bus.Names()
	one := func(stream, subject string, hear func(bus.Entry)) {
		wg.Go(func() {
			if err := f.bus.FollowNew(ctx, stream, subject, func() {}, hear); err != nil && ctx.Err() == nil {
				f.logger.Warn("open pages are not told of all that changes; reload them", "stream", stream, "error", err)
			}
		})
	}
	one(names.EscalationsStream(), names.EscalationsSubjects(), func(e bus.Entry) {
		if _, _, id, ok := names.ParseEscalation(e.Subject); ok {
			f.changes.Tell(pages.Change{Kind: pages.ItemChanged, ID: id})
		}
	})
	wg.Go(func() { f.redrives(ctx) })
	for p := range f.bus.Partitions() {
		one(names.RunsStream(p), names.LogKind(p, wire.KindDecision), f.decided)
		for _, kind := range []string{wire.KindPlan, wire.KindResult} {
			one(names.RunsStream(p), names.LogKind(p, kind), f.moved)
		}
	}
	wg.Wait()
}

// decided tells of a decision about an escalation, and of the run that a decision about a dead letter moves on.
func (f follower) decided(e bus.Entry) {
	_, ev, err := runlog.Parse(f.bus.Names(), e)
	d, ok := ev.(steps.Decided)
	if err != nil || !ok {
		return
	}
	f.changes.Tell(pages.Change{Kind: pages.ItemChanged, ID: d.Escalation})
	if run, _, ok := steps.ParseDeadLetterID(d.Escalation); ok {
		f.changes.Tell(pages.Change{Kind: pages.RunChanged, ID: run})
	}
}

// moved tells of a run that began or ended.
func (f follower) moved(e bus.Entry) {
	if _, run, _, ok := f.bus.Names().ParseLog(e.Subject); ok {
		f.changes.Tell(pages.Change{Kind: pages.RunChanged, ID: run})
	}
}

// redrives tells how far redrives are.
func (f follower) redrives(ctx context.Context) {
	bucket, err := handoff.OpenRedrives(ctx, f.bus)
	if err == nil {
		err = bucket.WatchNew(ctx, func(it bus.Item) { f.changes.Tell(pages.Change{Kind: pages.RedriveChanged, ID: it.Key}) })
	}
	if err != nil && ctx.Err() == nil {
		f.logger.Warn("open pages are not told how far redrives are; reload them", "error", err)
	}
}
