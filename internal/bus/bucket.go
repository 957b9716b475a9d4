package bus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Bucket is a key-value bucket in JetStream, for small values that several processes share and change one at a time, like
// claims, tokens and public keys. It is safe for concurrent use.
type Bucket struct {
	kv  jetstream.KeyValue
	bus *Bus
}

// Item is one value of a [Bucket].
type Item struct {
	Key      string    // without the name of the bucket
	Value    []byte    // as it was written
	Revision uint64    // for [Bucket.Swap]; grows with every change
	Time     time.Time // of the last change, by the server's clock
}

// Now is the server's time, by which those who share the bucket compare the times that they keep in it.
func (b *Bucket) Now() time.Time { return b.bus.Now() }

// BucketOption says how a bucket is made.
type BucketOption func(*jetstream.KeyValueConfig)

// KeepFor makes values expire some time after they were written.
func KeepFor(d time.Duration) BucketOption {
	return func(c *jetstream.KeyValueConfig) { c.TTL = d }
}

// Bucket opens the bucket of this name, and makes it if it does not exist. Values are kept until they are deleted, unless
// an option says otherwise.
//
// It asks the server once: opening a bucket that is open already takes no round trip, until an operation on it fails.
func (b *Bus) Bucket(ctx context.Context, name, description string, options ...BucketOption) (*Bucket, error) {
	if open, ok := b.buckets.Load(name); ok {
		return open.(*Bucket), nil
	}
	kv, err := b.keyValue(ctx, name)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		kv, err = b.makeBucket(ctx, name, description, options)
	}
	if err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", name, err)
	}
	bucket := &Bucket{kv, b}
	b.buckets.Store(name, bucket)
	return bucket, nil
}

// BucketIfThere is [Bus.Bucket] for a bucket that is not made if it does not exist: then it returns nil.
func (b *Bus) BucketIfThere(ctx context.Context, name string) (*Bucket, error) {
	if open, ok := b.buckets.Load(name); ok {
		return open.(*Bucket), nil
	}
	kv, err := b.keyValue(ctx, name)
	switch {
	case errors.Is(err, jetstream.ErrBucketNotFound):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("open bucket %s: %w", name, err)
	}
	bucket := &Bucket{kv, b}
	b.buckets.Store(name, bucket)
	return bucket, nil
}

func (b *Bus) makeBucket(ctx context.Context, name, description string, options []BucketOption) (jetstream.KeyValue, error) {
	config := jetstream.KeyValueConfig{Bucket: name, Description: description, History: 1, Storage: jetstream.FileStorage, Replicas: max(b.Replicas(), 1), MaxBytes: share(b.maxBytes.Load(), partOfLogKV)}
	for _, o := range options {
		o(&config)
	}
	if err := b.mayAsk("STREAM.CREATE.KV_" + name); err != nil {
		return nil, err
	}
	kv, err := insist(ctx, b, func(ctx context.Context) (jetstream.KeyValue, error) { return b.js.CreateKeyValue(ctx, config) })
	if errors.Is(err, jetstream.ErrBucketExists) {
		return b.keyValue(ctx, name) // another process was first
	}
	return kv, err
}

// Get reads a key; ok is false if it is not there.
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

// Swap writes a key if its revision is still the given one, 0 for a key that is not there. [ErrConflict] means that another
// process was first. [ErrUncertain] means that it may have been written: read its revision and write it again, because
// being readable does not prove that it is stored.
func (k *Bucket) Swap(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	conn, sent := k.bus.ConnectedAt(), time.Now()
	ctx, cancel := k.bus.replies.whileConnected(ctx, k.bus.timeout)
	defer cancel()
	var rev uint64
	err := k.mayWrite(key)
	if err != nil {
		return 0, fmt.Errorf("write %s in bucket %s: %w", key, k.kv.Bucket(), err)
	}
	if revision == 0 {
		rev, err = k.kv.Create(ctx, key, value)
	} else {
		rev, err = k.kv.Update(ctx, key, value, revision)
	}
	k.bus.wrote("KV_"+k.kv.Bucket(), sent, conn, answer(sent, err))
	if err != nil {
		return 0, k.refused("write", key, len(value), because(ctx, err))
	}
	return rev, nil
}

