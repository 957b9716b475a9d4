package bus

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"belay/internal/wire"
)

// field is one setting of a stream or consumer that must not be changed.
type field struct {
	name       string
	want, have any
}

// compareStreams lists the differences that matter. Replicas and placement are up to the operator, and so is a limit in
// bytes on the log: publishes beyond it are refused and reported. Streams with one message per subject must have no limit,
// because the server refuses a full stream in nearly the same words as a message that is there already, and a full queue stops
// everything; in an account that requires limits they have one.
func (b *Bus) compareStreams(want, have jetstream.StreamConfig) []error {
	if want.MaxMsgsPerSubject < 0 || b.limited && have.MaxBytes > 0 {
		want.MaxBytes = have.MaxBytes
	}
	return differences("stream "+want.Name, []field{
		{"max_bytes", want.MaxBytes, have.MaxBytes},
		{"subjects", want.Subjects, have.Subjects},
		{"retention", want.Retention, have.Retention},
		{"discard", want.Discard, have.Discard},
		{"discard_new_per_subject", want.DiscardNewPerSubject, have.DiscardNewPerSubject},
		{"max_msgs_per_subject", want.MaxMsgsPerSubject, have.MaxMsgsPerSubject},
		{"max_msgs", want.MaxMsgs, have.MaxMsgs},
		{"max_age", want.MaxAge, have.MaxAge},
		{"max_msg_size", want.MaxMsgSize, have.MaxMsgSize},
		{"max_consumers", want.MaxConsumers, have.MaxConsumers},
		{"storage", want.Storage, have.Storage},
		{"persist_mode", want.PersistMode, have.PersistMode},
		{"no_ack", want.NoAck, have.NoAck},
		{"sealed", want.Sealed, have.Sealed},
		{"deny_purge", want.DenyPurge, have.DenyPurge},
		{"deny_delete", want.DenyDelete, have.DenyDelete},
		{"mirror", want.Mirror != nil, have.Mirror != nil},
		{"sources", len(want.Sources), len(have.Sources)},
		{"subject_transform", want.SubjectTransform != nil, have.SubjectTransform != nil},
		{"republish", want.RePublish != nil, have.RePublish != nil},
		{"consumer_limits", want.ConsumerLimits, have.ConsumerLimits},
		{"allow_atomic", want.AllowAtomicPublish, have.AllowAtomicPublish},
		{"allow_direct", want.AllowDirect, have.AllowDirect},
		{"allow_msg_schedules", want.AllowMsgSchedules, have.AllowMsgSchedules},
		{"allow_rollup_hdrs", want.AllowRollup && !want.AllowMsgSchedules, have.AllowRollup && !want.AllowMsgSchedules},
		{"allow_msg_ttl", want.AllowMsgTTL && !want.AllowMsgSchedules, have.AllowMsgTTL && !want.AllowMsgSchedules},
		{"allow_msg_counter", want.AllowMsgCounter, have.AllowMsgCounter},
		{"metadata " + wire.MetaPartitions, want.Metadata[wire.MetaPartitions], have.Metadata[wire.MetaPartitions]},
	})
}

