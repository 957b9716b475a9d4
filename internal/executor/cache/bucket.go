package cache

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// BucketOptions say where results are kept, and how many.
type BucketOptions struct {
	Name     string        // below the prefix, from [wire.Names]
	Keep     time.Duration // results older than this are dropped; default 30 days
	MaxBytes int64         // of the whole bucket; default 128 MiB. A full one takes nothing new until old results are dropped
	Replicas int           // default 1

	Now func() time.Time // the server's time; default this machine's
}

// OpenBucket opens the key-value bucket of results, or makes it if there is none. An existing bucket is used as it is,
// because it is only a cache.
func OpenBucket(ctx context.Context, js jetstream.JetStream, o BucketOptions) (Store, error) {
	kv, err := js.KeyValue(ctx, o.Name)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		kv, err = makeBucket(ctx, js, o)
	}
	if err != nil {
		return nil, fmt.Errorf("open cache bucket %s: %w", o.Name, err)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return bucket{kv, o.Now}, nil
}

func makeBucket(ctx context.Context, js jetstream.JetStream, o BucketOptions) (jetstream.KeyValue, error) {
	config := jetstream.KeyValueConfig{
		Bucket: o.Name, Description: "Belay: last good results, only a cache", History: 1, Storage: jetstream.FileStorage,
		TTL: cmp.Or(o.Keep, 30*24*time.Hour), MaxBytes: cmp.Or(o.MaxBytes, 128<<20), Replicas: max(o.Replicas, 1),
		MaxValueSize: MaxValue,
	}
	kv, err := js.CreateKeyValue(ctx, config)
	if errors.Is(err, jetstream.ErrBucketExists) {
		return js.KeyValue(ctx, o.Name) // another worker was first
	}
	return kv, err
}

// bucket is a [Store] in JetStream.
type bucket struct {
	kv  jetstream.KeyValue
	now func() time.Time
}

func (b bucket) Get(ctx context.Context, key string) (json.RawMessage, time.Time, bool, error) {
	e, err := b.kv.Get(ctx, key)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil, time.Time{}, false, nil
	}
	if err != nil {
		return nil, time.Time{}, false, err
	}
	age := b.now().Sub(e.Created()) // by the server's clock, which this machine's may differ from
	return e.Value(), time.Now().Add(-age), true, nil
}

func (b bucket) Put(ctx context.Context, key string, value json.RawMessage) error {
	_, err := b.kv.Put(ctx, key, value)
	return err
}
