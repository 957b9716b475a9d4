package bus

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"belay/internal/wire"
)

// follower reads one subject as it grows, with consumers that nobody else sees: each lives until a message is missing,
// and the next one begins after the last message seen.
type follower struct {
	*Bus
	ctx             context.Context
	stream, subject string
	f               func(Entry)

	last  uint64 // sequence of the last message given to f
	count uint64 // messages of the present consumer
}

// FollowLog calls f for every entry of a run's log after a sequence, in order, as they come, until ctx ends; then it
// returns nil. It outlives lost connections and restarts of the server; an error says that it could not begin.
func (b *Bus) FollowLog(ctx context.Context, run string, after uint64, f func(Entry)) error {
	p := wire.Partition(run, b.partitions)
	w := &follower{Bus: b, ctx: ctx, stream: b.names.RunsStream(p), subject: b.names.LogOf(p, run), f: f, last: after}
	l, err := w.start()
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("follow run %s: %w", run, b.away(err))
	}
	for l != nil {
		select {
		case <-ctx.Done():
			w.end(l)
			return nil
		case <-l.ended:
			l.stop()
			l = w.again()
		}
	}
	if ctx.Err() == nil {
		return fmt.Errorf("follow run %s: %w", run, errClosed)
	}
	return nil
}

func (w *follower) start() (*puller, error) {
	ctx, cancel := w.replies.whileConnected(w.ctx, w.timeout)
	defer cancel()
	c, err := w.js.CreateConsumer(ctx, w.stream, jetstream.ConsumerConfig{
		FilterSubject: w.subject, DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: w.last + 1,
		AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true, Replicas: 1, InactiveThreshold: 30 * time.Second,
	})
	if err != nil {
		return nil, err
	}
	w.count = 0
	var l *puller
	ready := make(chan struct{})
	l, err = w.newPuller(w.stream, c.CachedInfo().Name, pull{Batch: pageSize, Expires: workerExpiry, Heartbeat: heartbeat}, func(m *nats.Msg) {
		<-ready
		if !w.take(m) {
			l.finish()
		}
	})
	close(ready)
	return l, err
}

// take gives f the next message; false when one before it is missing, so that a new consumer must bring it.
func (w *follower) take(m *nats.Msg) bool {
	meta, err := m.Metadata()
	if err != nil || meta.Sequence.Consumer != w.count+1 {
		return false
	}
	w.count++
	if w.last = meta.Sequence.Stream; w.ctx.Err() == nil {
		w.f(Entry{Seq: w.last, Time: meta.Timestamp, Subject: m.Subject, Header: m.Header, Data: m.Data})
	}
	return true
}

// again tries to start until it does; nil when nobody follows any more.
func (w *follower) again() *puller {
	for pause := 50 * time.Millisecond; !w.gone(); pause = min(2*pause, 2*time.Second) {
		timer := time.NewTimer(pause)
		select {
		case <-w.ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
		l, err := w.start()
		if err == nil {
			return l
		}
		w.log.Debug("cannot follow; trying again", "subject", w.subject, "error", err)
	}
	return nil
}

// end leaves no consumer behind where it can.
func (w *follower) end(l *puller) {
	l.stop()
	if !w.nc.IsConnected() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := w.js.DeleteConsumer(ctx, w.stream, l.consumer); err != nil {
		w.log.Debug("a follower's consumer goes by itself", "subject", w.subject, "error", err)
	}
}
