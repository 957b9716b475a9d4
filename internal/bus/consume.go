package bus

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"belay/internal/wire"
)

// Consumption is a running consumer. It survives lost connections and restarts of the server, and makes its consumer again
// if that was deleted.
type Consumption interface {
	Stop()                 // accept no more messages; those that the handler has stay with it, the others go back to the server
	Done() <-chan struct{} // closed when nothing is delivered any more, after Stop or when the bus was closed
}

// How long pulls live. A pin must be renewed well within its lifetime; the server's default of 30 s would stall that long
// after a leader change. A heartbeat each second reveals a lost pull.
const (
	dispatcherExpiry = 2 * time.Second
	workerExpiry     = 5 * time.Second
	heartbeat        = time.Second
	logPrefetch      = 2048
	timerPrefetch    = 512
	leastPrefetch    = 16
	demandPause      = 5 * time.Millisecond // without demand, before pulls are withdrawn
)

// ConsumeLog calls f for every event of a partition, in order, one at a time, while the consumer is pinned to this
// connection. Here and below, the context is only for the start.
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
			b.logger.Debug("a cancelled timer will be redelivered", "error", err)
		}
	}
	p := pull{Batch: timerPrefetch, Expires: workerExpiry, Heartbeat: heartbeat}
	return b.consume(ctx, b.names.TimersStream(), b.timerConsumer(), p, due)
}

// StepsOptions say how a worker pulls step messages.
type StepsOptions struct {
	Prefetch int           // messages in hand besides those executing; at least 16
	AckWait  time.Duration // how long a message stays with a worker that sends no heartbeat; default 30 s
	Demand   *Demand       // in place of Prefetch, for a number of messages that changes; nil = Prefetch
}

// ConsumeSteps calls f for every message of one (tool, rung). The consumer is shared by all workers; the first makes it.
func (b *Bus) ConsumeSteps(ctx context.Context, tool, rung string, o StepsOptions, f func(Delivery)) (Consumption, error) {
	if o.AckWait <= 0 {
		o.AckWait = 30 * time.Second
	}
	p := pull{Batch: max(o.Prefetch, leastPrefetch), Expires: workerExpiry, Heartbeat: heartbeat, demand: o.Demand}
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

// Backlog is the state of the queue of one (tool, rung).
type Backlog struct {
	Tool, Rung string        // of the queued steps
	Pending    uint64        // messages that no worker has
	InFlight   uint64        // messages that a worker has in hand or had when it died, or that are parked
	Waiting    int           // pulls that wait for messages; if there are any, a worker serves it
	AckWait    time.Duration // how long a message stays with a worker that sends no heartbeat
	Last       uint64        // sequence of the last message of the whole queue, before the rest was asked for
	Floor      uint64        // sequence up to which all messages of the rung are acknowledged
}

// Backlogs lists one entry per step consumer.
func (b *Bus) Backlogs(ctx context.Context) ([]Backlog, error) {
	list, last, err := b.stepConsumers(ctx)
	if err != nil {
		return nil, err
	}
	var all []Backlog
	for _, c := range list {
		tool, rung, ok := b.names.ParseStepFilter(c.Config.FilterSubject)
		if !ok {
			continue
		}
		all = append(all, Backlog{Tool: tool, Rung: rung, Pending: c.NumPending, InFlight: uint64(c.NumAckPending), Waiting: c.NumWaiting, AckWait: c.Config.AckWait, Last: last, Floor: c.AckFloor.Stream})
	}
	return all, nil
}

// stepConsumers lists the consumers of the step queue, and returns the sequence of its last message before that.
func (b *Bus) stepConsumers(ctx context.Context) (all []*jetstream.ConsumerInfo, last uint64, err error) {
	s, err := b.stream(ctx, b.names.StepsStream())
	if err != nil {
		return nil, 0, fmt.Errorf("stream %s: %w", b.names.StepsStream(), b.away(err))
	}
	list := s.ListConsumers(ctx)
	for c := range list.Info() {
		all = append(all, c)
	}
	if err := list.Err(); err != nil {
		return nil, 0, fmt.Errorf("consumers of %s: %w", b.names.StepsStream(), b.away(err))
	}
	return all, s.CachedInfo().State.LastSeq, nil
}
