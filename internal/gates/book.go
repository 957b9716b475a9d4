package gates

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"belay/internal/bus"
	"belay/internal/exactjson"
)

// Book is where the gates are kept.
type Book struct{ bus *bus.Bus }

// Of returns the gates of an installation.
func Of(b *bus.Bus) *Book { return &Book{b} }

// ErrNone says that there is no such gate.
var ErrNone = errors.New("there is no such gate: `dispatcher gate ls` lists them")

// ErrOpen says that a gate is open already.
var ErrOpen = errors.New("the gate is open already")

func (k *Book) bucket(ctx context.Context) (*bus.Bucket, error) {
	return k.bus.Bucket(ctx, k.bus.Names().GatesBucket(), "Belay: gates, which hold calls back while they are closed")
}

// ErrClosed says that a gate is closed already.
var ErrClosed = errors.New("a gate of this id is closed already: open it first, or choose another id")

// Close stores a closed gate. It may have the id of one that was opened.
func (k *Book) Close(ctx context.Context, g Gate) error {
	bucket, err := k.bucket(ctx)
	if err != nil {
		return err
	}
	it, ok, err := bucket.Get(ctx, g.key())
	if err != nil {
		return err
	}
	if was, is := readGate(it); ok && is && was.Closed() {
		return fmt.Errorf("gate %s: %w", g.ID, ErrClosed)
	}
	err = put(ctx, bucket, g.key(), g, it.Revision)
	if errors.Is(err, bus.ErrConflict) {
		return fmt.Errorf("gate %s: %w", g.ID, ErrClosed)
	}
	return err
}

// Restore stores a gate that is not there, because the log of a run says that it was closed.
func (k *Book) Restore(ctx context.Context, g Gate) error {
	if err := k.Close(ctx, g); err != nil && !errors.Is(err, ErrClosed) {
		return err
	}
	return nil
}

func put(ctx context.Context, bucket *bus.Bucket, key string, v any, revision uint64) error {
	body, err := json.Marshal(v)
	if err == nil {
		_, err = bucket.Swap(ctx, key, body, revision)
	}
	return err
}

// Open opens a gate, and forgets what was said of it and others that were opened long ago.
func (k *Book) Open(ctx context.Context, id string, o Opening) (Gate, error) {
	bucket, err := k.bucket(ctx)
	if err != nil {
		return Gate{}, err
	}
	for {
		it, ok, err := bucket.Get(ctx, gatePrefix+id)
		if err != nil {
			return Gate{}, err
		}
		g, is := readGate(it)
		switch {
		case !ok || !is:
			return Gate{}, fmt.Errorf("gate %q: %w", id, ErrNone)
		case !g.Closed():
			return g, fmt.Errorf("gate %s: %w", id, ErrOpen)
		}
		g.Opened = &o
		if err = put(ctx, bucket, g.key(), g, it.Revision); errors.Is(err, bus.ErrConflict) {
			continue // somebody else was first
		}
		if err == nil {
			k.tidy(ctx, bucket, o.At)
		}
		return g, err
	}
}

// kept is how long a gate is remembered after it was opened: a run that it holds back hears of it within that time, or it is
// closed again.
const kept = 30 * 24 * time.Hour

// tidy removes what nobody asks for any more. What stays because of an error is removed the next time.
func (k *Book) tidy(ctx context.Context, bucket *bus.Bucket, now time.Time) {
	all, err := bucket.All(ctx)
	if err != nil {
		return
	}
	closed := map[string]bool{}
	for _, it := range all {
		if g, ok := readGate(it); ok && g.Closed() {
			closed[g.ID] = true
		} else if ok && now.Sub(g.Opened.At) > kept {
			_ = bucket.DeleteRevision(ctx, it.Key, it.Revision)
		}
	}
	for _, it := range all {
		if d, ok := readDrain(it); ok && !closed[d.Gate] {
			_ = bucket.Delete(ctx, it.Key)
		}
	}
}

// List returns all gates with what is known of them, closed ones first. It makes nothing.
func (k *Book) List(ctx context.Context) ([]Progress, error) {
	bucket, err := k.bus.BucketIfThere(ctx, k.bus.Names().GatesBucket())
	if err != nil || bucket == nil {
		return []Progress{}, err
	}
	items, err := bucket.All(ctx)
	if err != nil {
		return nil, err
	}
	var all []Gate
	said := map[string]map[int]Drain{}
	for _, it := range items {
		if g, ok := readGate(it); ok {
			all = append(all, g)
		}
		if d, ok := readDrain(it); ok {
			note(said, d)
		}
	}
	list := []Progress{}
	for _, g := range sorted(all) {
		list = append(list, progressOf(g, k.bus.Partitions(), said[g.ID]))
	}
	return list, nil
}

func note(said map[string]map[int]Drain, d Drain) {
	if said[d.Gate] == nil {
		said[d.Gate] = map[int]Drain{}
	}
	said[d.Gate][d.Partition] = d
}

// Find returns the gate with this id, or the only one whose id ends so.
func (k *Book) Find(ctx context.Context, id string) (Progress, error) {
	all, err := k.List(ctx)
	if err != nil {
		return Progress{}, err
	}
	var found []Progress
	for _, p := range all {
		if p.ID == id {
			return p, nil
		}
		if id != "" && strings.HasSuffix(p.ID, id) {
			found = append(found, p)
		}
	}
	if len(found) != 1 {
		return Progress{}, fmt.Errorf("gate %q: %w", id, ErrNone)
	}
	return found[0], nil
}

// Watch calls on with what becomes of a gate, now and at each change, until ctx ends or on returns false.
func (k *Book) Watch(ctx context.Context, id string, on func(Progress) bool) error {
	bucket, err := k.bucket(ctx)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	said, ready := map[string]map[int]Drain{}, false
	var gate Gate
	tell := func() {
		if ready && gate.ID == id && !on(progressOf(gate, k.bus.Partitions(), said[id])) {
			stop()
		}
	}
	return bucket.Watch(ctx, func(it bus.Item) {
		if g, ok := readGate(it); ok && g.ID == id {
			gate = g
			tell()
		}
		if d, ok := readDrain(it); ok && d.Gate == id {
			note(said, d)
			tell()
		}
	}, func() {
		ready = true
		tell()
	})
}

// report stores what a dispatcher says of a gate. The last word counts.
func (k *Book) report(ctx context.Context, d Drain) error {
	body, err := json.Marshal(d)
	if err != nil {
		return err
	}
	bucket, err := k.bucket(ctx)
	if err == nil {
		err = bucket.Put(ctx, d.key(), body, nil)
	}
	return err
}

func readGate(it bus.Item) (g Gate, ok bool) {
	if it.Value == nil || exactjson.Unmarshal(it.Value, &g) != nil || g.key() != it.Key {
		return Gate{}, false
	}
	return g, g.Check() == nil
}

func readDrain(it bus.Item) (d Drain, ok bool) {
	if it.Value == nil || exactjson.Unmarshal(it.Value, &d) != nil {
		return Drain{}, false
	}
	return d, d.key() == it.Key
}
