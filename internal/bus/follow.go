package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"belay/internal/wire"
)

// follower reads one subject as it grows, with consumers of its own: each lives until a message is missing, and the next
// one begins after the last message seen.
type follower struct {
	*Bus
	ctx             context.Context
	stream, subject string
	f               func(Entry)

	anew    bool   // the stream may be made again meanwhile: then it is followed from its beginning
	drained func() // if not nil, called when there is nothing more to read for now

	last  uint64 // sequence of the last message given to f
	count uint64 // messages from the current consumer
}

// FollowLog calls f for every entry of a run's log after a sequence, in order, as they arrive, until ctx ends; then it
// returns nil. It survives lost connections and restarts of the server; an error means that it could not start.
func (b *Bus) FollowLog(ctx context.Context, run string, after uint64, f func(Entry)) error {
	p := wire.Partition(run, b.Partitions())
	w := &follower{Bus: b, ctx: ctx, stream: b.names.RunsStream(p), subject: b.names.LogOf(p, run), f: f, last: after}
	if err := w.follow(func() {}); err != nil {
		return fmt.Errorf("follow run %s: %w", run, err)
	}
	return nil
}

// FollowPartition is FollowLog for the entries of all runs of a partition that are stored from now on: those of one kind,
// or all if kind is empty. Began is called once no new entry can be missed.
func (b *Bus) FollowPartition(ctx context.Context, partition int, kind string, began func(), f func(Entry)) error {
	subject := b.names.RunsSubjects(partition)
	if kind != "" {
		subject = b.names.LogKind(partition, kind)
	}
	begun := false
	follow := func() error {
		last, err := b.LastSeq(ctx, partition)
		if err != nil {
			return err
		}
		w := &follower{Bus: b, ctx: ctx, stream: b.names.RunsStream(partition), subject: subject, f: f, last: last}
		return w.follow(func() { begun = true; began() })
	}
	err := follow()
	for !begun && errors.Is(err, ErrUnreachable) && b.AwaitConnection(ctx) == nil { // it was lost just as this began
		err = follow()
	}
	if err != nil {
		return fmt.Errorf("follow partition %d: %w", partition, err)
	}
	return nil
}

// Scan calls f for every message of a stream on a subject, wildcards allowed, after a sequence, in order, and returns at
// the end of what is there. It is for many messages: [Bus.ReadPage] counts those that are left for each page.
func (b *Bus) Scan(ctx context.Context, stream, subject string, after uint64, f func(Entry)) error {
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	w := &follower{Bus: b, ctx: inner, stream: stream, subject: subject, f: f, drained: cancel, last: after}
	err := w.follow(func() {})
	if err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("read %s from %s: %w", subject, stream, err)
	}
	return nil
}

// follow follows until the context ends; an error means that it could not start, or that the bus was closed.
func (w *follower) follow(began func()) error {
	l, err := w.start()
	if err != nil && w.ctx.Err() == nil {
		return err
	}
	if err == nil {
		began()
	}
	for l != nil {
		select {
		case <-w.ctx.Done():
			w.end(l)
			return nil
		case <-w.left:
			l.stop()
			return errClosed
		case <-l.ended:
			l.stop()
			l = w.restart()
		}
	}
	if w.ctx.Err() == nil {
		return errClosed
	}
	return nil
}

func (w *follower) start() (*puller, error) {
	if w.anew {
		info, err := w.About(w.ctx, w.stream)
		if err != nil {
			return nil, err
		}
		if info.LastSeq < w.last {
			w.last = 0
		}
	}
	c, err := w.createConsumer(w.ctx, w.stream, jetstream.ConsumerConfig{
		FilterSubject: w.subject, DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: w.last + 1,
		AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true, Replicas: 1, InactiveThreshold: 30 * time.Second,
	})
	if err != nil {
		return nil, err
	}
	if w.count = 0; w.drained != nil && c.CachedInfo().NumPending == 0 {
		w.drained()
	}
	var l *puller
	ready := make(chan struct{})
	l, err = w.newPuller(w.stream, c.CachedInfo().Name, pull{Batch: pageSize, Expires: workerExpiry, Heartbeat: heartbeat, once: true}, func(m *nats.Msg) {
		<-ready
		if !w.deliver(m) {
			l.finish()
		}
	})
	close(ready)
	return l, err
}

// deliver gives f the next message; it returns false if one before it is missing, which needs a new consumer.
func (w *follower) deliver(m *nats.Msg) bool {
	meta, err := m.Metadata()
	if err != nil || meta.Sequence.Consumer != w.count+1 {
		return false
	}
	w.count++
	if w.last = meta.Sequence.Stream; w.ctx.Err() == nil {
		w.f(Entry{Seq: w.last, Time: meta.Timestamp, Subject: m.Subject, Header: m.Header, Data: m.Data})
	}
	if w.drained != nil && meta.NumPending == 0 {
		w.drained()
	}
	return true
}

// restart tries to start until that succeeds; it returns nil when the context has ended.
func (w *follower) restart() *puller {
	for pause := 50 * time.Millisecond; !w.Gone(); pause = min(2*pause, 2*time.Second) {
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
		w.logger.Debug("cannot follow; trying again", "subject", w.subject, "error", err)
	}
	return nil
}

// end deletes the consumer, if it can.
func (w *follower) end(l *puller) {
	l.stop()
	if !w.nc.IsConnected() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := w.dropConsumer(ctx, w.stream, l.consumer); err != nil {
		w.logger.Debug("could not delete a follower's consumer; it will expire", "subject", w.subject, "error", err)
	}
}
