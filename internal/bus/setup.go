package bus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"belay/internal/wire"
)

// SetupOptions say how streams are made. Existing ones are checked, and not changed.
type SetupOptions struct {
	Partitions int   // of the log, fixed when the streams are made; 0 = those of existing streams, or else New
	New        int   // partitions of new streams if Partitions is 0; default 4
	Replicas   int   // of new streams; 0 = as many as the log has, or else 3 in a cluster and 1 elsewhere
	MaxBytes   int64 // of each partition of the log, see [Bus.streams]; 0 = as the log has it, or else no limit

	// Mend is called where the server cannot open what it keeps of a consumer, which is then made once more; nil = that is an error.
	Mend func(stream, consumer string) error
}

// inACluster is how many replicas there are in a cluster unless another number is asked for: one server may be lost.
const inACluster = 3

// Setup makes the streams that are missing and checks the others. It returns an error with all differences; it changes no
// existing stream.
func (b *Bus) Setup(ctx context.Context, o SetupOptions) error {
	found, err := b.storedPartitions(ctx)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		found, err = b.makeFirst(ctx, o)
	}
	if err != nil {
		return err
	}
	if drift := comparePartitions(o.Partitions, found); len(drift) > 0 { // before anything is made by the wrong number
		return errors.Join(drift...)
	}
	o.Partitions, o.Replicas, o.MaxBytes = found, cmp.Or(o.Replicas, b.Replicas()), cmp.Or(o.MaxBytes, b.maxBytes.Load())
	b.mend = o.Mend
	var drift []error
	for _, want := range b.streams(o) {
		if err := b.ensureStream(ctx, want, &drift); err != nil {
			return err
		}
	}
	if err := b.ensureDispatcherConsumers(ctx, o.Partitions, &drift); err != nil {
		return err
	}
	b.partitions.Store(int64(o.Partitions))
	b.keepTime()
	return errors.Join(drift...)
}

// makeFirst makes the first partition of a new log, and returns how many it has: another process may have made it meanwhile, for
// another number.
func (b *Bus) makeFirst(ctx context.Context, o SetupOptions) (partitions int, err error) {
	if o.Partitions <= 0 {
		o.Partitions = cmp.Or(o.New, wire.DefaultPartitions)
	}
	if o.Replicas <= 0 {
		o.Replicas = 1
		if b.Clustered() {
			o.Replicas = inACluster
		}
	}
	want := b.streams(o)[0]
	if _, err := b.createStream(ctx, want); err != nil && !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		return 0, fmt.Errorf("stream %s: %w", want.Name, b.whyNotMade(want, err))
	}
	return b.storedPartitions(ctx)
}

// Look finds out what the existing log is like, and compares nothing. The error is a [jetstream.ErrStreamNotFound] where there is none.
func (b *Bus) Look(ctx context.Context) error {
	n, err := b.storedPartitions(ctx)
	if err == nil {
		b.partitions.Store(int64(n))
	}
	return err
}

// Open finds the existing streams, and checks them.
func (b *Bus) Open(ctx context.Context) error {
	n, err := b.storedPartitions(ctx)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return fmt.Errorf("%w at %s (prefix %q): start `dispatcher serve` against this server first; it makes them", ErrNotSetUp, b.place, b.names.Prefix)
	}
	if err != nil {
		return err
	}
	b.partitions.Store(int64(n))
	b.keepTime()
	var wrong, missing []error
	for _, want := range b.streams(SetupOptions{Partitions: n}) {
		s, err := b.stream(ctx, want.Name)
		switch {
		case errors.Is(err, jetstream.ErrStreamNotFound) && want.Name == b.names.StepsStream():
			continue // it was lost with its server, and is made again when it is needed
		case errors.Is(err, jetstream.ErrStreamNotFound):
			missing = append(missing, fmt.Errorf("stream %s is missing at %s: restart `dispatcher serve`, which makes what is missing", want.Name, b.place))
		case err != nil:
			return fmt.Errorf("stream %s: %w", want.Name, err)
		default:
			wrong = append(wrong, b.check(want, s)...)
		}
	}
	if len(missing) > 0 && len(wrong) == 0 {
		return &incomplete{errors.Join(missing...)}
	}
	return errors.Join(append(missing, wrong...)...)
}

