package dispatch

import (
	"context"
	"time"

	"belay/internal/steps"
	"belay/internal/wire"
)

// wakeEvery is how often a dispatcher that does not hold a partition looks whether anybody does.
const wakeEvery = 2 * time.Second

// waker sees to it that a partition with open runs is held by somebody. A pin is given only with an event; in a log
// where nothing happens after its dispatcher has died, nobody would take over, and no timer in memory would ever fire.
func (p *partition) waker(ctx context.Context) {
	if err := p.wake(ctx); err != nil && ctx.Err() == nil {
		p.log.Warn("cannot see whether anybody holds the partition; trying again", "error", err)
	}
	p.every(ctx, wakeEvery, "see whether anybody holds the partition", p.wake)
}

// wake appends an event to an open run if the partition is pinned to nobody. A Fired that comes too early changes
// nothing in the fold; its delivery takes the partition over.
func (p *partition) wake(ctx context.Context) error {
	held, err := p.holds(ctx)
	if err != nil || held {
		return err
	}
	idle, err := p.abandoned(ctx)
	if err != nil || !idle {
		return err
	}
	open, err := p.Bus.OpenRuns(ctx, p.p)
	if err != nil || len(open) == 0 {
		return err
	}
	// Asked again: the run may have been submitted just now, and then its own event takes the partition over.
	idle, err = p.abandoned(ctx)
	if err != nil || !idle {
		return err
	}
	_, err = p.Log.Append(ctx, open[0], steps.Fired{})
	return err
}

// abandoned reports whether nobody holds the partition and no event is on its way that would change that.
func (p *partition) abandoned(ctx context.Context) (bool, error) {
	c, err := p.Bus.JetStream().Consumer(ctx, p.stream(), wire.DispatcherConsumer)
	if err != nil {
		return false, err
	}
	info := c.CachedInfo()
	for _, g := range info.PriorityGroups {
		if g.Group == wire.PinGroup && g.PinnedClientID != "" {
			return false, nil
		}
	}
	return info.NumPending == 0 && info.NumAckPending == 0, nil
}
