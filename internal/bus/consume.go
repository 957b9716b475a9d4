package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"belay/internal/wire"
)

// Consumption is a consumer at work. It outlives lost connections, restarts of the server, and its consumer being
// deleted, which is then made again.
type Consumption interface {
	Stop()                 // take no more; what was delivered stays the handler's, what waited in here goes back
	Done() <-chan struct{} // closed after Stop, or when the stream is gone or was changed: see the log
}

// ConsumeLog calls f for every event of a partition, in order, one at a time, as long as this connection is the one
// that the consumer is pinned to. The context is for the beginning only, here and below.
func (b *Bus) ConsumeLog(ctx context.Context, partition int, f func(Delivery)) (Consumption, error) {
	return b.consume(ctx, b.names.RunsStream(partition), b.logConsumer(), f,
		jetstream.PullPriorityGroup(wire.PinGroup), jetstream.PullMaxMessages(2048), jetstream.PullExpiry(2*time.Second), jetstream.PullHeartbeat(time.Second))
}

// ConsumeTimers calls f for every timer that has come due.
func (b *Bus) ConsumeTimers(ctx context.Context, f func(Delivery)) (Consumption, error) {
	due := func(d Delivery) {
		if _, is := d.Header[cancelled]; !is {
			f(d)
			return
		}
		if err := d.Ack(); err != nil {
			b.log.Debug("cancelled timer comes again", "subject", d.Subject, "error", err)
		}
	}
	return b.consume(ctx, b.names.TimersStream(), b.timerConsumer(), due,
		jetstream.PullMaxMessages(512), jetstream.PullExpiry(5*time.Second), jetstream.PullHeartbeat(time.Second))
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
	// The server's own default of 30 s stalls that long after a leader change; a heartbeat each second notices.
	return b.consume(ctx, b.names.StepsStream(), b.stepConsumer(tool, rung, o.AckWait), f,
		jetstream.PullMaxMessages(max(o.Prefetch, 16)), jetstream.PullExpiry(5*time.Second), jetstream.PullHeartbeat(time.Second))
}

func (b *Bus) consume(ctx context.Context, stream string, cfg jetstream.ConsumerConfig, f func(Delivery), opts ...jetstream.PullConsumeOpt) (Consumption, error) {
	c := &consumption{Bus: b, stream: stream, cfg: cfg, handle: f, stopped: make(chan struct{}), done: make(chan struct{})}
	c.opts = append(opts, jetstream.ConsumeErrHandler(func(_ jetstream.ConsumeContext, err error) { b.consumeTrouble(stream, cfg.Durable, err) }))
	pulling, err := c.start(ctx)
	if err != nil {
		return nil, err
	}
	go c.keep(pulling)
	return c, nil
}

// consumeTrouble tells of what needs somebody's eye. A pull that was lost or a pin that moved mends itself.
func (b *Bus) consumeTrouble(stream, consumer string, err error) {
	if errors.Is(err, jetstream.ErrNoHeartbeat) || errors.Is(err, jetstream.ErrPinIDMismatch) || errors.Is(err, jetstream.ErrConnectionClosed) {
		b.log.Debug("consumer reports", "stream", stream, "consumer", consumer, "error", err)
		return
	}
	b.log.Warn("consumer reports an error", "stream", stream, "consumer", consumer, "error", err)
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
		return nil, fmt.Errorf("stream %s: %w", b.names.StepsStream(), err)
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
		return nil, fmt.Errorf("consumers of %s: %w", b.names.StepsStream(), err)
	}
	return all, nil
}
