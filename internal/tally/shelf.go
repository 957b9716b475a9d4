package tally

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"belay/internal/bus"
	"belay/internal/exactjson"
)

// Keys of the bucket: the head and the pages of each partition, the runs that are being removed, and what was found.
const (
	leaseKey  = "lease"
	damageKey = "damage"
	lookedKey = "looked"
	askedKey  = "asked"  // by who does not keep the tally, and has to know whether the log was looked at
	besideKey = "beside" // by the process beside a server that loses its last second, while it is there
	leaving   = "leaving."
)

func headKey(p int) string { return strconv.Itoa(p) + ".head" }
func pageKey(p int, number uint64) string {
	return strconv.Itoa(p) + ".page." + strconv.FormatUint(number, 10)
}

// shelf is where the leaves are kept inside the store.
type shelf struct {
	bus *bus.Bus
}

func (s shelf) bucket(ctx context.Context) (*bus.Bucket, error) {
	return s.bus.Bucket(ctx, s.bus.Names().TallyBucket(), "Belay: what the log is known to hold")
}

// head reads the head of a partition; false where there is none.
func (s shelf) head(ctx context.Context, p int) (h head, ok bool, err error) {
	v, ok, err := s.get(ctx, headKey(p))
	if err != nil || !ok {
		return h, false, err
	}
	err = exactjson.Unmarshal(v, &h)
	return h, err == nil && h.V == version, nil
}

// page reads a page; nil where there is none that is whole.
func (s shelf) page(ctx context.Context, p int, number uint64) (*leaves, error) {
	v, ok, err := s.get(ctx, pageKey(p, number))
	if err != nil || !ok {
		return nil, err
	}
	return readLeaves(v), nil
}

func (s shelf) get(ctx context.Context, key string) ([]byte, bool, error) {
	b, err := s.bucket(ctx)
	if err != nil {
		return nil, false, err
	}
	it, ok, err := b.Get(ctx, key)
	return it.Value, ok, err
}

// looked is when the process that keeps the tally has said last that it has looked; zero where none has.
func (s shelf) looked(ctx context.Context) (time.Time, error) {
	b, err := s.bucket(ctx)
	if err != nil {
		return time.Time{}, err
	}
	it, _, err := b.Get(ctx, lookedKey)
	return it.Time, err
}

// asked is the revision under which somebody has asked last for a look; 0 where nobody has.
func (s shelf) asked(ctx context.Context) (uint64, error) {
	b, err := s.bucket(ctx)
	if err != nil {
		return 0, err
	}
	it, _, err := b.Get(ctx, askedKey)
	return it.Revision, err
}

func (s shelf) put(ctx context.Context, key string, value []byte) error {
	b, err := s.bucket(ctx)
	if err != nil {
		return err
	}
	return b.Put(ctx, key, value, nil)
}

func (s shelf) putJSON(ctx context.Context, key string, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return s.put(ctx, key, body)
}

// Leave announces that what a partition has on a subject, or of its run, is about to be removed. It returns once that is
// stored. Only what a person discards needs that: of a run that the janitor removes, the mark in the log says so.
func Leave(ctx context.Context, b *bus.Bus, partition int, subject string) error {
	of := runOf(b.Names(), subject)
	key := leaving + strconv.Itoa(partition) + "." + fmt.Sprintf("%x", ownerOf(of))
	if err := (shelf{b}).put(ctx, key, []byte(of)); err != nil {
		return fmt.Errorf("announce a removal: %w", err)
	}
	return nil
}

// left are the runs whose removal from a partition was announced.
func (s shelf) left(ctx context.Context, p int) (map[owner]bool, error) {
	b, err := s.bucket(ctx)
	if err != nil {
		return nil, err
	}
	items, err := b.Under(ctx, leaving+strconv.Itoa(p)+".")
	if err != nil {
		return nil, err
	}
	all := map[owner]bool{}
	for _, it := range items {
		all[ownerOf(string(it.Value))] = true
	}
	return all, nil
}

// leavingKept is how long an announced removal is remembered; it is done right after.
const leavingKept = 24 * time.Hour

// forgetLeft forgets removals from a partition that were announced before a time.
func (s shelf) forgetLeft(ctx context.Context, p int, before time.Time) error {
	b, err := s.bucket(ctx)
	if err != nil {
		return err
	}
	items, err := b.Under(ctx, leaving+strconv.Itoa(p)+".")
	for _, it := range items {
		if err == nil && it.Time.Before(before) {
			err = b.DeleteRevision(ctx, it.Key, it.Revision)
		}
	}
	return err
}
