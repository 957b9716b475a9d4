package bus

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// The step queue is kept in the server's memory. The log says at any time which steps must be queued, so a queue that was
// lost with its server is rebuilt from it; on disk it would cost a second synced write, and a third for the acknowledgement,
// in every step. Three things follow, which this file and delivery.go take care of: somebody has to make the stream again,
// the dispatchers have to notice, and what a worker has in hand from before must not be acknowledged any more, because the
// new queue uses the same sequences again.

// RestoreQueue makes the step queue if it does not exist. The dispatchers fill it.
func (b *Bus) RestoreQueue(ctx context.Context) error {
	_, err := b.stream(ctx, b.names.StepsStream())
	if !errors.Is(err, jetstream.ErrStreamNotFound) {
		return wrapStream(b.names.StepsStream(), err)
	}
	log, err := b.stream(ctx, b.names.RunsStream(0))
	if err != nil {
		return wrapStream(b.names.RunsStream(0), err)
	}
	var drift []error
	for _, want := range b.streams(SetupOptions{Partitions: b.Partitions(), Replicas: log.CachedInfo().Config.Replicas, MaxBytes: log.CachedInfo().Config.MaxBytes}) {
		if want.Name == b.names.StepsStream() {
			err = b.ensureStream(ctx, want, &drift)
		}
	}
	return errors.Join(append(drift, err)...)
}

func wrapStream(name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("stream %s: %w", name, err)
}

// Moved has a value after this bus was connected to another server process than before: the step queue may be lost. It has
// at most one value.
func (b *Bus) Moved() <-chan struct{} { return b.moved }

// noteServer remembers the connected server process, and signals if it is another one than before.
func (b *Bus) noteServer() {
	id := b.nc.ConnectedServerId()
	b.mu.Lock()
	other := b.server != "" && id != b.server
	b.server = id
	b.mu.Unlock()
	if !other {
		return
	}
	select {
	case b.moved <- struct{}{}:
	default:
	}
}
