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

// NewClock is the clock of a server that said what time it was when it was asked, and answered, at two moments of this
// process.
func NewClock(at, asked, answered time.Time) Clock { return Clock{at, asked, answered} }

// Known reports whether the server has said what time it is.
func (c *Clock) Known() bool { return !c.at.IsZero() }

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

// Now is the server's time at a moment of this process: the middle between [Clock.Earliest] and [Clock.Latest].
func (c *Clock) Now(here time.Time) time.Time {
	if c.at.IsZero() {
		return here
	}
	return c.at.Add(here.Sub(c.answered) + c.Within())
}

// Here is when a moment of the server's time has certainly come, as a moment of this process.
func (c *Clock) Here(at time.Time) time.Time {
	if c.at.IsZero() {
		return at
	}
	return c.answered.Add(at.Sub(c.at))
}

// Within is how wrong [Clock.Now] can be: half of what the server's answer took.
func (c *Clock) Within() time.Duration { return c.answered.Sub(c.asked) / 2 }

// Ahead is how far this machine's clock is ahead of the server's now; negative: behind it.
func (c *Clock) Ahead() time.Duration {
	here := time.Now()
	return here.Round(0).Sub(c.Now(here).Round(0))
}

// drift is how fast two clocks may part that are kept right, as a share: ten times what a usual quartz does.
const drift = 1e-3

// after is the better one of this clock and one that was made before it. One that was made of a quick answer stays for as long
// as the newer one does not contradict it.
func (c Clock) after(before *Clock) Clock {
	if before == nil || before.at.IsZero() {
		return c
	}
	part := time.Duration(float64(c.answered.Sub(before.answered)) * drift)
	from, to := before.Earliest(c.answered).Add(-part), before.Latest(c.answered).Add(part)
	contradicts := c.Earliest(c.answered).After(to) || c.Latest(c.answered).Before(from)
	if !contradicts && before.Within()+part < c.Within() {
		return *before
	}
	return c
}

// AskTime asks the server what time it is.
func (b *Bus) AskTime(ctx context.Context) (Clock, error) {
	if _, err := b.streamInfo(ctx, b.names.RunsStream(0), "", 0); err != nil {
		return Clock{}, fmt.Errorf("ask the server what time it is: %w", b.away(err))
	}
	return b.Clock(), nil
}

// Clock is what is known of the server's time: [Bus.Open] and [Bus.Setup] ask for it, and from then on it is kept right.
func (b *Bus) Clock() Clock { return *b.clock.Load() }

// Now is the server's time now, which is the log's, as well as it is known: before the first answer it is this machine's. It is
// what counts wherever a time is compared with one that another process, or the log, has written down.
func (b *Bus) Now() time.Time { return b.clock.Load().Now(time.Now()).UTC() }

// noteTime notes what time the server says it is, in an answer to what was asked at a moment.
func (b *Bus) noteTime(at, asked time.Time) {
	if at.IsZero() {
		return
	}
	b.timeMu.Lock()
	defer b.timeMu.Unlock()
	c := NewClock(at, asked, time.Now()).after(b.clock.Load())
	if b.opening != "" { // the server is part of this process, and has its clock, however long it took to answer
		now := time.Now()
		c = NewClock(now.Round(0), now, now)
	}
	b.clock.Store(&c)
	b.compareClocks(&c)
}

// A machine whose clock is this wrong is told about, once, and once more when it is right again.
const (
	wrongBy = time.Second
	rightBy = wrongBy / 2
)

// compareClocks says so when this machine's clock is wrong.
func (b *Bus) compareClocks(c *Clock) {
	ahead := c.Ahead()
	off := max(ahead, -ahead)
	switch {
	case !b.wrong && off-c.Within() >= wrongBy:
		b.wrong = true
		b.logger.Warn("this machine's clock is wrong; Belay goes by the server's, and the machine's should be set (NTP)",
			"clock", Off(ahead), "within", c.Within().Round(time.Millisecond))
	case b.wrong && off+c.Within() < rightBy:
		b.wrong = false
		b.logger.Info("this machine's clock is right again", "clock", Off(ahead))
	}
}

// Off says in words how far a clock is ahead of the server's.
func Off(ahead time.Duration) string {
	switch d := max(ahead, -ahead).Round(time.Millisecond); {
	case d == 0:
		return "the server's"
	case ahead < 0:
		return d.String() + " behind the server's"
	default:
		return d.String() + " ahead of the server's"
	}
}

var born = time.Now()

// uptime is for how long this process has lived, in nanoseconds: what passes between two of them does not depend on any clock
// that can be set.
func uptime() int64 { return int64(time.Since(born)) }
