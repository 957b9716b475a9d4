package dlq

import (
	"sync"
	"testing"

	"belay/internal/bus/bustest"
)

// BenchmarkList lists 10,000 entries: anew, after one has come and one has gone, and when nothing has changed.
func BenchmarkList(b *testing.B) {
	bus := bustest.Start(b, 1)
	x := New(bus)
	var wg sync.WaitGroup
	for n := range 10_000 {
		wg.Add(1)
		x.Put(entry("run", n, "t"), func(err error) {
			if err != nil {
				b.Error(err)
			}
			wg.Done()
		})
	}
	wg.Wait()
	list := func(b *testing.B, x *Queue) {
		if all, err := x.List(b.Context()); err != nil || len(all) != 10_000 {
			b.Fatal(len(all), err)
		}
	}
	b.Run("anew", func(b *testing.B) {
		for b.Loop() {
			list(b, New(bus))
		}
	})
	b.Run("changed", func(b *testing.B) {
		list(b, x)
		n := 10_000
		for b.Loop() {
			done := make(chan error, 1)
			x.Put(entry("run", n, "t"), func(err error) { done <- err })
			if err := <-done; err != nil {
				b.Fatal(err)
			}
			if err := x.Remove(b.Context(), entry("run", n-10_000, "t").Escalation); err != nil {
				b.Fatal(err)
			}
			n++
			list(b, x)
		}
	})
	b.Run("same", func(b *testing.B) {
		list(b, x)
		for b.Loop() {
			list(b, x)
		}
	})
}
