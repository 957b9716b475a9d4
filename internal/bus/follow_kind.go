package bus

import (
	"context"
	"fmt"
)

// FollowKind calls f for every new entry of one kind in a partition, until ctx ends. Ready is called once no new entry can
// be missed.
func (b *Bus) FollowKind(ctx context.Context, partition int, kind string, ready func(), f func(Entry)) error {
	return b.FollowNew(ctx, b.names.RunsStream(partition), b.names.LogKind(partition, kind), ready, f)
}

// FollowNew calls f for every new message of a stream on a subject, wildcards allowed, until ctx ends. Ready is called once
// no new message can be missed.
func (b *Bus) FollowNew(ctx context.Context, stream, subject string, ready func(), f func(Entry)) error {
	info, err := b.About(ctx, stream)
	if err != nil {
		return fmt.Errorf("follow %s: %w", stream, err)
	}
	w := &follower{Bus: b, ctx: ctx, stream: stream, subject: subject, f: f, last: info.LastSeq, anew: true}
	if err := w.follow(ready); err != nil {
		return fmt.Errorf("follow %s: %w", stream, err)
	}
	return nil
}
