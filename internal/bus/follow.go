package bus

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"belay/internal/wire"
)

// FollowLog calls f for every entry of a run's log after a sequence, in order, as they come, until ctx ends. It returns
// the reason why it stopped, nil when ctx ended.
func (b *Bus) FollowLog(ctx context.Context, run string, after uint64, f func(Entry)) error {
	p := wire.Partition(run, b.partitions)
	c, err := b.js.OrderedConsumer(ctx, b.names.RunsStream(p), jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{b.names.LogOf(p, run)}, DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: after + 1,
		InactiveThreshold: time.Minute,
	})
	if err != nil && ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return fmt.Errorf("follow run %s: %w", run, err)
	}
	cc, err := c.Consume(func(m jetstream.Msg) {
		if d, ok := delivery(m); ok && ctx.Err() == nil {
			f(d.Entry)
		}
	}, jetstream.ConsumeErrHandler(func(_ jetstream.ConsumeContext, err error) {
		b.consumeTrouble(b.names.RunsStream(p), "follow "+run, err)
	}))
	if err != nil {
		return fmt.Errorf("follow run %s: %w", run, err)
	}
	select {
	case <-ctx.Done():
		cc.Stop()
		<-cc.Closed()
		return nil
	case <-cc.Closed():
		return fmt.Errorf("follow run %s: the server ended the subscription", run)
	}
}

// FollowKind calls f for every new entry of one kind in a partition, until ctx ends. Ready is called once nothing new
// can be missed.
func (b *Bus) FollowKind(ctx context.Context, partition int, kind string, ready func(), f func(Entry)) error {
	stream := b.names.RunsStream(partition)
	c, err := b.js.OrderedConsumer(ctx, stream, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{b.names.LogKind(partition, kind)}, DeliverPolicy: jetstream.DeliverNewPolicy, InactiveThreshold: time.Minute,
	})
	if err != nil {
		return fmt.Errorf("follow %s: %w", stream, err)
	}
	cc, err := c.Consume(func(m jetstream.Msg) {
		if d, ok := delivery(m); ok && ctx.Err() == nil {
			f(d.Entry)
		}
	})
	if err != nil {
		return fmt.Errorf("follow %s: %w", stream, err)
	}
	ready()
	<-ctx.Done()
	cc.Stop()
	<-cc.Closed()
	return nil
}
