package bus

import (
	"context"
	"time"
)

// How often the server is asked what time it is: clocks drift, and are set. When something looks as if one had been, it is asked
// at once, at most so often.
const (
	askTimeEvery = 30 * time.Second
	askTimeRest  = time.Second
	lookEvery    = 5 * time.Second // at this machine's clock, which costs nothing
)

// Suspicious differences: clocks that differ by more were set meanwhile, or this process stood still.
const (
	stepped = 500 * time.Millisecond
	lateBy  = 5 * time.Second
)

// keepTime begins to follow the server's time.
func (b *Bus) keepTime() { b.following.Do(func() { go b.followTime() }) }

// followTime asks the server what time it is until the bus is closed: every now and then, after each reconnect, and when the machine's
// clock or the server's seems to have been set. Without an answer, what was known goes on to hold.
func (b *Bus) followTime() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		<-b.left
		cancel()
	}()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	asked, watch := time.Now(), time.Now()
	for {
		now, doubt := time.Now(), false
		select {
		case <-ctx.Done():
			return
		case <-b.doubt:
			doubt = true
			pauseUntil(ctx, asked.Add(askTimeRest))
		case now = <-tick.C:
		}
		set := now.Round(0).Sub(watch.Round(0)) - now.Sub(watch) // how far this machine's clock was set
		watch = now
		if !doubt && max(set, -set) < stepped && now.Sub(asked) < askTimeEvery {
			continue
		}
		if _, err := b.AskTime(ctx); err != nil && ctx.Err() == nil {
			b.logger.Debug("the server does not say what time it is; trying again", "error", err)
		}
		asked = time.Now()
	}
}

func pauseUntil(ctx context.Context, at time.Time) {
	t := time.NewTimer(time.Until(at))
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// doubtTime has the server be asked what time it is soon.
func (b *Bus) doubtTime() {
	select {
	case b.doubt <- struct{}{}:
	default:
	}
}

// Arrived notes when the server stored an entry that has just arrived for the first time. One from the future, or one that is
// late, may mean that the server's clock was set.
func (b *Bus) Arrived(at time.Time) {
	c, now := b.clock.Load(), time.Now()
	if c.Known() && (at.Sub(c.Latest(now)) > stepped || c.Earliest(now).Sub(at) > lateBy) {
		b.doubtTime()
	}
}
