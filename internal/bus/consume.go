package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"belay/internal/wire"
)

// Entry is a stored message.
type Entry struct {
	Seq     uint64
	Time    time.Time // the stream's own timestamp
	Subject string
	Header  map[string][]string
	Data    []byte
}

// Delivery is a message handed to a consumer. It stays the consumer's until it is acknowledged, parked, or its ack wait
// passes.
type Delivery struct {
	Entry
	Count uint64 // how often it was delivered; starts again at 1 when the server was killed
	Pin   string // the pin under which it came, on pinned consumers
	msg   jetstream.Msg
}

// Ack says that everything the message caused is stored. The word travels without an answer: if it is lost the message
// comes again.
func (d Delivery) Ack() error { return d.msg.Ack() }

// Park hands the message back, to come again after a pause. A pause of zero means at once.
func (d Delivery) Park(pause time.Duration) error {
	if pause <= 0 {
		return d.msg.Nak()
	}
	return d.msg.NakWithDelay(pause)
}

// InProgress keeps the message for another ack wait.
func (d Delivery) InProgress() error { return d.msg.InProgress() }

// Consumption is a consumer at work.
type Consumption interface {
	Stop()                 // take no more; what was delivered stays the handler's
	Done() <-chan struct{} // closed when no more comes: after Stop, or because the consumer was deleted
}

type consumption struct {
	cc jetstream.ConsumeContext
}

func (c consumption) Stop()                 { c.cc.Stop() }
func (c consumption) Done() <-chan struct{} { return c.cc.Closed() }

// ConsumeLog calls f for every event of a partition, in order, one at a time, as long as this connection is the one
// that the consumer is pinned to.
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
	var drift []error
	if err := b.ensureConsumer(ctx, stream, cfg, &drift); err != nil {
		return nil, err
	}
	if err := errors.Join(drift...); err != nil {
		return nil, err
	}
	c, err := b.js.Consumer(ctx, stream, cfg.Durable)
	if err != nil {
		return nil, fmt.Errorf("consumer %s of stream %s: %w", cfg.Durable, stream, err)
	}
	var cc jetstream.ConsumeContext
	opts = append(opts, jetstream.ConsumeErrHandler(func(_ jetstream.ConsumeContext, err error) { b.consumeTrouble(stream, cfg.Durable, err) }))
	cc, err = c.Consume(func(m jetstream.Msg) {
		if d, ok := delivery(m); ok {
			f(d)
		}
	}, opts...)
	if err != nil {
		return nil, fmt.Errorf("consume %s of stream %s: %w", cfg.Durable, stream, err)
	}
	return consumption{cc}, nil
}

// consumeTrouble tells of what needs somebody's eye. A pull that was lost or a pin that moved mends itself.
func (b *Bus) consumeTrouble(stream, consumer string, err error) {
	if errors.Is(err, jetstream.ErrNoHeartbeat) || errors.Is(err, jetstream.ErrPinIDMismatch) || errors.Is(err, jetstream.ErrConnectionClosed) {
		b.log.Debug("consumer reports", "stream", stream, "consumer", consumer, "error", err)
		return
	}
	b.log.Warn("consumer reports an error", "stream", stream, "consumer", consumer, "error", err)
}

func delivery(m jetstream.Msg) (Delivery, bool) {
	meta, err := m.Metadata()
	if err != nil {
		return Delivery{}, false
	}
	d := Delivery{
		Entry: Entry{Seq: meta.Sequence.Stream, Time: meta.Timestamp, Subject: m.Subject(), Header: m.Headers(), Data: m.Data()},
		Count: meta.NumDelivered, msg: m,
	}
	if v := d.Header["Nats-Pin-Id"]; len(v) > 0 {
		d.Pin = v[0]
	}
	return d, true
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
