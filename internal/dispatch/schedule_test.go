package dispatch

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// The schedule against a list that is sorted each time.
func TestScheduleIsAHeap(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var s schedule
		var in []*run
		pool := make([]*run, 12)
		for i := range pool {
			pool[i] = &run{}
		}
		drop := func(r *run) { in = slices.DeleteFunc(in, func(x *run) bool { return x == r }) }
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				r := rapid.SampledFrom(pool).Draw(t, "run")
				drop(r)
				in = append(in, r)
				s.put(r, time.Unix(rapid.Int64Range(1, 50).Draw(t, "at"), 0))
			},
			"remove": func(t *rapid.T) {
				r := rapid.SampledFrom(pool).Draw(t, "run")
				drop(r)
				s.remove(r)
			},
			"": func(t *rapid.T) {
				if len(s.heap) != len(in) {
					t.Fatalf("%d in the schedule, want %d", len(s.heap), len(in))
				}
				first := s.first()
				for i, r := range s.heap {
					if r.timer.index != i+1 {
						t.Fatalf("place %d says %d", i+1, r.timer.index)
					}
					if r.timer.at.Before(first.timer.at) {
						t.Fatalf("%v is due before the first, %v", r.timer.at, first.timer.at)
					}
				}
			},
		})
	})
}
