package bus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"belay/internal/wire"
)

// SetupOptions say how streams are made. Existing ones keep what they have, and are checked.
type SetupOptions struct {
	Partitions int // of the log; default 4; fixed when the streams are made
	Replicas   int // default 1
}

// How a pinned consumer hands over: a dispatcher that asks for nothing during the TTL loses the pin, and what it had
// in hand comes again after the ack wait.
const (
	pinnedTTL       = 4 * time.Second
	dispatcherWait  = 5 * time.Second
	maxEventsInHand = 20_000
)

// Setup makes the streams that are missing and checks those that are there. A difference is an error that names all
// of them; nothing existing is changed.
func (b *Bus) Setup(ctx context.Context, o SetupOptions) error {
	if o.Partitions <= 0 {
		o.Partitions = wire.DefaultPartitions
	}
	o.Replicas = max(o.Replicas, 1)
	found, err := b.storedPartitions(ctx)
	switch {
	case err == nil:
		o.Partitions = found
	case !errors.Is(err, jetstream.ErrStreamNotFound):
		return err
	}
	var drift []error
	for _, want := range b.streams(o) {
		if err := b.ensureStream(ctx, want, &drift); err != nil {
			return err
		}
	}
	for p := range o.Partitions {
		if _, err := b.ensureConsumer(ctx, b.names.RunsStream(p), b.logConsumer(), &drift); err != nil {
			return err
		}
	}
	if _, err := b.ensureConsumer(ctx, b.names.TimersStream(), b.timerConsumer(), &drift); err != nil {
		return err
	}
	if err := b.ensureCache(ctx, o.Replicas); err != nil {
		return err
	}
	b.partitions = o.Partitions
	return errors.Join(drift...)
}

// Open finds the streams that somebody set up.
func (b *Bus) Open(ctx context.Context) error {
	n, err := b.storedPartitions(ctx)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return fmt.Errorf("no Belay streams at %s (prefix %q): start `dispatcher serve` against this server first; it makes them", b.URL(), b.names.Prefix)
	}
	if err != nil {
		return err
	}
	b.partitions = n
	var drift []error
	for _, want := range b.streams(SetupOptions{Partitions: n}) {
		s, err := b.js.Stream(ctx, want.Name)
		if err != nil {
			return fmt.Errorf("stream %s: %w", want.Name, err)
		}
		drift = append(drift, compareStreams(want, s.CachedInfo().Config)...)
	}
	return errors.Join(drift...)
}

func (b *Bus) storedPartitions(ctx context.Context) (int, error) {
	name := b.names.RunsStream(0)
	s, err := b.js.Stream(ctx, name)
	if err != nil {
		return 0, fmt.Errorf("stream %s: %w", name, err)
	}
	text := s.CachedInfo().Config.Metadata[wire.MetaPartitions]
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("stream %s: metadata %s is %q, not a number of partitions: it is not a stream of Belay's, or was edited", name, wire.MetaPartitions, text)
	}
	return n, nil
}

// streams lists every stream with its configuration. A stream that workers may write to allows no schedules, rollup or
// TTL: their headers would let a worker write where it may not.
func (b *Bus) streams(o SetupOptions) []jetstream.StreamConfig {
	base := jetstream.StreamConfig{
		Storage: jetstream.FileStorage, Replicas: o.Replicas, Discard: jetstream.DiscardNew, MaxMsgs: -1, MaxBytes: -1,
		MaxMsgsPerSubject: -1, MaxMsgSize: -1, MaxConsumers: -1, AllowDirect: true, AllowAtomicPublish: true,
		// The log needs no message ids; the window is kept small because the server remembers ids for that long.
		Duplicates: time.Second,
		Metadata:   map[string]string{wire.MetaPartitions: strconv.Itoa(o.Partitions)},
	}
	var all []jetstream.StreamConfig
	for p := range o.Partitions {
		log := base
		log.Name, log.Subjects = b.names.RunsStream(p), []string{b.names.RunsSubjects(p)}
		log.Description = "the log of runs, partition " + strconv.Itoa(p)
		all = append(all, log)
	}
	steps := base
	steps.Name, steps.Subjects, steps.Description = b.names.StepsStream(), []string{b.names.StepsSubjects()}, "attempts to be executed"
	steps.Retention, steps.MaxMsgsPerSubject, steps.DiscardNewPerSubject = jetstream.WorkQueuePolicy, 1, true
	timers := base
	timers.Name, timers.Subjects, timers.Description = b.names.TimersStream(), []string{b.names.TimersSubjects()}, "one schedule per run"
	timers.Retention, timers.MaxMsgsPerSubject, timers.AllowMsgSchedules = jetstream.WorkQueuePolicy, 1, true
	timers.Discard = jetstream.DiscardOld // of one subject: an earlier time replaces a later one
	escalations := base
	escalations.Name, escalations.Subjects = b.names.EscalationsStream(), []string{b.names.EscalationsSubjects()}
	escalations.MaxMsgsPerSubject, escalations.DiscardNewPerSubject = 1, true
	escalations.Description = "what waits for a person"
	return append(all, steps, timers, escalations)
}

