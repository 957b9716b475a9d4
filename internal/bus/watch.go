package bus

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// watch is one watching of a bucket, with a pull consumer of its own. The client library would have the server push to a subject of
// its choice, which nobody hears who is in another account than the streams.
type watch struct {
	*Bucket
	prefix string // of the keys; empty = all
	newest bool   // only changes from now on

	on    func(Item)
	ready func() // may be nil

	count uint64
	ended chan struct{} // closed when a message is missing
	once  sync.Once
}

// Watch calls on for every present key and then for every change, until ctx ends; a deleted key has a nil Value. Ready is
// called once, after the last key that was present at the beginning; it may be nil.
func (k *Bucket) Watch(ctx context.Context, on func(Item), ready func()) error {
	w := watch{Bucket: k, on: on, ready: ready}
	return w.run(ctx)
}

// WatchUnder is [Bucket.Watch] for keys that begin with a prefix, which ends with a dot.
func (k *Bucket) WatchUnder(ctx context.Context, prefix string, on func(Item), ready func()) error {
	w := watch{Bucket: k, prefix: prefix, on: on, ready: ready}
	return w.run(ctx)
}

// WatchNew is [Bucket.Watch] for changes from now on.
func (k *Bucket) WatchNew(ctx context.Context, on func(Item)) error {
	w := watch{Bucket: k, on: on, newest: true}
	return w.run(ctx)
}

// watchAll is All by a consumer, which the stream's leader makes: a direct get may be answered by a replica that is behind.
func (k *Bucket) watchAll(ctx context.Context, prefix string) ([]Item, error) {
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	var all []Item
	w := watch{Bucket: k, prefix: prefix, ready: cancel, on: func(it Item) {
		if it.Value != nil {
			all = append(all, it)
		}
	}}
	err := w.run(inner)
	if err == nil && ctx.Err() != nil {
		err = k.failed("list", "", context.Cause(ctx))
	}
	return all, err
}

// errUnwatched says that changes do not arrive any more.
var errUnwatched = errors.New("changes do not arrive any more")

func (w *watch) run(ctx context.Context) error {
	bucket := w.kv.Bucket()
	c := jetstream.ConsumerConfig{
		FilterSubject: "$KV." + bucket + "." + w.prefix + ">", DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy,
		AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true, Replicas: 1, InactiveThreshold: 30 * time.Second,
	}
	if w.newest {
		c.DeliverPolicy = jetstream.DeliverNewPolicy
	}
	made, err := w.bus.createConsumer(ctx, "KV_"+bucket, c)
	if err != nil {
		return w.failedUnless(ctx, err)
	}
	w.ended = make(chan struct{})
	if made.CachedInfo().NumPending == 0 {
		w.isReady()
	}
	name := made.CachedInfo().Name
	l, err := w.bus.newPuller("KV_"+bucket, name, pull{Batch: pageSize, Expires: workerExpiry, Heartbeat: heartbeat, once: true}, func(m *nats.Msg) { w.deliver(ctx, m) })
	if err != nil {
		return w.failedUnless(ctx, err)
	}
	defer func() {
		l.stop()
		w.drop(name)
	}()
	select {
	case <-ctx.Done():
		return nil
	case <-w.bus.left:
		return w.failed("watch", "", errClosed)
	case <-l.ended:
	case <-w.ended:
	}
	return w.failedUnless(ctx, errUnwatched)
}

// failedUnless is why the watching ended; the end of ctx is no error.
func (w *watch) failedUnless(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return w.failed("watch", "", err)
	}
	return nil
}

// drop deletes the consumer, if that can be done; else it expires.
func (w *watch) drop(consumer string) {
	if !w.bus.nc.IsConnected() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := w.bus.dropConsumer(ctx, "KV_"+w.kv.Bucket(), consumer); err != nil {
		w.bus.logger.Debug("could not delete the consumer of a bucket; it will expire", "bucket", w.kv.Bucket(), "error", err)
	}
}

func (w *watch) isReady() {
	if w.ready != nil {
		w.ready()
		w.ready = nil
	}
}

// deliver hands a change on, unless one before it is missing.
func (w *watch) deliver(ctx context.Context, m *nats.Msg) {
	meta, err := m.Metadata()
	if err != nil || meta.Sequence.Consumer != w.count+1 {
		w.once.Do(func() { close(w.ended) })
		return
	}
	w.count++
	it := Item{Key: strings.TrimPrefix(m.Subject, "$KV."+w.kv.Bucket()+"."), Revision: meta.Sequence.Stream, Time: meta.Timestamp}
	if len(m.Header["KV-Operation"]) == 0 && len(m.Header["Nats-Marker-Reason"]) == 0 {
		it.Value = append([]byte{}, m.Data...)
	}
	if ctx.Err() == nil {
		w.on(it)
	}
	if meta.NumPending == 0 {
		w.isReady()
	}
}