// incomplete is an [ErrNotSetUp] that names the streams.
type incomplete struct{ error }

func (i *incomplete) Is(target error) bool { return target == ErrNotSetUp }

func (b *Bus) storedPartitions(ctx context.Context) (int, error) {
	name, asked := b.names.RunsStream(0), time.Now()
	s, err := b.stream(ctx, name)
	if err != nil {
		return 0, fmt.Errorf("stream %s: %w", name, err)
	}
	b.noteLog(s.CachedInfo().Config)
	b.noteTime(s.CachedInfo().TimeStamp, asked)
	text := s.CachedInfo().Config.Metadata[wire.MetaPartitions]
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("stream %s: metadata %s is %q, not a number of partitions: it is not a stream of Belay's, or was edited", name, wire.MetaPartitions, text)
	}
	return n, nil
}

func (b *Bus) ensureStream(ctx context.Context, want jetstream.StreamConfig, drift *[]error) error {
	s, err := b.stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		s, err = b.createStream(ctx, want)
	}
	if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // another process has made it meanwhile, with other settings
		s, err = b.stream(ctx, want.Name)
	}
	if err != nil {
		return fmt.Errorf("stream %s: %w", want.Name, b.whyNotMade(want, err))
	}
	*drift = append(*drift, b.check(want, s)...)
	return nil
}

// noteLog notes what the first partition of the log says of all of it.
func (b *Bus) noteLog(have jetstream.StreamConfig) {
	b.replicas.Store(int64(have.Replicas))
	b.maxBytes.Store(max(have.MaxBytes, 0))
}

// check compares a stream, and notes how many replicas the log has.
func (b *Bus) check(want jetstream.StreamConfig, s jetstream.Stream) []error {
	have := s.CachedInfo().Config
	if want.Name == b.names.RunsStream(0) {
		b.noteLog(have)
	}
	return b.compareStreams(want, have)
}

func (b *Bus) ensureDispatcherConsumers(ctx context.Context, partitions int, drift *[]error) error {
	for p := range partitions {
		if err := b.ensureConsumer(ctx, b.names.RunsStream(p), b.logConsumer(), drift); err != nil {
			return err
		}
	}
	return b.ensureConsumer(ctx, b.names.TimersStream(), b.timerConsumer(), drift)
}

// Reopened looks after what the dispatchers receive from, where the store was opened anew under this bus.
func (b *Bus) Reopened(ctx context.Context) error {
	if err := b.AwaitConnection(ctx); err != nil {
		return err
	}
	var drift []error
	return b.ensureDispatcherConsumers(ctx, b.Partitions(), &drift)
}

// replicated reports whether the log has replicas.
func (b *Bus) replicated() bool { return b.Replicas() > 1 }

// Replicas is how many servers have the log.
func (b *Bus) Replicas() int { return int(b.replicas.Load()) }

// Clustered reports whether the server is one of a cluster.
func (b *Bus) Clustered() bool { return b.nc.ConnectedClusterName() != "" }

func (b *Bus) ensureConsumer(ctx context.Context, stream string, want jetstream.ConsumerConfig, drift *[]error) error {
	c, err := b.consumer(ctx, stream, want.Durable)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		c, err = b.createConsumer(ctx, stream, want)
	}
	if api, is := errors.AsType[*jetstream.APIError](err); is && api.ErrorCode == codeConsumerStore && b.mend != nil {
		if err := b.mend(stream, want.Durable); err != nil {
			return err
		}
		c, err = b.createConsumer(ctx, stream, want)
	}
	if errors.Is(err, jetstream.ErrConsumerExists) { // another process has made it meanwhile
		c, err = b.consumer(ctx, stream, want.Durable)
	}
	if err != nil {
		return fmt.Errorf("consumer %s of stream %s: %w", want.Durable, stream, err)
	}
	*drift = append(*drift, compareConsumers(stream, want, c.CachedInfo().Config)...)
	return nil
}
