package bus

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// One pull asks for markedPage headers, and waits markedPause for the first of them.
const (
	markedPage  = 1000
	markedPause = 2 * time.Second
)

// ReadMarked reads the messages on a subject after a sequence, wildcards allowed, that have a header, and returns up to
// which sequence it has looked. Of the other messages only the headers are transferred.
func (b *Bus) ReadMarked(ctx context.Context, stream, subject, header string, after uint64) (marked []Entry, last uint64, err error) {
	mark, err := b.Mark(ctx, stream)
	if err != nil || mark.Last <= after {
		return nil, after, err
	}
	c, err := b.createConsumer(ctx, stream, jetstream.ConsumerConfig{
		FilterSubject: subject, DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: after + 1, HeadersOnly: true,
		AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true, Replicas: 1, InactiveThreshold: time.Minute,
	})
	if err != nil {
		return nil, after, fmt.Errorf("read headers of %s: %w", stream, err)
	}
	name := c.CachedInfo().Name
	defer func() { _ = b.dropConsumer(context.WithoutCancel(ctx), stream, name) }() // if this fails, it expires
	seqs, err := markedIn(c, header, mark.Last)
	if err != nil {
		return nil, after, fmt.Errorf("read headers of %s: %w", stream, b.away(err))
	}
	for _, seq := range seqs {
		page, _, err := b.readPage(ctx, stream, subject, seq, 1)
		if err != nil {
			return nil, after, fmt.Errorf("read %d of %s: %w", seq, stream, err)
		}
		if len(page) > 0 && page[0].Seq == seq {
			marked = append(marked, page[0])
		}
	}
	return marked, mark.Last, nil
}

// markedIn returns the sequences of the messages up to last that have a header.
func markedIn(c jetstream.Consumer, header string, last uint64) (seqs []uint64, err error) {
	left := c.CachedInfo().NumPending
	for left > 0 {
		batch, err := c.Fetch(int(min(left, markedPage)), jetstream.FetchMaxWait(markedPause))
		if err != nil {
			return nil, err
		}
		got := uint64(0)
		for m := range batch.Messages() {
			got++
			meta, err := m.Metadata()
			if err != nil {
				return nil, err
			}
			if m.Headers().Get(header) != "" && meta.Sequence.Stream <= last {
				seqs = append(seqs, meta.Sequence.Stream)
			}
		}
		if err := batch.Error(); err != nil {
			return nil, err
		}
		if got == 0 {
			return nil, fmt.Errorf("%d messages did not arrive", left)
		}
		left -= got
	}
	return seqs, nil
}
