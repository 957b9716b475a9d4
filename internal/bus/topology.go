package bus

import (
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"belay/internal/wire"
)

// How a pinned consumer hands over: a dispatcher that does not pull during the TTL loses the pin, and what it had in hand
// is redelivered after the ack wait.
const (
	pinnedTTL       = 4 * time.Second
	dispatcherWait  = 5 * time.Second
	maxEventsInHand = 20_000
)

// streams lists every stream with its configuration. A stream that workers may write to does not allow schedules, rollups or
// TTLs: with their headers a worker could write where it must not.
//
// With a limit in bytes, partitions of the log and the audit trail have all of it. What waits has a part of it, and only in an
// account that requires limits: a full queue stops all work.
func (b *Bus) streams(o SetupOptions) []jetstream.StreamConfig {
	base := jetstream.StreamConfig{
		Storage: jetstream.FileStorage, Replicas: o.Replicas, Discard: jetstream.DiscardNew, MaxMsgs: -1, MaxBytes: -1,
		MaxMsgsPerSubject: -1, MaxMsgSize: -1, MaxConsumers: -1, AllowDirect: true, AllowAtomicPublish: true,
		// The log uses no message ids; the window is small because the server remembers ids for that long.
		Duplicates: time.Second,
		Metadata:   map[string]string{wire.MetaPartitions: strconv.Itoa(o.Partitions)},
	}
	var all []jetstream.StreamConfig
	if o.MaxBytes > 0 {
		base.MaxBytes = o.MaxBytes
	}
	for p := range o.Partitions {
		log := base
		log.Name, log.Subjects = b.names.RunsStream(p), []string{b.names.RunsSubjects(p)}
		log.Description = "the log of runs, partition " + strconv.Itoa(p)
		all = append(all, log)
	}
	waiting := base
	waiting.MaxBytes = -1
	if b.limited {
		waiting.MaxBytes = share(o.MaxBytes, partOfLog)
	}
	steps := waiting
	steps.Name, steps.Subjects, steps.Description = b.names.StepsStream(), []string{b.names.StepsSubjects()}, "attempts to be executed"
	steps.Retention, steps.MaxMsgsPerSubject, steps.DiscardNewPerSubject = jetstream.WorkQueuePolicy, 1, true
	steps.Storage = jetstream.MemoryStorage // see queue.go
	timers := waiting
	if b.limited {
		timers.MaxBytes = limitOfTimers(o)
	}
	timers.Name, timers.Subjects, timers.Description = b.names.TimersStream(), []string{b.names.TimersSubjects()}, "one schedule per run"
	timers.Retention, timers.MaxMsgsPerSubject, timers.AllowMsgSchedules = jetstream.WorkQueuePolicy, 1, true
	timers.Discard = jetstream.DiscardOld // per subject: a new time replaces the old one
	escalations := waiting
	escalations.Name, escalations.Subjects = b.names.EscalationsStream(), []string{b.names.EscalationsSubjects()}
	escalations.MaxMsgsPerSubject, escalations.DiscardNewPerSubject = 1, true
	escalations.Description = "what waits for a person"
	audit := base
	audit.Name, audit.Subjects, audit.Description = b.names.AuditStream(), []string{b.names.AuditSubjects()}, "what people did; nothing of it is ever removed"
	audit.DenyDelete, audit.DenyPurge = true, true
	return append(all, steps, timers, escalations, audit)
}

// limitOfTimers is so large that the log is full before the timers are: the server discards the oldest timer then, where every other
// stream refuses what is new. A run has at most one, which is smaller than the least that stands of a run in the log.
func limitOfTimers(o SetupOptions) int64 {
	if o.MaxBytes <= 0 {
		return -1
	}
	return o.MaxBytes * int64(max(1, o.Partitions/partOfLog))
}

// logConsumer is the consumer of a log partition. Its MaxDeliver is unlimited: an event is redelivered until it is handled.
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

// stepConsumer is the work queue of one (tool, rung). It has no limit on messages in hand: parked ones would use it up.
func (b *Bus) stepConsumer(tool, rung string, ackWait time.Duration) jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Durable: b.names.StepConsumer(tool, rung), FilterSubject: b.names.StepFilter(tool, rung),
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: ackWait, MaxDeliver: -1, MaxAckPending: -1, MaxWaiting: 4096,
	}
}
