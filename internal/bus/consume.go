package bus

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"belay/internal/wire"
)

// Consumption is a consumer at work. It outlives lost connections, restarts of the server, and its consumer being
// deleted, which is then made again.
type Consumption interface {
	Stop()                 // take no more; what was delivered stays the handler's, what waited in here goes back
	Done() <-chan struct{} // closed after Stop, when nothing is delivered any more, or when the bus was closed
}

// How pulls live. A pin must be renewed well within its time; the server's own default of 30 s would stall that long
// after a leader change, and a heartbeat each second notices a lost pull.
const (
	dispatcherExpiry = 2 * time.Second
	workerExpiry     = 5 * time.Second
	heartbeat        = time.Second
	logPrefetch      = 2048
	timerPrefetch    = 512
	leastPrefetch    = 16
)

// ConsumeLog calls f for every event of a partition, in order, one at a time, as long as this connection is the one
// that the consumer is pinned to. The context is for the beginning only, here and below.
func (b *Bus) ConsumeLog(ctx context.Context, partition int, f func(Delivery)) (Consumption, error) {
	p := pull{Batch: logPrefetch, Expires: dispatcherExpiry, Heartbeat: heartbeat, Group: wire.PinGroup}
	return b.consume(ctx, b.names.RunsStream(partition), b.logConsumer(), p, f)
}

// ConsumeTimers calls f for every timer that has come due.
func (b *Bus) ConsumeTimers(ctx context.Context, f func(Delivery)) (Consumption, error) {
	due := func(d Delivery) {
		if _, is := d.Header[cancelled]; !is {
			f(d)
			return
		}
		if err := d.Ack(); err != nil {
			b.log.Debug("cancelled timer comes again", "error", err)
		}
	}
	p := pull{Batch: timerPrefetch, Expires: workerExpiry, Heartbeat: heartbeat}
	return b.consume(ctx, b.names.TimersStream(), b.timerConsumer(), p, due)
}

// StepsOptions say how a worker takes step messages.
type StepsOptions struct {
	Prefetch int           // messages in hand beside those executed; at least 16
	AckWait  time.Duration // how long a message stays without a word from its worker; default 30 s
}

// ConsumeSteps calls f for every message of one (tool, rung). The consumer is shared by all workers; the first makes it.
func (b *Bus) ConsumeSteps(ctx context.Context, tool, rung string, o StepsOptions, f func(Delivery)) (Consumption, error) {
	if o.AckWait <= 0 {
		o.AckWait = 30 * time.Second
	}
	p := pull{Batch: max(o.Prefetch, leastPrefetch), Expires: workerExpiry, Heartbeat: heartbeat}
	return b.consume(ctx, b.names.StepsStream(), b.stepConsumer(tool, rung, o.AckWait), p, f)
}

func (b *Bus) consume(ctx context.Context, stream string, cfg jetstream.ConsumerConfig, p pull, f func(Delivery)) (Consumption, error) {
	c := &consumption{Bus: b, stream: stream, cfg: cfg, pull: p, handle: f, stopped: make(chan struct{}), done: make(chan struct{})}
	l, err := c.start(ctx)
	if err != nil {
		return nil, err
	}
	go c.keep(l)
	return c, nil
}

// Backlog is how one (tool, rung) stands.
type Backlog struct {
	Tool, Rung string
	Pending    uint64 // messages that nobody has
	InFlight   uint64 // messages that a worker has, or that are parked
	Waiting    int    // pulls that wait for messages: somebody serves it
}

// Backlogs lists one entry per step consumer.
func (b *Bus) Backlogs(ctx context.Context) ([]Backlog, error) {
	s, err := b.js.Stream(ctx, b.names.StepsStream())
	if err != nil {
		return nil, fmt.Errorf("stream %s: %w", b.names.StepsStream(), b.away(err))
	}
	var all []Backlog
	list := s.ListConsumers(ctx)
	for c := range list.Info() {
		tool, rung, ok := b.names.ParseStepFilter(c.Config.FilterSubject)
		if !ok {
			continue
		}
		all = append(all, Backlog{Tool: tool, Rung: rung, Pending: c.NumPending, InFlight: uint64(c.NumAckPending), Waiting: c.NumWaiting})
	}
	if err := list.Err(); err != nil {
		return nil, fmt.Errorf("consumers of %s: %w", b.names.StepsStream(), b.away(err))
	}
	return all, nil
}
