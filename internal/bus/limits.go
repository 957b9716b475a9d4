package bus

import (
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// What a server answers that cannot make a stream.
var (
	// ErrReplicas says that the server cannot keep as many replicas as were asked for.
	ErrReplicas = errors.New("as many replicas need a cluster of at least as many servers with JetStream and room: start those, or ask for fewer (--replicas 1 does not live through the loss of a server)")
	// ErrLimits says that the account's limits do not allow the streams as they were asked for.
	ErrLimits = errors.New("the limits of the NATS account do not allow it")
)

const (
	least       = 1 << 20 // bytes that a stream or bucket with a limit gets at least
	partOfLog   = 4       // a stream that holds what waits has this part of what a partition of the log has
	partOfLogKV = 16      // and a bucket this one
)

// share is the limit of a stream that is smaller than a partition of the log; none without a limit on that.
func share(maxBytes int64, part int64) int64 {
	if maxBytes <= 0 {
		return -1
	}
	return max(maxBytes/part, least)
}

// reserved is about how much all streams and buckets reserve for so many partitions, in units of what one of them has.
func (b *Bus) reserved(partitions int) float64 {
	return float64(partitions+1+max(1, partitions/partOfLog)) + 2.0/partOfLog + float64(len(b.names.Buckets()))/partOfLogKV
}

// whyNotMade says of a stream that was not made what is to be done.
func (b *Bus) whyNotMade(want jetstream.StreamConfig, err error) error {
	api, is := errors.AsType[*jetstream.APIError](err)
	if !is {
		return err
	}
	switch api.ErrorCode {
	case codeNotClustered, codeNoPeers:
		if want.Replicas > 1 {
			return fmt.Errorf("%d replicas: %w (%w)", want.Replicas, ErrReplicas, err)
		}
	case codeMaxBytesRequired:
		return fmt.Errorf("%w: it requires a limit in bytes for each stream; say with --max-bytes how large a partition of the log may become, like 4GiB (%w)", ErrLimits, err)
	case codeMaxStreamBytes:
		return fmt.Errorf("%w: %d bytes are more than it lets one stream have; give a smaller --max-bytes (%w)", ErrLimits, want.MaxBytes, err)
	case codeStorageExceeded, codeMemoryExceeded, codeAccountExceeded:
		if want.MaxBytes > 0 {
			return fmt.Errorf("%w: streams and buckets together reserve about %.0f times --max-bytes with 4 partitions; give a smaller one, or raise the limits (%w)", ErrLimits, b.reserved(4), err)
		}
		return fmt.Errorf("%w: it has no room (%w)", ErrLimits, err)
	}
	return err
}

// requiresLimits reports whether an account takes only streams with a limit in bytes. An account may have its limits by tiers.
func requiresLimits(a *jetstream.AccountInfo) bool {
	required := a.Limits.MaxBytesRequired
	for _, t := range a.Tiers {
		required = required || t.Limits.MaxBytesRequired
	}
	return required
}
