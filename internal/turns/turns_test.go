package turns

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"belay/internal/steps"
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func place(name, tenant string, of steps.Priority, since int) *Place {
	return &Place{Of: of, Tenant: tenant, Since: noon.Add(time.Duration(since) * time.Second), Name: name}
}

// TestTurns: people's first, tenants by turns, whoever waits longest first, and nobody waits for ever.
func TestTurns(t *testing.T) {
	t.Parallel()
	var q Queue[*Place]
	for n := range 4 {
		q.Push(place(fmt.Sprint("a", n), "a", steps.PriorityNew, n))
	}
	q.Push(place("b0", "b", steps.PriorityNew, 9))
	q.Push(place("b1", "b", steps.PriorityNew, 7)) // waits longer
	gone := place("b2", "b", steps.PriorityNew, 0)
	q.Push(gone)
	if !q.Leave(gone) || q.Leave(gone) {
		t.Error("who waits leaves once")
	}
	q.Push(place("p0", "p", steps.PriorityPeople, 10))
	q.Push(place("z0", "z", steps.PriorityRedone, 0))
	var got []string
	for w, ok := q.Pop(); ok; w, ok = q.Pop() {
		got = append(got, w.Name)
	}
	if want := "p0 a0 b1 a1 b0 a2 a3 z0"; strings.Join(got, " ") != want || q.Len() != 0 {
		t.Errorf("%v, want %s; %d left", got, want, q.Len())
	}
}

// some draws those that wait.
func some(t *rapid.T, tenants int) []*Place {
	var list []*Place
	for n := range rapid.IntRange(0, 80).Draw(t, "waiting") {
		list = append(list, place(
			fmt.Sprint(n), fmt.Sprint("t", rapid.IntRange(1, tenants).Draw(t, "tenant")),
			steps.Priority(rapid.IntRange(0, steps.Priorities-1).Draw(t, "priority")), rapid.IntRange(0, 20).Draw(t, "since")))
	}
	return list
}

// TestEachGoesOnce: whoever waits goes once, or leaves, and nobody of a tenant passes another of the same priority who waits longer.
func TestEachGoesOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var q Queue[*Place]
		waits := map[*Place]bool{}
		for _, w := range some(t, 4) {
			q.Push(w)
			waits[w] = true
			switch rapid.IntRange(0, 5).Draw(t, "then") {
			case 0:
				if q.Leave(w) != waits[w] {
					t.Fatalf("%s waits: %v", w.Name, waits[w])
				}
				delete(waits, w)
			case 1, 2:
				next, _ := q.Next()
				x, ok := q.Pop()
				if !ok || !waits[x] || x != next {
					t.Fatalf("%v goes, %v was next", x, next)
				}
				delete(waits, x)
				for o := range waits {
					if o.Of == x.Of && o.Tenant == x.Tenant && o.before(x) < 0 {
						t.Fatalf("%s passed %s", x.Name, o.Name)
					}
				}
			}
			if q.Len() != len(waits) {
				t.Fatalf("%d wait, and %d are counted", len(waits), q.Len())
			}
		}
	})
}

// TestNobodyWaitsForEver: where all priorities wait, of eight in a row six are those about which people have decided, and one is of each other;
// where only some do, the higher one has at least six; and between two of a tenant each other one of its priority has had one.
func TestNobodyWaitsForEver(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var q Queue[*Place]
		n, tenants := 0, rapid.IntRange(1, 5).Draw(t, "tenants")
		push := func(tenant string, of steps.Priority) {
			n++
			q.Push(place(fmt.Sprint(n), tenant, of, n))
		}
		there := rapid.SliceOfNDistinct(rapid.IntRange(0, steps.Priorities-1), 1, steps.Priorities, rapid.ID).Draw(t, "priorities")
		slices.Sort(there)
		for _, of := range there {
			for who := range tenants {
				push(fmt.Sprint("t", who), steps.Priority(of))
			}
		}
		const goes = 64
		var count Counts
		turn := map[steps.Priority]map[string]int{}
		for range goes {
			w, _ := q.Pop()
			push(w.Tenant, w.Of) // another one comes
			count[w.Of]++
			had := turn[w.Of]
			if had == nil {
				had = map[string]int{}
				turn[w.Of] = had
			}
			had[w.Tenant]++
			for who := range tenants {
				if d := had[w.Tenant] - had[fmt.Sprint("t", who)]; d > 1 {
					t.Fatalf("%s has had %d more than another one", w.Tenant, d)
				}
			}
		}
		for i, of := range there {
			if i == 0 && count[of] < goes*6/8 || count[of] < goes/8 {
				t.Fatalf("of %d that went, where %v wait: %v", goes, there, count)
			}
		}
	})
}

// TestARecordGoesOn: one that goes after the other, each time with the queue put together anew after what has gone, is the order of the
// whole; and the first of a queue are those of that order.
func TestARecordGoesOn(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var p Past
		for _, w := range some(t, 5) { // what went before
			p = p.After(w)
		}
		list := some(t, 5)
		whole := Ordered(list, p)
		var q Queue[*Place]
		for _, w := range list {
			q.Push(w)
		}
		n := rapid.IntRange(0, 40).Draw(t, "first")
		if first := q.First(n, p); !slices.Equal(first, whole[:min(n, len(whole))]) || q.Len() != len(list) {
			t.Fatalf("the first %d are %v", n, first)
		}
		for i, want := range whole {
			w := Ordered(list, p)[0]
			if w != want {
				t.Fatalf("number %d is %s, and was to be %s", i, w.Name, want.Name)
			}
			p = p.After(w)
			list = slices.DeleteFunc(list, func(x *Place) bool { return x == w })
		}
	})
}

// TestThePastIsShort, however many tenants there are.
func TestThePastIsShort(t *testing.T) {
	t.Parallel()
	var p Past
	for n := range 10 * remembered {
		p = p.After(place("", fmt.Sprint("t", n), steps.PriorityNew, n))
	}
	if last := p.Last[steps.PriorityNew]; len(last) != remembered || last[fmt.Sprint("t", 10*remembered-1)] != p.Gone {
		t.Errorf("%d are remembered", len(last))
	}
}
