package dispatch

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"sync/atomic"
	"time"
)

// partition is one partition of the log: its goroutine owns all runs in it.
type partition struct {
	*Dispatcher
	p      int
	logger *slog.Logger
	work   context.Context // for what must go on while the dispatcher drains
	box    *inbox

	runs    map[string]*run
	waits   map[string]struct{} // runs of which something is held back, see [Guard]
	gating  gating
	breaks  breaks
	waiters waiters
	doors   map[route]*door
	// limitedCalls are the calls that limits hold back, a moment ago.
	limitedCalls atomic.Pointer[map[Limited]int]
	putting      map[string]*putting // escalations that are being published, by id
	out          int                 // unanswered publishes and purges of all runs

	marksSeen uint64 // how far the janitor has looked for removal marks

	// The pin with which events are delivered. See the package comment on which events are new.
	pinned    bool
	pin       string
	note      uint64 // the log's last sequence when the pin changed; the largest number until it is known
	delivered uint64 // the largest sequence delivered under this pin
	seen      progress

	reads   int    // logs being read
	toRead  []*run // runs whose log is to be read
	later   []redo // runs to be read later, after a failure
	due     schedule
	unsaved []unsaved // timers that may have to be made durable

	listed    *listing      // while open runs are swept after a take-over
	takenOver chan struct{} // has a value if the partition was taken over and not swept since
	complains time.Time     // no log line about failed publishes before this time
}

func newPartition(d *Dispatcher, p int) *partition {
	return &partition{
		Dispatcher: d, p: p, logger: d.Logger.With("partition", p), box: newInbox(),
		runs: make(map[string]*run), putting: make(map[string]*putting), waits: make(map[string]struct{}), takenOver: make(chan struct{}, 1),
		gating: gating{forgotten: make(map[string]struct{}), caughtUp: d.Gates == nil},
		breaks: breaks{asks: make(map[string]struct{})}, doors: make(map[route]*door),
	}
}

// run runs the loop until ctx ends, and then drains it.
func (p *partition) run(ctx, work context.Context) {
	p.work = work
	consumed := make(chan struct{})
	go func() {
		defer close(consumed)
		p.consume(ctx)
	}()
	clock := time.NewTimer(0)
	defer clock.Stop()
	var m arrivals
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-p.box.wake:
			m = p.turn(m)
		case <-clock.C:
		}
		clock.Reset(p.tick(time.Now()))
	}
	<-consumed
	p.drain(m)
}

// turn handles everything that has arrived. Answers come first, because they free memory and acknowledge events.
func (p *partition) turn(m arrivals) arrivals {
	m = p.box.collect(m)
	for _, a := range m.answers {
		p.answered(a)
	}
	for _, f := range m.calls {
		f()
	}
	for _, d := range m.events {
		p.handle(d)
	}
	p.reportSoon()
	return m
}

// drain goes on until nothing is in flight, at most for DrainTimeout.
func (p *partition) drain(m arrivals) {
	timeout := time.NewTimer(p.DrainTimeout)
	defer timeout.Stop()
	m = p.turn(m)
	for p.out > 0 || p.reads > 0 {
		select {
		case <-p.box.wake:
			m = p.turn(m)
		case <-timeout.C:
			p.logger.Warn("stopped before every publish was confirmed; the dispatcher that takes over repeats them", "publishes", p.out)
			return
		}
	}
}

// consume consumes the log until ctx ends, and starts again if the consumer was deleted.
func (p *partition) consume(ctx context.Context) {
	for ctx.Err() == nil {
		c, err := p.Bus.ConsumeLog(ctx, p.p, p.box.event)
		if err != nil && ctx.Err() != nil {
			return
		}
		if err != nil {
			p.logger.Error("cannot consume the log; trying again", "error", err)
			pause(ctx, time.Second)
			continue
		}
		select {
		case <-ctx.Done():
			c.Stop()
			<-c.Done()
		case <-c.Done():
			p.logger.Warn("the log's consumer ended; starting it again")
			pause(ctx, time.Second)
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// do runs f in the partition's goroutine and waits for it.
func (p *partition) do(ctx context.Context, f func()) error {
	done := make(chan struct{})
	p.box.call(func() {
		defer close(done)
		f()
	})
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// newPin drops every fold: while another dispatcher had the pin, the log went on without them.
func (p *partition) newPin(pin string) {
	p.logger.Info("took the partition over", "pin", pin)
	p.forgetAll()
	p.listed = nil
	p.pinned, p.pin, p.delivered, p.note = true, pin, 0, math.MaxUint64
	p.gating.caughtUp = p.Gates == nil
	p.breaks.here.Store(true)
	p.Score.Took(p.p)
	go p.noteHead(pin)
	if era := p.gating.era; p.Gates != nil {
		go p.catchUp(era)
	}
	select {
	case p.takenOver <- struct{}{}:
	default:
	}
}

// noteHead reads where the log ended at the take-over. Until that is known, no event counts as new.
func (p *partition) noteHead(pin string) {
	for p.work.Err() == nil {
		seq, err := p.Bus.LastSeq(p.work, p.p)
		if err == nil {
			p.box.call(func() {
				if p.pin == pin {
					p.note = seq
				}
			})
			return
		}
		p.logger.Warn("cannot read where the log ends; trying again", "error", err)
		pause(p.work, time.Second)
	}
}

func (p *partition) forgetAll() {
	for _, r := range p.runs {
		p.forget(r)
	}
	clear(p.gating.forgotten)
	p.gating.complete, p.gating.reported = false, nil
	p.gating.waiting.Store(0)
	p.gating.era++
	p.leaveLines()
}

// release drops everything when another dispatcher gets the partition's events, so that no timer is kept twice.
func (p *partition) release() {
	p.logger.Info("lost the partition to another dispatcher")
	p.Score.Lost(p.p)
	p.forgetAll()
	clear(p.waits)
	clear(p.breaks.asks)
	p.breaks.here.Store(false)
	p.pinned, p.pin = false, ""
}

// complain logs a failure, at most once a second: thousands may have the same cause.
func (p *partition) complain(run string, err error) {
	now := time.Now()
	if now.Before(p.complains) || errors.Is(err, context.Canceled) {
		return
	}
	p.complains = now.Add(time.Second)
	p.logger.Warn("could not store what an event caused; trying again", "run_id", run, "error", err)
}

// stream is the log stream of this partition.
func (p *partition) stream() string { return p.names.RunsStream(p.p) }
