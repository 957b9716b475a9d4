package dispatch

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"time"
)

// partition is one partition of the log: its goroutine owns all runs in it.
type partition struct {
	*Dispatcher
	p    int
	log  *slog.Logger
	work context.Context // for what must go on while the dispatcher drains
	box  *mailbox

	runs    map[string]*run
	putting map[string]*putting // letters on their way, by id
	out     int                 // publishes and purges that have not answered, of all runs

	// The pin under which events come. See the package comment on which events are new.
	pinned    bool
	pin       string
	note      uint64 // the log's last sequence when the pin changed; the largest number until it is known
	delivered uint64 // the largest sequence delivered under this pin
	seen      progress

	reads   int    // logs being read
	toRead  []*run // runs whose log is to be read
	later   []redo // runs to be read later, after a failure
	clock   clock
	due     schedule
	unsaved []unsaved // timers that may have to be made durable

	listed    *listing      // while open runs are swept after a take-over
	taken     chan struct{} // holds one word: the partition was taken over
	complains time.Time     // no complaint about failed publishes before
}

func newPartition(d *Dispatcher, p int) *partition {
	return &partition{
		Dispatcher: d, p: p, log: d.Logger.With("partition", p), box: newMailbox(),
		runs: make(map[string]*run), putting: make(map[string]*putting), taken: make(chan struct{}, 1),
	}
}

// run turns the loop until ctx ends and then drains it.
func (p *partition) run(ctx, work context.Context) {
	p.work = work
	consumed := make(chan struct{})
	go func() {
		defer close(consumed)
		p.consume(ctx)
	}()
	clock := time.NewTimer(0)
	defer clock.Stop()
	var m mail
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

// turn handles all mail. Answers come first: they free memory and acknowledge.
func (p *partition) turn(m mail) mail {
	m = p.box.take(m)
	for _, a := range m.answers {
		p.answered(a)
	}
	for _, f := range m.calls {
		f()
	}
	for _, d := range m.events {
		p.take(d)
	}
	return m
}

// drain goes on until nothing is on its way, or for as long as a stop may take.
func (p *partition) drain(m mail) {
	timeout := time.NewTimer(p.DrainTimeout)
	defer timeout.Stop()
	m = p.turn(m)
	for p.out > 0 || p.reads > 0 {
		select {
		case <-p.box.wake:
			m = p.turn(m)
		case <-timeout.C:
			p.log.Warn("stopped before everything on its way was stored; whoever takes over does it", "publishes", p.out)
			return
		}
	}
}

// consume takes events from the log until ctx ends, and starts again when the consumer was taken away.
func (p *partition) consume(ctx context.Context) {
	for ctx.Err() == nil {
		c, err := p.Bus.ConsumeLog(ctx, p.p, p.box.event)
		if err != nil && ctx.Err() != nil {
			return
		}
		if err != nil {
			p.log.Error("cannot consume the log; trying again", "error", err)
			pause(ctx, time.Second)
			continue
		}
		select {
		case <-ctx.Done():
			c.Stop()
			<-c.Done()
		case <-c.Done():
			p.log.Warn("the log's consumer ended; starting it again")
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

// newPin forgets every fold: while another dispatcher had the pin, the log went on without them.
func (p *partition) newPin(pin string) {
	p.log.Info("took the partition over", "pin", pin)
	p.forgetAll()
	p.listed = nil
	p.pinned, p.pin, p.delivered, p.note = true, pin, 0, math.MaxUint64
	p.clock = clock{}
	go p.takeNote(pin)
	select {
	case p.taken <- struct{}{}:
	default:
	}
}

// takeNote finds out where the log ended at the take-over. Until that is known no event is new.
func (p *partition) takeNote(pin string) {
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
		p.log.Warn("cannot read where the log ends; trying again", "error", err)
		pause(p.work, time.Second)
	}
}

func (p *partition) forgetAll() {
	for _, r := range p.runs {
		p.forget(r)
	}
}

// release forgets everything when the partition's events have gone to another dispatcher, so that their timers are no
// longer kept here too.
func (p *partition) release() {
	p.log.Info("lost the partition to another dispatcher")
	p.forgetAll()
	p.pinned, p.pin = false, ""
}

// complain logs a failure, but not each of thousands with the same cause.
func (p *partition) complain(run string, err error) {
	now := time.Now()
	if now.Before(p.complains) || errors.Is(err, context.Canceled) {
		return
	}
	p.complains = now.Add(time.Second)
	p.log.Warn("could not store what an event caused; it will be done again", "run_id", run, "error", err)
}

// stream is the log stream of this partition.
func (p *partition) stream() string { return p.names.RunsStream(p.p) }
