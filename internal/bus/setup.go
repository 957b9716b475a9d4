package bus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go/jetstream"

	"belay/internal/wire"
)

// SetupOptions say how streams are made. Existing ones keep what they have, and are checked.
type SetupOptions struct {
	Partitions int // of the log, fixed when the streams are made; 0 = as they are, or New
	New        int // partitions of streams that are made now, where Partitions does not say; default 4
	Replicas   int // default 1
}

// Setup makes the streams that are missing and checks those that are there. A difference is an error that names all
// of them; nothing existing is changed.
func (b *Bus) Setup(ctx context.Context, o SetupOptions) error {
	var drift []error
	found, err := b.storedPartitions(ctx)
	switch {
	case err == nil:
		drift = comparePartitions(o.Partitions, found)
		o.Partitions = found
	case !errors.Is(err, jetstream.ErrStreamNotFound):
		return err
	case o.Partitions <= 0:
		o.Partitions = cmp.Or(o.New, wire.DefaultPartitions)
	}
	o.Replicas = max(o.Replicas, 1)
	for _, want := range b.streams(o) {
		if err := b.ensureStream(ctx, want, &drift); err != nil {
			return err
		}
	}
	if err := b.ensureDispatcherConsumers(ctx, o.Partitions, &drift); err != nil {
		return err
	}
	b.partitions = o.Partitions
	return errors.Join(drift...)
}

// Open finds the streams that somebody set up, and checks them.
func (b *Bus) Open(ctx context.Context) error {
	n, err := b.storedPartitions(ctx)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return fmt.Errorf("no Belay streams at %s (prefix %q): start `dispatcher serve` against this server first; it makes them", b.place, b.names.Prefix)
	}
	if err != nil {
		return err
	}
	b.partitions = n
	var wrong []error
	for _, want := range b.streams(SetupOptions{Partitions: n}) {
		s, err := b.js.Stream(ctx, want.Name)
		switch {
		case errors.Is(err, jetstream.ErrStreamNotFound) && want.Name == b.names.StepsStream():
			continue // it went with its server, and is made again by whoever needs it
		case errors.Is(err, jetstream.ErrStreamNotFound):
			wrong = append(wrong, fmt.Errorf("stream %s is missing at %s: restart `dispatcher serve`, which makes what is missing", want.Name, b.place))
		case err != nil:
			return fmt.Errorf("stream %s: %w", want.Name, b.away(err))
		default:
			wrong = append(wrong, b.check(want, s)...)
		}
	}
	return errors.Join(wrong...)
}

func (b *Bus) storedPartitions(ctx context.Context) (int, error) {
	name := b.names.RunsStream(0)
	s, err := b.js.Stream(ctx, name)
	if err != nil {
		return 0, fmt.Errorf("stream %s: %w", name, b.away(err))
	}
	text := s.CachedInfo().Config.Metadata[wire.MetaPartitions]
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("stream %s: metadata %s is %q, not a number of partitions: it is not a stream of Belay's, or was edited", name, wire.MetaPartitions, text)
	}
	return n, nil
}

func (b *Bus) ensureStream(ctx context.Context, want jetstream.StreamConfig, drift *[]error) error {
	s, err := b.js.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		s, err = b.js.CreateStream(ctx, want)
	}
	if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // somebody else made it meanwhile, and another way
		s, err = b.js.Stream(ctx, want.Name)
	}
	if err != nil {
		return fmt.Errorf("stream %s: %w", want.Name, b.away(err))
	}
	*drift = append(*drift, b.check(want, s)...)
	return nil
}

// check compares a stream, and notes whether the log has replicas.
func (b *Bus) check(want jetstream.StreamConfig, s jetstream.Stream) []error {
	have := s.CachedInfo().Config
	if want.Name == b.names.RunsStream(0) {
		b.replicated = have.Replicas > 1
	}
	return compareStreams(want, have)
}

func (b *Bus) ensureDispatcherConsumers(ctx context.Context, partitions int, drift *[]error) error {
	for p := range partitions {
		if err := b.ensureConsumer(ctx, b.names.RunsStream(p), b.logConsumer(), drift); err != nil {
			return err
		}
	}
	return b.ensureConsumer(ctx, b.names.TimersStream(), b.timerConsumer(), drift)
}

func (b *Bus) ensureConsumer(ctx context.Context, stream string, want jetstream.ConsumerConfig, drift *[]error) error {
	c, err := b.js.Consumer(ctx, stream, want.Durable)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		c, err = b.js.CreateConsumer(ctx, stream, want)
	}
	if errors.Is(err, jetstream.ErrConsumerExists) { // somebody else made it meanwhile
		c, err = b.js.Consumer(ctx, stream, want.Durable)
	}
	if err != nil {
		return fmt.Errorf("consumer %s of stream %s: %w", want.Durable, stream, b.away(err))
	}
	*drift = append(*drift, compareConsumers(stream, want, c.CachedInfo().Config)...)
	return nil
}
