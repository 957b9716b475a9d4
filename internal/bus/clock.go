package bus

import (
	"context"
	"fmt"
	"time"
)

// Clock knows what time it is at the server, whose time is the log's, from one answer of it: since then this process's
// monotonic clock counts, so that a wrong clock of this machine, or one that is set, changes nothing. The zero Clock is this
// machine's. The servers of a cluster are taken to have one time.
type Clock struct {
	at              time.Time // what the server said
	asked, answered time.Time // it was between these
}

// AskTime asks the server what time it is.
func (b *Bus) AskTime(ctx context.Context) (Clock, error) {
	asked := time.Now()
	info, err := b.streamInfo(ctx, b.names.RunsStream(0), "", 0)
	if err != nil {
		return Clock{}, fmt.Errorf("ask the server what time it is: %w", b.away(err))
	}
	return NewClock(info.Now, asked, time.Now()), nil
}

// NewClock is the clock of a server that said what time it was when it was asked, and answered, at two moments of this
// process.
func NewClock(at, asked, answered time.Time) Clock { return Clock{at, asked, answered} }

// Earliest is the server's time at a moment of this process, or a little before that.
func (c *Clock) Earliest(here time.Time) time.Time {
	if c.at.IsZero() {
		return here
	}
	return c.at.Add(here.Sub(c.answered))
}

// Latest is the server's time at a moment of this process, or a little after that.
func (c *Clock) Latest(here time.Time) time.Time {
	if c.at.IsZero() {
		return here
	}
	return c.at.Add(here.Sub(c.asked))
}
