package injection

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"belay/internal/bus"
	"belay/internal/exactjson"
)

// Orders are those in the bucket.
type Orders struct{ bus *bus.Bus }

// Of returns the orders of an installation.
func Of(b *bus.Bus) *Orders { return &Orders{b} }

const keyPrefix = "fault."

// bucket opens the bucket, and makes it if nobody has asked for faults here before.
func (s *Orders) bucket(ctx context.Context) (*bus.Bucket, error) {
	return s.bus.Bucket(ctx, s.bus.Names().FaultsBucket(), "Belay: faults on purpose; each ends by itself", bus.KeepFor(Longest))
}

// Prepare makes the bucket if it is not there.
func (s *Orders) Prepare(ctx context.Context) error {
	_, err := s.bucket(ctx)
	return err
}

// Add stores an order.
func (s *Orders) Add(ctx context.Context, o Order) error {
	body, err := json.Marshal(o)
	if err != nil {
		return fmt.Errorf("add a fault: %w", err)
	}
	bucket, err := s.bucket(ctx)
	if err == nil {
		err = bucket.Put(ctx, o.key(), body, nil)
	}
	return err
}

// Remove ends an order before its time. One of a worker's settings is only no longer shown.
func (s *Orders) Remove(ctx context.Context, o Order) error {
	bucket, err := s.bucket(ctx)
	if err != nil {
		return err
	}
	return bucket.Delete(ctx, o.key())
}

// List returns the orders that are stored, the oldest first, also those whose time is over. It makes nothing: where nobody
// has asked for faults there is no bucket.
func (s *Orders) List(ctx context.Context) ([]Order, error) {
	bucket, err := s.bus.BucketIfThere(ctx, s.bus.Names().FaultsBucket())
	if err != nil || bucket == nil {
		return nil, err
	}
	items, err := bucket.All(ctx)
	if err != nil {
		return nil, err
	}
	var all []Order
	for _, it := range items {
		if o, ok := read(it); ok {
			all = append(all, o)
		}
	}
	return sorted(all), nil
}

// read reads an order; what is none, or says what an order must not say, is nobody's.
func read(it bus.Item) (o Order, ok bool) {
	if it.Value == nil || exactjson.Unmarshal(it.Value, &o) != nil || o.key() != it.Key {
		return Order{}, false
	}
	return o, o.Check() == nil
}

// pause is how long Follow waits before it looks for the bucket again.
const pause = 2 * time.Second

// Follow calls on with all orders that are stored, now and whenever that changes, until ctx ends. While nothing is heard of
// them, the orders that were known stay: they end by their own time. Trouble is called when that begins.
func (s *Orders) Follow(ctx context.Context, on func([]Order), trouble func(error)) {
	troubled := false
	for {
		err := s.listen(ctx, func(all []Order) {
			troubled = false
			on(all)
		})
		if ctx.Err() != nil {
			return
		}
		if err != nil && !troubled {
			troubled = true
			trouble(err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// listen follows the bucket, if there is one.
func (s *Orders) listen(ctx context.Context, on func([]Order)) error {
	bucket, err := s.bus.BucketIfThere(ctx, s.bus.Names().FaultsBucket())
	if err != nil {
		return err
	}
	if bucket == nil {
		on(nil)
		return nil
	}
	known, ready := map[string]Order{}, false
	tell := func() {
		all := make([]Order, 0, len(known))
		for _, o := range known {
			all = append(all, o)
		}
		on(sorted(all))
	}
	return bucket.Watch(ctx, func(it bus.Item) {
		if o, ok := read(it); ok {
			known[it.Key] = o
		} else {
			delete(known, it.Key)
		}
		if ready {
			tell()
		}
	}, func() {
		ready = true
		tell()
	})
}
