package bus

import (
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/nats-io/nats.go/jetstream"

	"belay/internal/wire"
)

// errDrift says that a consumer is not as Belay makes it.
var errDrift = errors.New("changed by somebody else")

// field is one setting of a stream or consumer that must be as Belay made it.
type field struct {
	name       string
	want, have any
}

// compareStreams lists the differences that matter. Replicas and placement are the operator's.
func compareStreams(want, have jetstream.StreamConfig) []error {
	return differences("stream "+want.Name, []field{
		{"subjects", want.Subjects, have.Subjects},
		{"retention", want.Retention, have.Retention},
		{"discard", want.Discard, have.Discard},
		{"discard_new_per_subject", want.DiscardNewPerSubject, have.DiscardNewPerSubject},
		{"max_msgs_per_subject", want.MaxMsgsPerSubject, have.MaxMsgsPerSubject},
		{"max_msgs", want.MaxMsgs, have.MaxMsgs},
		{"max_age", want.MaxAge, have.MaxAge},
		{"storage", want.Storage, have.Storage},
		{"allow_atomic", want.AllowAtomicPublish, have.AllowAtomicPublish},
		{"allow_direct", want.AllowDirect, have.AllowDirect},
		{"allow_msg_schedules", want.AllowMsgSchedules, have.AllowMsgSchedules},
		{"allow_rollup_hdrs", want.AllowRollup && !want.AllowMsgSchedules, have.AllowRollup && !want.AllowMsgSchedules},
		{"allow_msg_ttl", want.AllowMsgTTL && !want.AllowMsgSchedules, have.AllowMsgTTL && !want.AllowMsgSchedules},
		{"metadata " + wire.MetaPartitions, want.Metadata[wire.MetaPartitions], have.Metadata[wire.MetaPartitions]},
	})
}

func compareConsumers(stream string, want, have jetstream.ConsumerConfig) []error {
	return differences("consumer "+want.Durable+" of stream "+stream, []field{
		{"filter_subject", want.FilterSubject, have.FilterSubject},
		{"ack_policy", want.AckPolicy, have.AckPolicy},
		{"ack_wait", want.AckWait, have.AckWait},
		{"max_deliver", want.MaxDeliver, have.MaxDeliver},
		{"max_ack_pending", want.MaxAckPending, have.MaxAckPending},
		{"backoff", len(want.BackOff), len(have.BackOff)},
		{"priority_policy", want.PriorityPolicy, have.PriorityPolicy},
		{"priority_timeout", want.PinnedTTL, have.PinnedTTL},
		{"priority_groups", slices.Clone(want.PriorityGroups), slices.Clone(have.PriorityGroups)},
	})
}

func differences(what string, fields []field) []error {
	var all []error
	for _, f := range fields {
		if !reflect.DeepEqual(f.want, f.have) {
			all = append(all, fmt.Errorf("%s: %s is %v, Belay needs %v: set it back (nats stream edit, nats consumer edit) or, if it holds nothing of worth, delete it and start again", what, f.name, f.have, f.want))
		}
	}
	return all
}
