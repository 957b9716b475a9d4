package score

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"belay/internal/bus"
	"belay/internal/exactjson"
)

// Keys of the bucket.
const (
	bookPrefix = "book." // and the partition
	dayPrefix  = "day."  // and the partition, and the day
	spikesKey  = "spikes"
	leaseKey   = "lease"
)

func openBucket(ctx context.Context, b *bus.Bus) (*bus.Bucket, error) {
	return b.Bucket(ctx, b.Names().ScoreBucket(), "Belay: what came of calls")
}

func bookKey(p int) string { return bookPrefix + strconv.Itoa(p) }

func dayKey(p int, at time.Time) string { return dayPrefix + strconv.Itoa(p) + "." + day(at) }

// readBook reads the book of a partition; an empty one where there is none, or none that can be read.
func readBook(ctx context.Context, bucket *bus.Bucket, p int) (b *Book, revision uint64, err error) {
	it, ok, err := bucket.Get(ctx, bookKey(p))
	if err != nil || !ok {
		return newBook(), 0, err
	}
	return parseBook(it.Value), it.Revision, nil
}

func parseBook(body []byte) *Book {
	b := newBook()
	if exactjson.Unmarshal(body, b) != nil || b.Tools == nil || b.Causes == nil {
		return newBook()
	}
	return b
}

// write stores a book, and the hours that are due before it. While an hour is in both, the book counts. The error is a
// [bus.ErrConflict] if somebody else counts the partition.
func write(ctx context.Context, bucket *bus.Bucket, p int, b *Book, revision uint64, now time.Time) (uint64, error) {
	for _, h := range b.due(now) {
		if err := putHour(ctx, bucket, p, h); err != nil {
			return 0, err
		}
	}
	b.closed(now)
	body, err := json.Marshal(b)
	if err != nil {
		return 0, err
	}
	return bucket.Swap(ctx, bookKey(p), body, revision)
}

func putHour(ctx context.Context, bucket *bus.Bucket, p int, h Slot) error {
	it, _, err := bucket.Get(ctx, dayKey(p, h.At))
	if err != nil {
		return err
	}
	var d Day
	if len(it.Value) > 0 && exactjson.Unmarshal(it.Value, &d) != nil {
		d = Day{} // what cannot be read is of no use to anybody
	}
	d.put(h)
	return putDay(ctx, bucket, dayKey(p, h.At), &d, it.Revision)
}

func putDay(ctx context.Context, bucket *bus.Bucket, key string, d *Day, revision uint64) error {
	body, err := json.Marshal(d)
	if err == nil {
		_, err = bucket.Swap(ctx, key, body, revision)
	}
	return err
}

// tidy rolls up days that are over for a week, and removes those that are not kept any more.
func tidy(ctx context.Context, bucket *bus.Bucket, p int, now time.Time) error {
	items, err := bucket.Under(ctx, dayPrefix+strconv.Itoa(p)+".")
	if err != nil {
		return err
	}
	gone, whole := day(now.Add(-keep-24*time.Hour)), day(now.Add(-keepHours))
	for _, it := range items {
		var d Day
		on := it.Key[strings.LastIndexByte(it.Key, '.')+1:]
		switch {
		case on < gone:
			err = bucket.Delete(ctx, it.Key)
		case on < whole && exactjson.Unmarshal(it.Value, &d) == nil && len(d.Hours) > 1:
			d = d.rolledUp()
			err = putDay(ctx, bucket, it.Key, &d, it.Revision)
		}
		if err != nil {
			return fmt.Errorf("tidy %s: %w", it.Key, err)
		}
	}
	return nil
}

// Counts are the counts of all partitions.
type Counts struct {
	At     time.Time        // up to when the partitions are counted at least that something has come of
	Since  time.Time        // when counting began; zero where nothing was counted
	Hours  []Slot           // by the hour or the day, the oldest first
	Slots  []Slot           // the last two hours once more, in slots of five minutes
	Tools  map[string]*Tool // what is known of them
	Causes []Cause          // those that were seen last first
}

// Read reads what is counted; it makes nothing.
func Read(ctx context.Context, b *bus.Bus) (*Counts, error) {
	bucket, err := b.BucketIfThere(ctx, b.Names().ScoreBucket())
	if err != nil || bucket == nil {
		return merged(nil, nil), err
	}
	items, err := bucket.All(ctx)
	if err != nil {
		return nil, fmt.Errorf("what is counted of calls: %w", err)
	}
	books, days := map[string]*Book{}, map[string]map[string]Day{}
	for _, it := range items {
		if p, is := strings.CutPrefix(it.Key, bookPrefix); is {
			books[p] = parseBook(it.Value)
		}
		rest, is := strings.CutPrefix(it.Key, dayPrefix)
		p, on, _ := strings.Cut(rest, ".")
		var d Day
		if is && exactjson.Unmarshal(it.Value, &d) == nil {
			if days[p] == nil {
				days[p] = map[string]Day{}
			}
			days[p][on] = d
		}
	}
	return merged(books, days), nil
}
