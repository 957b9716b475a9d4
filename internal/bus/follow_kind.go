package bus

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// FollowKind calls f for every new entry of one kind in a partition, until ctx ends. Ready is called once no new entry can
// be missed.
func (b *Bus) FollowKind(ctx context.Context, partition int, kind string, ready func(), f func(Entry)) error {
	return b.FollowNew(ctx, b.names.RunsStream(partition), b.names.LogKind(partition, kind), ready, f)
}

// FollowNew calls f for every new message of a stream on a subject, wildcards allowed, until ctx ends. Ready is called once
// no new message can be missed.
func (b *Bus) FollowNew(ctx context.Context, stream, subject string, ready func(), f func(Entry)) error {
	c, err := b.js.OrderedConsumer(ctx, stream, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{subject}, DeliverPolicy: jetstream.DeliverNewPolicy, InactiveThreshold: time.Minute,
	})
	if err != nil {
		return fmt.Errorf("follow %s: %w", stream, err)
	}
	cc, err := c.Consume(func(m jetstream.Msg) {
		meta, err := m.Metadata()
		if err == nil && ctx.Err() == nil {
			f(Entry{Seq: meta.Sequence.Stream, Time: meta.Timestamp, Subject: m.Subject(), Header: m.Headers(), Data: m.Data()})
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
