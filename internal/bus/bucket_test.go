package bus_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"belay/internal/bus"
	"belay/internal/bus/bustest"
)

func openBucket(t *testing.T) *bus.Bucket {
	t.Helper()
	k, err := bustest.Connect(t).Bucket(t.Context(), "BELAY_TEST", "a test")
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestABucketIsSwappedByOne(t *testing.T) {
	t.Parallel()
	k := openBucket(t)
	if _, ok, err := k.Get(t.Context(), "a"); ok || err != nil {
		t.Fatalf("an empty bucket has a: %v, %v", ok, err)
	}
	rev, err := k.Swap(t.Context(), "a", []byte("1"), 0)
	if err != nil {
		t.Fatal(err)
	}
	for name, stale := range map[string]uint64{"create": 0, "older": rev - 1, "newer": rev + 1} {
		if _, err := k.Swap(t.Context(), "a", []byte("x"), stale); stale != rev && !errors.Is(err, bus.ErrConflict) {
			t.Errorf("%s: %v; want a conflict", name, err)
		}
	}
	var wg sync.WaitGroup
	won := make(chan int, 16)
	for n := range 16 {
		wg.Go(func() {
			if _, err := k.Swap(t.Context(), "a", []byte{byte(n)}, rev); err == nil {
				won <- n
			} else if !errors.Is(err, bus.ErrConflict) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	it, ok, err := k.Get(t.Context(), "a")
	if len(won) != 1 || err != nil || !ok || it.Value[0] != byte(<-won) || it.Time.IsZero() {
		t.Errorf("%d have won; %+v, %v, %v", len(won)+1, it, ok, err)
	}
	if err := k.Delete(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Swap(t.Context(), "a", []byte("2"), 0); err != nil {
		t.Errorf("a deleted key is free again: %v", err)
	}
}

func TestABucketIsListedAndWatched(t *testing.T) {
	t.Parallel()
	k := openBucket(t)
	if all, err := k.All(t.Context()); err != nil || len(all) != 0 {
		t.Fatalf("%v, %v", all, err)
	}
	for _, key := range []string{"a", "b", "c"} {
		if _, err := k.Swap(t.Context(), key, []byte(key), 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := k.Delete(t.Context(), "b"); err != nil {
		t.Fatal(err)
	}
	all, err := k.All(t.Context())
	if err != nil || len(all) != 2 {
		t.Fatalf("%v, %v", all, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ready, seen, end := make(chan struct{}), make(chan bus.Item, 8), make(chan error, 1)
	go func() { end <- k.Watch(ctx, func(it bus.Item) { seen <- it }, func() { close(ready) }) }()
	<-ready
	var keys []string
	for len(seen) > 0 {
		if it := <-seen; it.Value != nil {
			keys = append(keys, it.Key)
		}
	}
	slices.Sort(keys)
	if strings.Join(keys, "") != "ac" {
		t.Errorf("%v are there", keys)
	}
	if err := k.Delete(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if it := <-seen; it.Key != "a" || it.Value != nil {
		t.Errorf("%+v; want that a is gone", it)
	}
	cancel()
	if err := <-end; err != nil {
		t.Error(err)
	}
}

func TestABucketWhoseValuesGo(t *testing.T) {
	t.Parallel()
	b := bustest.Start(t, 1)
	for range 2 { // made, then found
		k, err := b.Bucket(t.Context(), "gone_soon", "", bus.KeepFor(time.Second))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := k.Swap(t.Context(), "a", []byte("1"), 0); err != nil && !errors.Is(err, bus.ErrConflict) {
			t.Fatal(err)
		}
	}
	s, err := b.JetStream().Stream(t.Context(), "KV_gone_soon")
	if err != nil {
		t.Fatal(err)
	}
	if age := s.CachedInfo().Config.MaxAge; age != time.Second {
		t.Errorf("values are kept for %s", age)
	}
}

// TestTheEndOfAWatchIsNoError: the library closes what it watches with when ctx ends, at about the same moment.
func TestTheEndOfAWatchIsNoError(t *testing.T) {
	t.Parallel()
	k := openBucket(t)
	for range 500 {
		ctx, cancel := context.WithCancel(t.Context())
		if err := k.Watch(ctx, func(bus.Item) {}, cancel); err != nil {
			t.Fatal(err)
		}
	}
}

// What is there is written again, whether it is kept or replaced: that it can be read does not prove that it is stored.
func TestPutWritesWhatIsThereAgain(t *testing.T) {
	t.Parallel()
	k := openBucket(t)
	put := func(value string, keep func(bus.Item) bool) bus.Item {
		t.Helper()
		if err := k.Put(t.Context(), "a", []byte(value), keep); err != nil {
			t.Fatal(err)
		}
		it, _, err := k.Get(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		return it
	}
	first := put("1", nil)
	kept := put("2", func(bus.Item) bool { return true })
	replaced := put("3", func(bus.Item) bool { return false })
	if string(first.Value) != "1" || string(kept.Value) != "1" || string(replaced.Value) != "3" {
		t.Errorf("values %s %s %s", first.Value, kept.Value, replaced.Value)
	}
	if kept.Revision <= first.Revision || replaced.Revision <= kept.Revision {
		t.Errorf("revisions %d %d %d", first.Revision, kept.Revision, replaced.Revision)
	}
}
