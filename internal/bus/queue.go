package bus

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// The step queue lives in the server's memory. The log is the truth and says at any time which steps must be queued, so
// a queue that is gone with its server is made again from it; on disk it would cost a second synced write, and a third
// for the acknowledgement, in every step. Three things follow, and are seen to here and in delivery.go: somebody has to
// make the stream again, the dispatchers have to hear of it, and what a worker has in hand from before must not be
// acknowledged any more, because the new queue gives out the same sequences again.

// RestoreQueue makes the step queue when it is not there. What should be in it is for the dispatchers to say.
func (b *Bus) RestoreQueue(ctx context.Context) error {
	_, err := b.js.Stream(ctx, b.names.StepsStream())
	if !errors.Is(err, jetstream.ErrStreamNotFound) {
		return wrapStream(b.names.StepsStream(), err)
	}
	log, err := b.js.Stream(ctx, b.names.RunsStream(0))
	if err != nil {
		return wrapStream(b.names.RunsStream(0), err)
	}
	var drift []error
	for _, want := range b.streams(SetupOptions{Partitions: b.partitions, Replicas: log.CachedInfo().Config.Replicas}) {
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

// Moved tells that this bus is connected to another server process than before: the step queue may be gone. It holds
// one word at most.
func (b *Bus) Moved() <-chan struct{} { return b.moved }

// noteServer remembers which server process is at the other end, and tells when it is another one.
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
