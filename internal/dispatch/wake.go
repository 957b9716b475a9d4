package dispatch

import (
	"context"
	"time"

	"belay/internal/steps"
)

// wakeEvery is how often a dispatcher checks whether a partition that is not pinned to it is pinned to any.
const wakeEvery = 2 * time.Second

// waker makes sure that a partition with open runs is pinned to a dispatcher. The server assigns a pin only with an event:
// in a log without events after its dispatcher has died, no other would take over, and no timer in memory would ever fire.
func (p *partition) waker(ctx context.Context) {
	if err := p.wake(ctx); err != nil && ctx.Err() == nil {
		p.logger.Warn("cannot see whether any dispatcher has the partition; trying again", "error", err)
	}
	p.every(ctx, wakeEvery, "see whether any dispatcher has the partition", p.wake)
}

// wake appends an event to an open run if the partition is pinned to nobody. A Fired that comes too early changes
// nothing in the fold; its delivery takes the partition over.
func (p *partition) wake(ctx context.Context) error {
	here, err := p.pinnedHere(ctx)
	if err != nil || here {
		return err
	}
	idle, err := p.abandoned(ctx)
	if err != nil || !idle {
		return err
	}
	open, err := p.OpenRuns(ctx, p.p)
	if err != nil || len(open) == 0 {
		return err
	}
	// Checked twice: if the run was submitted just now, its own event takes the partition over.
	idle, err = p.abandoned(ctx)
	if err != nil || !idle {
		return err
	}
	_, err = p.Log.Append(ctx, open[0], steps.Fired{})
	return err
}

// abandoned reports whether the partition is not pinned, and no event is pending that would change that.
func (p *partition) abandoned(ctx context.Context) (bool, error) {
	c, err := p.Bus.LogConsumer(ctx, p.p)
	if err != nil {
		return false, err
	}
	return c.Pin == "" && c.Pending == 0 && c.InHand == 0, nil
}
