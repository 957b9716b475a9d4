package bus

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// Found is what a look at the streams, buckets and consumers has found.
type Found struct {
	Streams, Consumers int      // that are there
	Missing            []string // streams and consumers that are not there
	Drift              []*Drift // settings that are not as they must be
	Kept               []Kept   // how each stream is kept
}

// Inspect compares every stream, bucket and consumer with what Belay needs, and changes nothing. A bucket that is not there is not
// missing: it is made when it is needed.
func (b *Bus) Inspect(ctx context.Context) (Found, error) {
	var f Found
	for _, want := range b.streams(SetupOptions{Partitions: b.Partitions(), MaxBytes: b.maxBytes.Load()}) {
		s, err := b.stream(ctx, want.Name)
		switch {
		case errors.Is(err, jetstream.ErrStreamNotFound):
			f.Missing = append(f.Missing, "stream "+want.Name)
			continue
		case err != nil:
			return f, wrapStream(want.Name, err)
		}
		f.has(s)
		f.add(b.compareStreams(want, s.CachedInfo().Config))
	}
	for _, bucket := range b.names.Buckets() {
		s, err := b.stream(ctx, "KV_"+bucket)
		switch {
		case errors.Is(err, jetstream.ErrStreamNotFound):
			continue
		case err != nil:
			return f, wrapStream("KV_"+bucket, err)
		}
		f.has(s)
		f.add(compareBuckets(bucket, s.CachedInfo().Config))
	}
	return f, b.inspectConsumers(ctx, &f)
}

// Kept is how a stream is kept.
type Kept struct {
	Stream          string
	Replicas        int
	NoLeader        bool     // of its servers too few are there
	Behind          []string // servers that do not have all of it, or are not there
	Bytes, MaxBytes int64    // 0 = no limit
}

func kept(info *jetstream.StreamInfo) Kept {
	k := Kept{Stream: info.Config.Name, Replicas: info.Config.Replicas, Bytes: int64(info.State.Bytes), MaxBytes: max(info.Config.MaxBytes, 0)}
	if c := info.Cluster; c != nil {
		k.NoLeader = c.Leader == ""
		for _, r := range c.Replicas {
			if r.Offline || !r.Current {
				k.Behind = append(k.Behind, r.Name)
			}
		}
	}
	return k
}

func (f *Found) has(s jetstream.Stream) {
	f.Streams++
	f.Kept = append(f.Kept, kept(s.CachedInfo()))
}

func (f *Found) add(drift []error) {
	for _, err := range drift {
		if d, is := errors.AsType[*Drift](err); is {
			f.Drift = append(f.Drift, d)
		}
	}
}

// compareBuckets compares what every bucket has in common. How long it keeps its values is its own business, and a limit in bytes the
// operator's.
func compareBuckets(bucket string, have jetstream.StreamConfig) []error {
	return differences("bucket "+bucket, []field{
		{"subjects", []string{"$KV." + bucket + ".>"}, have.Subjects},
		{"retention", jetstream.LimitsPolicy, have.Retention},
		{"discard", jetstream.DiscardNew, have.Discard},
		{"discard_new_per_subject", false, have.DiscardNewPerSubject},
		{"max_msgs_per_subject", int64(1), have.MaxMsgsPerSubject},
		{"max_msgs", int64(-1), have.MaxMsgs},
		{"storage", jetstream.FileStorage, have.Storage},
		{"deny_delete", true, have.DenyDelete},
		{"deny_purge", false, have.DenyPurge},
		{"allow_rollup_hdrs", true, have.AllowRollup},
		{"sealed", false, have.Sealed},
		{"no_ack", false, have.NoAck},
		{"mirror", false, have.Mirror != nil},
		{"sources", 0, len(have.Sources)},
		{"allow_direct", true, have.AllowDirect},
	})
}

func (b *Bus) inspectConsumers(ctx context.Context, f *Found) error {
	for p := range b.Partitions() {
		if err := b.inspectConsumer(ctx, f, b.names.RunsStream(p), b.logConsumer()); err != nil {
			return err
		}
	}
	if err := b.inspectConsumer(ctx, f, b.names.TimersStream(), b.timerConsumer()); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	all, _, err := b.stepConsumers(ctx)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil // and said so
	}
	if err != nil {
		return err
	}
	for _, c := range all {
		f.Consumers++
		f.add(b.compareStepConsumer(c.Config))
	}
	return nil
}

func (b *Bus) inspectConsumer(ctx context.Context, f *Found, stream string, want jetstream.ConsumerConfig) error {
	c, err := b.consumer(ctx, stream, want.Durable)
	switch {
	case errors.Is(err, jetstream.ErrConsumerNotFound), errors.Is(err, jetstream.ErrStreamNotFound):
		f.Missing = append(f.Missing, fmt.Sprintf("consumer %s of stream %s", want.Durable, stream))
		return nil
	case err != nil:
		return fmt.Errorf("consumer %s of stream %s: %w", want.Durable, stream, err)
	}
	f.Consumers++
	f.add(compareConsumers(stream, want, c.CachedInfo().Config))
	return nil
}

// compareStepConsumer compares the queue of a rung with how workers make it. How long they may be silent is theirs to say, and
// they notice themselves when they do not agree.
func (b *Bus) compareStepConsumer(have jetstream.ConsumerConfig) []error {
	tool, rung, ours := b.names.ParseStepConsumer(have.Name)
	if !ours {
		return []error{&Drift{fmt.Sprintf("consumer %s of stream %s", have.Name, b.names.StepsStream()), strangerField, have.Name, ""}}
	}
	return compareConsumers(b.names.StepsStream(), b.stepConsumer(tool, rung, have.AckWait), have)
}