func (b *Bus) ensureStream(ctx context.Context, want jetstream.StreamConfig, drift *[]error) error {
	s, err := b.js.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		s, err = b.js.CreateStream(ctx, want)
	}
	if err != nil {
		return fmt.Errorf("stream %s: %w", want.Name, err)
	}
	*drift = append(*drift, compareStreams(want, s.CachedInfo().Config)...)
	return nil
}

// logConsumer is the consumer of a log partition. Its MaxDeliver is unlimited: an event is answered, however often it
// takes.
func (b *Bus) logConsumer() jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Durable: wire.DispatcherConsumer, AckPolicy: jetstream.AckExplicitPolicy, AckWait: dispatcherWait, MaxDeliver: -1,
		MaxAckPending: maxEventsInHand, DeliverPolicy: jetstream.DeliverAllPolicy, PriorityPolicy: jetstream.PriorityPolicyPinned,
		PinnedTTL: pinnedTTL, PriorityGroups: []string{wire.PinGroup},
	}
}

func (b *Bus) timerConsumer() jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Durable: wire.DispatcherConsumer, FilterSubject: b.names.TimersDue(), AckPolicy: jetstream.AckExplicitPolicy,
		AckWait: dispatcherWait, MaxDeliver: -1, MaxAckPending: -1,
	}
}

// stepConsumer is the work queue of one (tool, rung). No limit on what is in hand: parked messages would fill it.
func (b *Bus) stepConsumer(tool, rung string, ackWait time.Duration) jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Durable: b.names.StepConsumer(tool, rung), FilterSubject: b.names.StepFilter(tool, rung),
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: ackWait, MaxDeliver: -1, MaxAckPending: -1, MaxWaiting: 4096,
	}
}

func (b *Bus) ensureConsumer(ctx context.Context, stream string, want jetstream.ConsumerConfig, drift *[]error) (jetstream.Consumer, error) {
	c, err := b.js.Consumer(ctx, stream, want.Durable)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		c, err = b.js.CreateConsumer(ctx, stream, want)
	}
	if errors.Is(err, jetstream.ErrConsumerExists) { // somebody else made it meanwhile
		c, err = b.js.Consumer(ctx, stream, want.Durable)
	}
	if err != nil {
		return nil, fmt.Errorf("consumer %s of stream %s: %w", want.Durable, stream, err)
	}
	*drift = append(*drift, compareConsumers(stream, want, c.CachedInfo().Config)...)
	return c, nil
}

func (b *Bus) ensureCache(ctx context.Context, replicas int) error {
	name := b.names.CacheBucket()
	_, err := b.js.KeyValue(ctx, name)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		_, err = b.js.CreateKeyValue(ctx, jetstream.KeyValueConfig{
			Bucket: name, Description: "last good results", History: 1, TTL: 30 * 24 * time.Hour, Replicas: replicas, Storage: jetstream.FileStorage,
		})
	}
	if err != nil {
		return fmt.Errorf("key-value bucket %s: %w", name, err)
	}
	return nil
}