// answer is what an error of a write says of the store.
func answer(sent time.Time, err error) error {
	api, refused := errors.AsType[*jetstream.APIError](err)
	switch {
	case refused:
		return (&apiError{Code: api.Code, ErrCode: int(api.ErrorCode), Description: api.Description}).kind()
	case errors.Is(err, context.DeadlineExceeded) && time.Since(sent) >= canaryAnswer:
		return errTimeout
	}
	return err
}

// Put writes a key whatever its revision, unless keep returns true for the present value. That value is then written again,
// because being readable does not prove that it is stored. Keep may be nil.
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

// Delete removes a key, whatever its revision. It returns nil if there is none.
func (k *Bucket) Delete(ctx context.Context, key string) error {
	err := k.mayWrite(key)
	if err == nil {
		err = k.kv.Purge(ctx, key)
	}
	if err != nil {
		return k.failed("delete", key, err)
	}
	return nil
}

// DeleteRevision removes a key if its revision is still the one given; [ErrConflict] means that somebody has written it since.
func (k *Bucket) DeleteRevision(ctx context.Context, key string, revision uint64) error {
	if err := k.kv.Purge(ctx, key, jetstream.LastRevision(revision)); err != nil {
		return k.failed("delete", key, err)
	}
	return nil
}

// LastRevision is the revision of the last change of the bucket.
func (k *Bucket) LastRevision(ctx context.Context) (uint64, error) {
	s, err := k.bus.stream(ctx, "KV_"+k.kv.Bucket())
	if err != nil {
		return 0, k.failed("read", "", err)
	}
	return s.CachedInfo().State.LastSeq, nil
}

// All reads every key.
func (k *Bucket) All(ctx context.Context) ([]Item, error) {
	return k.Under(ctx, "")
}

func (k *Bucket) readAll(ctx context.Context, prefix string) ([]Item, error) {
	entries, err := k.bus.readMany(ctx, "KV_"+k.kv.Bucket(), "$KV."+k.kv.Bucket()+"."+prefix+">", 0)
	if err != nil {
		return nil, k.failed("list", "", err)
	}
	all := make([]Item, 0, len(entries))
	for _, e := range entries {
		if len(e.Header["KV-Operation"]) == 0 { // else the mark of a key that was deleted
			all = append(all, Item{Key: strings.TrimPrefix(e.Subject, "$KV."+k.kv.Bucket()+"."), Value: e.Data, Revision: e.Seq, Time: e.Time})
		}
	}
	return all, nil
}

// Under reads every key that begins with a prefix, which ends with a dot.
func (k *Bucket) Under(ctx context.Context, prefix string) ([]Item, error) {
	if k.bus.replicated() {
		return k.watchAll(ctx, prefix)
	}
	return k.readAll(ctx, prefix)
}

// mayWrite returns an [ErrDenied] if the server would refuse to write a key. In a domain the client library puts the API's prefix
// before keys.
func (k *Bucket) mayWrite(key string) error {
	subject := "$KV." + k.kv.Bucket() + "." + key
	if k.bus.js.Options().Domain != "" {
		subject = k.bus.api(subject)
	}
	return k.bus.may(subject)
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
		if kind := answer(time.Time{}, err); errors.Is(kind, ErrFull) {
			err = fmt.Errorf("%w: nothing was stored; make room on the disk of the NATS server, or raise its limits", kind)
		}
	case errors.Is(err, nats.ErrMaxPayload):
		err = &TooLarge{What: key, Size: int64(size), Most: k.bus.MaxPayload()}
	case what == "write":
		err = fmt.Errorf("%w: %w", ErrUncertain, err)
	}
	if !errors.Is(err, ErrConflict) {
		k.bus.buckets.Delete(k.kv.Bucket()) // it may be gone: whoever opens it next asks the server
	}
	return fmt.Errorf("%s %s in bucket %s: %w", what, key, k.kv.Bucket(), k.bus.away(err))
}
