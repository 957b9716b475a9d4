package bus

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"belay/internal/wire"
)

type consumption struct {
	*Bus
	stream string
	cfg    jetstream.ConsumerConfig
	handle func(Delivery)
	opts   []jetstream.PullConsumeOpt

	pin     atomic.Pointer[string] // of the last delivery
	stop    sync.Once
	stopped chan struct{}
	done    chan struct{}
}

func (c *consumption) Stop()                 { c.stop.Do(func() { close(c.stopped) }) }
func (c *consumption) Done() <-chan struct{} { return c.done }

// start makes the consumer when it is missing, checks it, and pulls.
func (c *consumption) start(ctx context.Context) (jetstream.ConsumeContext, error) {
	var drift []error
	consumer, err := c.ensureConsumer(ctx, c.stream, c.cfg, &drift)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(drift...); err != nil {
		return nil, fmt.Errorf("%w: %w", errDrift, err)
	}
	pulling, err := consumer.Consume(c.deliver, c.opts...)
	if err != nil {
		return nil, fmt.Errorf("consume %s of stream %s: %w", c.cfg.Durable, c.stream, err)
	}
	return pulling, nil
}

// deliver hands a message to the handler; after a stop, back to the server, where it would else stay ours until its ack
// wait passes.
func (c *consumption) deliver(m jetstream.Msg) {
	select {
	case <-c.stopped:
		_ = m.Nak() // lost, it comes again all the same, only later
		return
	default:
	}
	d, ok := delivery(m)
	if !ok {
		return
	}
	if d.Pin != "" && c.lastPin() != d.Pin {
		c.pin.Store(&d.Pin)
	}
	c.handle(d)
}

func (c *consumption) lastPin() string {
	if p := c.pin.Load(); p != nil {
		return *p
	}
	return ""
}

// keep pulls until it is stopped, and starts again when the consumer was deleted.
func (c *consumption) keep(pulling jetstream.ConsumeContext) {
	defer close(c.done)
	for pulling != nil {
		select {
		case <-c.stopped:
			c.end(pulling)
			return
		case <-pulling.Closed():
			pulling = c.again()
		}
	}
}

// end gives back what waits in here, and the pin. Without a connection there is nobody to give it to.
func (c *consumption) end(pulling jetstream.ConsumeContext) {
	if !c.nc.IsConnected() {
		pulling.Stop()
		return
	}
	pulling.Drain()
	timeout := time.NewTimer(closeWait)
	defer timeout.Stop()
	select {
	case <-pulling.Closed():
		c.handOver()
	case <-timeout.C:
	}
}

// again tries to start until it does. It gives up, with nil, when nobody wants it any more or trying cannot help.
func (c *consumption) again() jetstream.ConsumeContext {
	for pause := 50 * time.Millisecond; !c.gone(); pause = min(2*pause, 5*time.Second) {
		timer := time.NewTimer(pause)
		select {
		case <-c.stopped:
			timer.Stop()
			return nil
		case <-timer.C:
		}
		pulling, err := c.tryStart()
		if err == nil {
			c.log.Warn("the consumer was gone and is there again", "stream", c.stream, "consumer", c.cfg.Durable)
			return pulling
		}
		if errors.Is(err, errDrift) || errors.Is(err, jetstream.ErrStreamNotFound) {
			c.log.Error("stopped consuming", "stream", c.stream, "consumer", c.cfg.Durable, "error", err)
			return nil
		}
		c.log.Warn("cannot consume; trying again", "stream", c.stream, "consumer", c.cfg.Durable, "error", err)
	}
	return nil
}

func (c *consumption) tryStart() (jetstream.ConsumeContext, error) {
	ctx, cancel := context.WithTimeout(context.Background(), c.timeout)
	defer cancel()
	return c.start(ctx)
}

// handOver gives up the pin, if it is ours, so that whoever stands by takes over now and not after the pin's time.
func (c *consumption) handOver() {
	pin := c.lastPin()
	if pin == "" || c.gone() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	s, err := c.js.Stream(ctx, c.stream)
	if err != nil {
		return
	}
	consumer, err := s.Consumer(ctx, c.cfg.Durable)
	if err != nil || pinnedTo(consumer.CachedInfo()) != pin {
		return
	}
	if err := s.UnpinConsumer(ctx, c.cfg.Durable, wire.PinGroup); err != nil {
		c.log.Debug("could not give up the pin; it ends by itself", "stream", c.stream, "error", err)
	}
}

func pinnedTo(info *jetstream.ConsumerInfo) string {
	for _, g := range info.PriorityGroups {
		if g.Group == wire.PinGroup {
			return g.PinnedClientID
		}
	}
	return ""
}
