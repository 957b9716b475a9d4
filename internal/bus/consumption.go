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

// start makes the consumer if it is missing, checks it, and pulls.
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

// deliver hands a message to the handler. After a stop it hands it back to the server, which would otherwise redeliver it
// only after its ack wait.
func (c *consumption) deliver(m *nats.Msg) {
	d, err := delivery(m)
	if c.stream == c.names.StepsStream() {
		d.bound(c.nc)
	}
	if err != nil {
		c.logger.Error("a delivery cannot be read", "stream", c.stream, "consumer", c.cfg.Durable, "error", err)
		return
	}
	select {
	case <-c.stopped:
		_ = d.Park(0) // if this is lost, the message is redelivered later
	default:
		c.handle(d)
	}
}

// keep pulls until it is stopped, and restarts when the consumer was deleted or does not answer.
func (c *consumption) keep(l *puller) {
	defer close(c.done)
	for l != nil {
		select {
		case <-c.stopped:
			l.stop()
			c.handOver(l)
			return
		case <-l.ended:
			l = c.restart()
		case <-c.pull.demand.none():
			l = c.withdraw(l)
		}
	}
}

// withdraw ends pulls for which there is no demand any more: their messages would count as in hand, although nobody
// executes them. It waits a moment first, in case demand returns.
func (c *consumption) withdraw(l *puller) *puller {
	pause := time.NewTimer(demandPause)
	defer pause.Stop()
	select {
	case <-pause.C:
	case <-c.stopped:
		return l
	case <-l.ended:
		return l
	}
	if c.pull.demand.now() > 0 || l.outstanding() == 0 || !c.nc.IsConnected() {
		return l
	}
	l.stop()
	next, err := c.newPuller(c.stream, c.cfg.Durable, c.pull, c.deliver)
	if err != nil {
		return c.restart()
	}
	return next
}

// restart tries to start until that succeeds; it returns nil after a stop.
func (c *consumption) restart() *puller {
	log := c.logger.With("stream", c.stream, "consumer", c.cfg.Durable)
	for pause := 50 * time.Millisecond; !c.Gone(); pause = min(2*pause, 5*time.Second) {
		timer := time.NewTimer(pause)
		select {
		case <-c.stopped:
			timer.Stop()
			return nil
		case <-timer.C:
		}
		l, err := c.tryStart()
		if err == nil {
			log.Info("consuming, after the consumer was gone")
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

// handOver gives up the pin, if it is ours, so that another dispatcher takes over now and not when the pin expires.
func (c *consumption) handOver(l *puller) {
	pin := l.lastPin()
	if pin == "" || !c.nc.IsConnected() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := c.unpin(ctx, pin); err != nil {
		c.logger.Debug("could not give up the pin; it will expire", "stream", c.stream, "error", err)
	}
}

func (c *consumption) unpin(ctx context.Context, pin string) error {
	consumer, err := c.js.Consumer(ctx, c.stream, c.cfg.Durable)
	if err != nil || pinnedTo(consumer.CachedInfo()) != pin {
		return err
	}
	if _, err := ask[refusal](ctx, c.Bus, "CONSUMER.UNPIN."+c.stream+"."+c.cfg.Durable, map[string]string{"group": wire.PinGroup}); err != nil {
		return fmt.Errorf("unpin: %w", err)
	}
	return nil
}

// LogConsumer is what the server says of the consumer of a partition.
type LogConsumer struct {
	Pin     string // that events are delivered to; empty = nobody's
	Pending uint64 // events that were not delivered yet
	InHand  int    // events that were delivered, and not acknowledged yet
}

// LogConsumer asks who gets the events of a partition.
func (b *Bus) LogConsumer(ctx context.Context, partition int) (LogConsumer, error) {
	c, err := b.js.Consumer(ctx, b.names.RunsStream(partition), wire.DispatcherConsumer)
	if err != nil {
		return LogConsumer{}, err
	}
	info := c.CachedInfo()
	return LogConsumer{Pin: pinnedTo(info), Pending: info.NumPending, InHand: info.NumAckPending}, nil
}

func pinnedTo(info *jetstream.ConsumerInfo) string {
	for _, g := range info.PriorityGroups {
		if g.Group == wire.PinGroup {
			return g.PinnedClientID
		}
	}
	return ""
}
