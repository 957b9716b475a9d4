package score

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"belay/internal/steps"
)

// history is a world in which every five minutes so many results come, of which so many are not of the first rung.
type history struct {
	book *Book
	days map[string]Day
	seq  uint64
	now  time.Time
}

func newHistory() *history {
	h := &history{book: newBook(), days: map[string]Day{}, now: start}
	h.seq++
	h.book.count([]Change{{Seq: h.seq, At: start, What: Defined, Tools: map[string]steps.Tool{"pay": {Name: "pay", Rungs: []steps.Rung{{Name: "a"}, {Name: "b"}}, SLO: &steps.SLO{Primary: 0.99, Window: Span(keep), Decision: Span(time.Minute)}}}}})
	return h
}

func (h *history) pass(good, bad int, more ...Change) {
	list := more
	for range good {
		list = append(list, Change{What: Primary, Tool: "pay", Rung: "a"})
	}
	for range bad {
		list = append(list, Change{What: Degraded, Tool: "pay", Rung: "b"})
	}
	for i := range list {
		h.seq++
		list[i].Seq, list[i].At = h.seq, h.now
	}
	h.book.count(list)
	for _, hour := range h.book.due(h.now) {
		d := h.days[day(hour.At)]
		d.put(hour)
		h.days[day(hour.At)] = d
	}
	h.book.closed(h.now)
	h.now = h.now.Add(slotLen)
}

func (h *history) counts() *Counts {
	return merged(map[string]*Book{"0": h.book}, map[string]map[string]Day{"0": h.days})
}

func open(list []Spike, kind Kind) bool {
	for _, s := range list {
		if s.Kind == kind && s.Over.IsZero() {
			return true
		}
	}
	return false
}

// TestSpikes: each kind begins when it should, is over when it looks as usual for a while, and does not come of a usual week.
func TestSpikes(t *testing.T) {
	t.Parallel()
	asked, lateDecision := Change{What: Asked, Tool: "pay"}, Change{What: Decided, Tool: "pay", Late: true, Took: time.Hour}
	broken := Change{What: Faulted, Tool: "pay", Rung: "a", Fault: fault("no such table")}
	for kind, spell := range map[Kind]func(*history){
		Burns: func(h *history) { h.pass(10, 10) }, Jumped: func(h *history) { h.pass(10, 10) },
		NewCause: func(h *history) { h.pass(10, 0, broken) }, PilesUp: func(h *history) { h.pass(10, 0, asked, asked, asked) },
		TooLate: func(h *history) { h.pass(10, 0, lateDecision) },
	} {
		h := newHistory()
		var list []Spike
		look := func() { list = Judge(h.counts(), list, h.now) }
		for range 12 * 24 * 2 {
			h.pass(10, 0)
			look()
		}
		if len(list) > 0 {
			t.Fatalf("%s: a usual week has %+v", kind, list)
		}
		for range 12 {
			spell(h)
			look()
		}
		if !open(list, kind) {
			t.Errorf("%s is not noticed: %+v", kind, list)
		}
		for range 12 * 9 {
			h.pass(10, 0)
			look()
		}
		if open(list, kind) || len(list) == 0 {
			t.Errorf("%s: nine hours later it goes on: %+v", kind, list)
		}
		for range 12 * 25 {
			h.pass(10, 0)
			look()
		}
		if len(list) != 0 {
			t.Errorf("%s: a day later it is shown still: %+v", kind, list)
		}
	}
}

// TestJudgeHolds: whatever comes, a spike is told of at most once as it begins and once as it is over, one that goes on is never lost,
// looking twice at the same changes nothing, and there are not too many.
func TestJudgeHolds(t *testing.T) {
	t.Parallel()
	seeds := uint64(10)
	if testing.Short() {
		seeds = 3
	}
	for seed := range seeds {
		r := rand.New(rand.NewPCG(seed, 3))
		h := newHistory()
		var list []Spike
		told := map[string]int{}
		for range 12 * 30 {
			var more []Change
			for range r.IntN(4) {
				more = append(more, anyChange(r, 0, h.now))
			}
			bad := 0
			if r.IntN(6) == 0 {
				bad = r.IntN(30)
			}
			h.pass(r.IntN(20), bad, more...)
			c, was := h.counts(), list
			list = Judge(c, was, h.now)
			if again := Judge(c, list, h.now); !reflect.DeepEqual(again, list) {
				t.Fatalf("seed %d: looked at again\n%+v, then\n%+v", seed, list, again)
			}
			holds(t, seed, was, list)
			for _, s := range ToNotify(list) {
				what := NotifiedBegin
				if !s.Over.IsZero() {
					what = NotifiedOver
				}
				if key := fmt.Sprint(s.ID, s.Since, what); told[key] > 0 {
					t.Fatalf("seed %d: told twice of %s", seed, key)
				} else if told[key]++; r.IntN(3) > 0 {
					tellIn(list, s.ID, what)
				} else {
					delete(told, key) // it did not arrive
				}
			}
		}
	}
}

func tellIn(list []Spike, id, what string) {
	for i := range list {
		if list[i].ID == id {
			list[i].Notified = what
		}
	}
}

func holds(t *testing.T, seed uint64, was, list []Spike) {
	t.Helper()
	is, open := map[string]Spike{}, 0
	for _, s := range list {
		if _, twice := is[s.ID]; twice {
			t.Fatalf("seed %d: %s twice", seed, s.ID)
		}
		if is[s.ID] = s; s.Over.IsZero() {
			open++
		}
	}
	for _, s := range was {
		if _, there := is[s.ID]; s.Over.IsZero() && !there {
			t.Fatalf("seed %d: %s is lost", seed, s.ID)
		}
	}
	if open > mostSpikes {
		t.Fatalf("seed %d: %d spikes", seed, open)
	}
}
