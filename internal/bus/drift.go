package bus

import (
	"fmt"
	"reflect"
	"slices"

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
// because the server refuses a full stream in nearly the same words as a message that is there already.
func compareStreams(want, have jetstream.StreamConfig) []error {
	if want.MaxMsgsPerSubject < 0 {
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
		{"storage", want.Storage, have.Storage},
		{"persist_mode", want.PersistMode, have.PersistMode},
		{"no_ack", want.NoAck, have.NoAck},
		{"sealed", want.Sealed, have.Sealed},
		{"deny_purge", want.DenyPurge, have.DenyPurge},
		{"mirror", want.Mirror != nil, have.Mirror != nil},
		{"sources", len(want.Sources), len(have.Sources)},
		{"subject_transform", want.SubjectTransform != nil, have.SubjectTransform != nil},
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
		{"ack_policy", want.AckPolicy, have.AckPolicy},
		{ackWaitField, want.AckWait, have.AckWait},
		{"deliver_policy", want.DeliverPolicy, have.DeliverPolicy},
		{"max_deliver", want.MaxDeliver, have.MaxDeliver},
		{"max_ack_pending", want.MaxAckPending, have.MaxAckPending},
		{"backoff", len(want.BackOff), len(have.BackOff)},
		{"inactive_threshold", want.InactiveThreshold, have.InactiveThreshold},
		{"headers_only", want.HeadersOnly, have.HeadersOnly},
		{"priority_policy", want.PriorityPolicy, have.PriorityPolicy},
		{"priority_timeout", want.PinnedTTL, have.PinnedTTL},
		{"priority_groups", slices.Clone(want.PriorityGroups), slices.Clone(have.PriorityGroups)},
	})
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

const (
	partitionsField = "number of partitions"
	ackWaitField    = "ack_wait"
)

func (d *Drift) Error() string {
	if d.Field == partitionsField {
		return fmt.Sprintf("%s has %v partitions, %v are configured: the number is fixed when the streams are made; leave it out", d.What, d.Have, d.Want)
	}
	cure := "set it back (nats stream edit, nats consumer edit) or, if its contents do not matter, delete it and start again"
	if d.Field == ackWaitField {
		cure = "give all workers the same --ack-wait"
	}
	return fmt.Sprintf("%s: %s is %v, Belay needs %v: %s", d.What, d.Field, d.Have, d.Want, cure)
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
