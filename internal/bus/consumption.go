package bus

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"belay/internal/wire"
)

type consumption struct {
	*Bus
	stream string
	cfg    jetstream.ConsumerConfig
	pull   pull
	handle func(Delivery)

	stop    sync.Once
	stopped chan struct{}
	done    chan struct{}
}

func (c *consumption) Stop()                 { c.stop.Do(func() { close(c.stopped) }) }
func (c *consumption) Done() <-chan struct{} { return c.done }

// start makes the consumer when it is missing, checks it, and pulls.
func (c *consumption) start(ctx context.Context) (*puller, error) {
	var drift []error
	if c.stream == c.names.StepsStream() {
		if err := c.RestoreQueue(ctx); err != nil {
			return nil, err
		}
	}
	if err := c.ensureConsumer(ctx, c.stream, c.cfg, &drift); err != nil {
		return nil, err
	}
	if err := errors.Join(drift...); err != nil {
		return nil, err
	}
	return c.newPuller(c.stream, c.cfg.Durable, c.pull, c.deliver)
}

// deliver hands a message to the handler; after a stop, back to the server, where it would else stay ours until its ack
// wait passes.
func (c *consumption) deliver(m *nats.Msg) {
	d, err := delivery(m)
	if c.stream == c.names.StepsStream() {
		d.bound(c.nc)
	}
	if err != nil {
		c.log.Error("a delivery cannot be read", "stream", c.stream, "consumer", c.cfg.Durable, "error", err)
		return
	}
	select {
	case <-c.stopped:
		_ = d.Park(0) // lost, it comes again all the same, only later
	default:
		c.handle(d)
	}
}

// keep pulls until it is stopped, and begins again when the consumer was deleted or nobody answered for it.
func (c *consumption) keep(l *puller) {
	defer close(c.done)
	for l != nil {
		select {
		case <-c.stopped:
			l.stop()
			c.handOver(l)
			return
		case <-l.ended:
			l = c.again()
		}
	}
}

// again tries to start until it does; nil when nobody wants it any more.
func (c *consumption) again() *puller {
	log := c.log.With("stream", c.stream, "consumer", c.cfg.Durable)
	for pause := 50 * time.Millisecond; !c.gone(); pause = min(2*pause, 5*time.Second) {
		timer := time.NewTimer(pause)
		select {
		case <-c.stopped:
			timer.Stop()
			return nil
		case <-timer.C:
		}
		l, err := c.tryStart()
		if err == nil {
			log.Info("consuming again")
			return l
		}
		log.Warn("cannot consume; trying again", "error", err)
	}
	return nil
}

func (c *consumption) tryStart() (*puller, error) {
	ctx, cancel := c.replies.whileConnected(context.Background(), c.timeout)
	defer cancel()
	return c.start(ctx)
}

// handOver gives up the pin, if it is ours, so that whoever stands by takes over now and not after the pin's time.
func (c *consumption) handOver(l *puller) {
	pin := l.lastPin()
	if pin == "" || !c.nc.IsConnected() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := c.unpin(ctx, pin); err != nil {
		c.log.Debug("could not give up the pin; it ends by itself", "stream", c.stream, "error", err)
	}
}

func (c *consumption) unpin(ctx context.Context, pin string) error {
	consumer, err := c.js.Consumer(ctx, c.stream, c.cfg.Durable)
	if err != nil || pinnedTo(consumer.CachedInfo()) != pin {
		return err
	}
	var a struct {
		Error *apiError `json:"error"`
	}
	err = c.ask(ctx, "CONSUMER.UNPIN."+c.stream+"."+c.cfg.Durable, map[string]string{"group": wire.PinGroup}, &a)
	if err == nil && a.Error != nil {
		err = a.Error
	}
	if err != nil {
		return fmt.Errorf("unpin: %w", err)
	}
	return nil
}

func pinnedTo(info *jetstream.ConsumerInfo) string {
	for _, g := range info.PriorityGroups {
		if g.Group == wire.PinGroup {
			return g.PinnedClientID
		}
	}
	return ""
}