func compareConsumers(stream string, want, have jetstream.ConsumerConfig) []error {
	return differences("consumer "+want.Durable+" of stream "+stream, []field{
		{"filter_subject", want.FilterSubject, have.FilterSubject},
		{"filter_subjects", len(want.FilterSubjects), len(have.FilterSubjects)},
		{"deliver_subject", want.DeliverSubject, have.DeliverSubject},
		{"ack_policy", want.AckPolicy, have.AckPolicy},
		{ackWaitField, want.AckWait, have.AckWait},
		{"deliver_policy", want.DeliverPolicy, have.DeliverPolicy},
		{"max_deliver", want.MaxDeliver, have.MaxDeliver},
		{"max_ack_pending", want.MaxAckPending, have.MaxAckPending},
		{"backoff", len(want.BackOff), len(have.BackOff)},
		{"inactive_threshold", want.InactiveThreshold, have.InactiveThreshold},
		{"headers_only", want.HeadersOnly, have.HeadersOnly},
		{"replay_policy", want.ReplayPolicy, have.ReplayPolicy},
		{"rate_limit_bps", want.RateLimit, have.RateLimit},
		{"max_batch", want.MaxRequestBatch, have.MaxRequestBatch},
		{"max_expires", want.MaxRequestExpires, have.MaxRequestExpires},
		{"max_bytes", want.MaxRequestMaxBytes, have.MaxRequestMaxBytes},
		{pauseField, time.Time{}, pausedUntil(have)},
		{"priority_policy", want.PriorityPolicy, have.PriorityPolicy},
		{"priority_timeout", want.PinnedTTL, have.PinnedTTL},
		{"priority_groups", slices.Clone(want.PriorityGroups), slices.Clone(have.PriorityGroups)},
	})
}

// pausedUntil is until when a consumer gives nothing out; zero if it does.
func pausedUntil(c jetstream.ConsumerConfig) time.Time {
	if c.PauseUntil == nil || !c.PauseUntil.After(time.Now()) {
		return time.Time{}
	}
	return c.PauseUntil.UTC()
}

// comparePartitions compares a configured number of partitions with the number that the log was made with.
func comparePartitions(want, have int) []error {
	if want <= 0 || want == have {
		return nil
	}
	return []error{&Drift{"the log", partitionsField, have, want}}
}

// Drift says that a stream or a consumer is not set up as this program needs it. Nothing was changed.
type Drift struct {
	What       string // "stream BELAY_STEPS", "consumer pay~~primary of stream BELAY_STEPS"
	Field      string // the server's name of the setting
	Have, Want any    // what is set, and what should be
}

// harmless are the fields that cost time when they are wrong: nothing is lost, done twice or left standing for that.
var harmless = []string{
	ackWaitField, "max_ack_pending", "inactive_threshold", "priority_timeout", "rate_limit_bps", "max_batch", "max_expires", "allow_direct",
	"allow_atomic", "republish", "replay_policy",
}

// Grave reports whether work may be lost, be done in the wrong order or stand still because of it, and not only take longer.
func (d *Drift) Grave() bool {
	return !slices.Contains(harmless, d.Field) && !(d.Field == "max_bytes" && strings.HasPrefix(d.What, "consumer "))
}

const (
	partitionsField = "number of partitions"
	ackWaitField    = "ack_wait"
	strangerField   = "name"
	pauseField      = "pause_until"
)

func (d *Drift) Error() string { return d.Seen() + ": " + d.Cure() }

// Seen says what is set, and what should be.
func (d *Drift) Seen() string {
	switch d.Field {
	case partitionsField:
		return fmt.Sprintf("%s has %v partitions, %v are configured", d.What, d.Have, d.Want)
	case strangerField:
		return d.What + " is not one of Belay's, and takes messages that workers wait for"
	case pauseField:
		return fmt.Sprintf("%s is paused until %v", d.What, d.Have)
	}
	return fmt.Sprintf("%s: %s is %v, Belay needs %v", d.What, d.Field, d.Have, d.Want)
}

// Cure says what to do.
func (d *Drift) Cure() string {
	switch d.Field {
	case partitionsField:
		return "the number is fixed when the streams are made; leave it out"
	case ackWaitField:
		return "give all workers the same --ack-wait"
	case strangerField:
		return "delete it (nats consumer rm)"
	case pauseField:
		return "let it go on (nats consumer resume)"
	}
	return "set it back (nats stream edit, nats consumer edit) or, if its contents do not matter, delete it and start again"
}

func differences(what string, fields []field) []error {
	var all []error
	for _, f := range fields {
		if !reflect.DeepEqual(f.want, f.have) {
			all = append(all, &Drift{what, f.name, f.have, f.want})
		}
	}
	return all
}
