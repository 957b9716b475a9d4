package web

import (
	"context"
	"log/slog"
	"sync"

	"belay/internal/bus"
	"belay/internal/console"
	"belay/internal/handoff"
	"belay/internal/runlog"
	"belay/internal/steps"
	"belay/internal/wire"
)

// changes tells open pages what has changed: new questions, decisions, runs that begin and end. It follows the streams
// once for all pages.
type changes struct {
	mu   sync.Mutex
	subs map[chan console.Change]struct{}
}

// room is how many changes a page may be behind before it is told to look at everything anew.
const room = 256

// Subscribe implements [console.Changes].
func (c *changes) Subscribe(ctx context.Context) <-chan console.Change {
	sub := make(chan console.Change, room)
	c.mu.Lock()
	c.subs[sub] = struct{}{}
	c.mu.Unlock()
	context.AfterFunc(ctx, func() { c.drop(sub) })
	return sub
}

func (c *changes) drop(sub chan console.Change) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, there := c.subs[sub]; there {
		delete(c.subs, sub)
		close(sub)
	}
}

// tell gives a change to every page; one that is too slow loses its channel instead of holding the others.
func (c *changes) tell(ch console.Change) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for sub := range c.subs {
		select {
		case sub <- ch:
		default:
			delete(c.subs, sub)
			close(sub)
		}
	}
}

// follow feeds the pages until ctx ends.
func (c *changes) follow(ctx context.Context, b *bus.Bus, log *slog.Logger) {
	var wg sync.WaitGroup
	one := func(stream, subject string, f func(bus.Entry)) {
		wg.Go(func() {
			if err := b.FollowNew(ctx, stream, subject, func() {}, f); err != nil && ctx.Err() == nil {
				log.Warn("open pages are not told of all that changes; reload them", "stream", stream, "error", err)
			}
		})
	}
	names := b.Names()
	one(names.EscalationsStream(), names.EscalationsSubjects(), func(e bus.Entry) {
		if _, _, id, ok := names.ParseEscalation(e.Subject); ok {
			c.tell(console.Change{Kind: console.ItemChanged, ID: id})
		}
	})
	wg.Go(func() { c.redrives(ctx, b, log) })
	for p := range b.Partitions() {
		one(names.RunsStream(p), names.LogKind(p, wire.KindDecision), func(e bus.Entry) { c.decided(e) })
		for _, kind := range []string{wire.KindPlan, wire.KindResult} {
			one(names.RunsStream(p), names.LogKind(p, kind), func(e bus.Entry) { c.run(names, e) })
		}
	}
	wg.Wait()
}

func (c *changes) decided(e bus.Entry) {
	ev, err := wire.DecodeEvent(wire.KindDecision, e.Data)
	d, ok := ev.(steps.Decided)
	if err != nil || !ok {
		return
	}
	c.tell(console.Change{Kind: console.ItemChanged, ID: d.Escalation})
	if run, _ := runlog.LetterRun(d.Escalation); run != "" {
		c.tell(console.Change{Kind: console.RunChanged, ID: run})
	}
}

func (c *changes) run(names wire.Names, e bus.Entry) {
	if _, run, _, ok := names.ParseLog(e.Subject); ok {
		c.tell(console.Change{Kind: console.RunChanged, ID: run})
	}
}

// redrives tells of what is decided for many at once.
func (c *changes) redrives(ctx context.Context, b *bus.Bus, log *slog.Logger) {
	bucket, err := handoff.OpenBatches(ctx, b)
	if err == nil {
		err = bucket.WatchNew(ctx, func(it bus.Item) { c.tell(console.Change{Kind: console.BatchChanged, ID: it.Key}) })
	}
	if err != nil && ctx.Err() == nil {
		log.Warn("open pages are not told how far redrives are; reload them", "error", err)
	}
}
