package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Bucket is a key-value bucket in JetStream: small things that several processes share and change one at a time, like
// claims, tokens and public keys. It is safe for concurrent use.
type Bucket struct {
	kv  jetstream.KeyValue
	bus *Bus
}

// Item is one value of a [Bucket].
type Item struct {
	Key      string
	Value    []byte
	Revision uint64    // for [Bucket.Swap]; grows with every change
	Time     time.Time // of the last change, the server's
}

// BucketOption says how a bucket is made.
type BucketOption func(*jetstream.KeyValueConfig)

// KeepFor lets values go some time after they were written.
func KeepFor(d time.Duration) BucketOption {
	return func(c *jetstream.KeyValueConfig) { c.TTL = d }
}

// Bucket opens the bucket of this name, and makes it where there is none. Values are kept until they are deleted,
// unless an option says otherwise.
func (b *Bus) Bucket(ctx context.Context, name, description string, options ...BucketOption) (*Bucket, error) {
	kv, err := b.js.KeyValue(ctx, name)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		kv, err = b.makeBucket(ctx, name, description, options)
	}
	if err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", name, b.away(err))
	}
	return &Bucket{kv, b}, nil
}

func (b *Bus) makeBucket(ctx context.Context, name, description string, options []BucketOption) (jetstream.KeyValue, error) {
	replicas := 1
	if b.replicated {
		replicas = 3
	}
	config := jetstream.KeyValueConfig{Bucket: name, Description: description, History: 1, Storage: jetstream.FileStorage, Replicas: replicas}
	for _, o := range options {
		o(&config)
	}
	kv, err := b.js.CreateKeyValue(ctx, config)
	if errors.Is(err, jetstream.ErrBucketExists) {
		return b.js.KeyValue(ctx, name) // somebody else was first
	}
	return kv, err
}

// Get reads a key; ok is false when it is not there.
func (k *Bucket) Get(ctx context.Context, key string) (it Item, ok bool, err error) {
	e, err := k.kv.Get(ctx, key)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return Item{}, false, nil
	}
	if err != nil {
		return Item{}, false, k.failed("read", key, err)
	}
	return shown(e), true, nil
}

func shown(e jetstream.KeyValueEntry) Item {
	return Item{Key: e.Key(), Value: e.Value(), Revision: e.Revision(), Time: e.Created()}
}

// Swap writes a key if its revision is still the one given, 0 for a key that is not there. [ErrConflict] means that
// somebody else was first; [ErrUncertain] that it may have been written: read its revision and write it again, since
// that it can be read does not prove that it is stored.
func (k *Bucket) Swap(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	var rev uint64
	var err error
	if revision == 0 {
		rev, err = k.kv.Create(ctx, key, value)
	} else {
		rev, err = k.kv.Update(ctx, key, value, revision)
	}
	if err != nil {
		return 0, k.refused("write", key, len(value), err)
	}
	return rev, nil
}

// Put writes a key, whatever is there, unless keep says of that to leave it. What is left is written again all the same:
// that it can be read does not prove that it is stored. Keep may be nil.
func (k *Bucket) Put(ctx context.Context, key string, value []byte, keep func(Item) bool) error {
	for {
		it, ok, err := k.Get(ctx, key)
		if err != nil {
			return err
		}
		now := value
		if ok && keep != nil && keep(it) {
			now = it.Value
		}
		if _, err = k.Swap(ctx, key, now, it.Revision); !errors.Is(err, ErrConflict) {
			return err
		}
	}
}

// Delete removes a key, whatever its revision. One that is not there is no error.
func (k *Bucket) Delete(ctx context.Context, key string) error {
	if err := k.kv.Purge(ctx, key); err != nil {
		return k.failed("delete", key, err)
	}
	return nil
}

// All reads every key.
func (k *Bucket) All(ctx context.Context) ([]Item, error) {
	w, err := k.kv.WatchAll(ctx, jetstream.IgnoreDeletes())
	if err != nil {
		return nil, k.failed("list", "", err)
	}
	defer func() { _ = w.Stop() }()
	var all []Item
	for {
		select {
		case e, ok := <-w.Updates():
			if !ok {
				return nil, k.failed("list", "", jetstream.ErrNoHeartbeat)
			}
			if e == nil { // all that was there
				return all, nil
			}
			all = append(all, shown(e))
		case <-ctx.Done():
			return nil, k.failed("list", "", context.Cause(ctx))
		}
	}
}

// Watch calls on for every key that is there and then for every change, until ctx ends; a deleted key comes with a nil
// Value. Ready is called once, after the last key that was there when it began; it may be nil.
func (k *Bucket) Watch(ctx context.Context, on func(Item), ready func()) error {
	return k.watch(ctx, on, ready)
}

func (k *Bucket) watch(ctx context.Context, on func(Item), ready func(), options ...jetstream.WatchOpt) error {
	w, err := k.kv.WatchAll(ctx, options...)
	if err != nil {
		return k.failed("watch", "", err)
	}
	defer func() { _ = w.Stop() }()
	for {
		select {
		case e, ok := <-w.Updates():
			switch {
			case !ok && ctx.Err() != nil: // the end of ctx closes it as well
				return nil
			case !ok:
				return k.failed("watch", "", jetstream.ErrNoHeartbeat)
			case e == nil:
				if ready != nil {
					ready()
				}
			case e.Operation() == jetstream.KeyValuePut:
				on(shown(e))
			default:
				on(Item{Key: e.Key(), Revision: e.Revision(), Time: e.Created()})
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// WatchNew is [Bucket.Watch] for what changes from now on.
func (k *Bucket) WatchNew(ctx context.Context, on func(Item)) error {
	return k.watch(ctx, on, nil, jetstream.UpdatesOnly())
}

func (k *Bucket) failed(what, key string, err error) error { return k.refused(what, key, 0, err) }

func (k *Bucket) refused(what, key string, size int, err error) error {
	var api *jetstream.APIError
	switch {
	case errors.Is(err, jetstream.ErrKeyExists):
		err = ErrConflict
	case errors.As(err, &api) && (int(api.ErrorCode) == codeWrongLastSequence || int(api.ErrorCode) == codeWrongLastSequenceAny):
		err = ErrConflict
	case errors.As(err, &api):
	case errors.Is(err, nats.ErrMaxPayload):
		err = &TooLarge{What: key, Size: int64(size), Most: k.bus.MaxPayload()}
	case what == "write":
		err = fmt.Errorf("%w: %w", ErrUncertain, err)
	}
	return fmt.Errorf("%s %s in bucket %s: %w", what, key, k.kv.Bucket(), k.bus.away(err))
}
