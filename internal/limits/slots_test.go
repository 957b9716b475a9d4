package limits

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// partitionIn reads the partition of an attempt from its name: `<partition>-<n>/s/0-0-1`.
func partitionIn(attempt string) int {
	p, _, _ := strings.Cut(attempt, "-")
	n, _ := strconv.Atoi(p)
	return n
}

// TestSlots plays dispatchers that know of a limit by one record, which any of them may write: there are never more slots taken than
// the one who got the last one knows of, none is taken twice, nobody loses a slot before it is over, and nobody passes whoever goes
// next; a slot is never free while somebody waits.
func TestSlots(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		most := rapid.IntRange(1, 5).Draw(t, "slots")
		dispatchers, rec, lines := rapid.IntRange(1, 3).Draw(t, "dispatchers"), Slots{}, map[int][]Waiter{}
		for n := range rapid.IntRange(1, 60).Draw(t, "moves") {
			p := rapid.IntRange(0, 3).Draw(t, "partition")
			say := turn{over: map[string]bool{}, lines: map[int]queue{}}
			switch rapid.IntRange(0, 3).Draw(t, "move") {
			case 0, 1:
				w := Waiter{fmt.Sprintf("%d-%d/s/0-0-1", p, n), noon.Add(time.Duration(n) * time.Second), most}
				lines[p] = append(lines[p], w)
			case 2:
				if len(rec.Calls) > 0 {
					say.over[rapid.SampledFrom(rec.Calls).Draw(t, "over").Attempt] = true
				}
			case 3:
				lines[p] = nil // all of them were cancelled
			}
			for q, line := range lines {
				if q%dispatchers == p%dispatchers { // who writes has these
					say.lines[q] = queueOf(line)
				}
			}
			was := rec
			rec = rec.next(say, partitionIn, noon)
			checkSlots(t, was, rec, say, most)
			for q := range lines {
				lines[q] = slices.DeleteFunc(lines[q], func(w Waiter) bool { return has(&rec, w.Attempt) })
			}
		}
	})
}

func has(s *Slots, attempt string) bool {
	return slices.ContainsFunc(s.Calls, func(x Slot) bool { return x.Attempt == attempt })
}

func checkSlots(t *rapid.T, was, rec Slots, say turn, most int) {
	seen := map[string]bool{}
	for _, x := range rec.Calls {
		if seen[x.Attempt] {
			t.Fatalf("%s has two slots", x.Attempt)
		}
		seen[x.Attempt] = true
	}
	for _, x := range was.Calls {
		if !say.over[x.Attempt] && !seen[x.Attempt] {
			t.Fatalf("%s has lost its slot", x.Attempt)
		}
	}
	for i, w := range rec.Waits {
		if seen[w.Attempt] {
			t.Fatalf("%s has a slot, and waits for one, or waits twice", w.Attempt)
		}
		if seen[w.Attempt] = true; i > 0 && rec.Waits[i-1].before(w) > 0 {
			t.Fatalf("%s stands before %s", rec.Waits[i-1].Attempt, w.Attempt)
		}
	}
	if len(rec.Calls) > most {
		t.Fatalf("%d slots of %d are taken", len(rec.Calls), most)
	}
	if len(rec.Waits) > 0 && len(rec.Calls) < most {
		t.Fatalf("%d slots of %d are taken, and %d wait", len(rec.Calls), most, len(rec.Waits))
	}
	for _, w := range was.Waits { // whoever waited and still does was not passed
		later := func(x Slot) bool { return !has(&was, x.Attempt) && waitedAfter(was.Waits, x.Attempt, w) }
		if slices.ContainsFunc(rec.Waits, func(x Waiter) bool { return x.Attempt == w.Attempt }) && slices.ContainsFunc(rec.Calls, later) {
			t.Fatalf("%s was passed", w.Attempt)
		}
	}
}

func waitedAfter(waits []Waiter, attempt string, w Waiter) bool {
	return slices.ContainsFunc(waits, func(x Waiter) bool { return x.Attempt == attempt && w.before(x) < 0 })
}

// TestSlotsOfOlderRuns: a run that knows of fewer slots waits until so few are taken, and nobody passes it.
func TestSlotsOfOlderRuns(t *testing.T) {
	t.Parallel()
	w := func(n, most int) Waiter {
		return Waiter{fmt.Sprintf("0-%d/s/0-0-1", n), noon.Add(time.Duration(n)), most}
	}
	say := func(all ...Waiter) turn { return turn{lines: map[int]queue{0: queueOf(all)}} }
	rec := Slots{}.next(say(w(0, 3), w(1, 3), w(2, 1), w(3, 3)), partitionIn, noon)
	if len(rec.Calls) != 2 || len(rec.Waits) != 2 || rec.Waits[0].Attempt != "0-2/s/0-0-1" {
		t.Fatalf("%+v", rec)
	}
	rest := say(w(2, 1), w(3, 3))
	rest.over = map[string]bool{"0-0/s/0-0-1": true, "0-1/s/0-0-1": true}
	if rec = rec.next(rest, partitionIn, noon); len(rec.Calls) != 2 || len(rec.Waits) != 0 {
		t.Fatalf("%+v", rec)
	}
}

// TestManyWait: everybody knows the first ones by name and how many there are.
func TestManyWait(t *testing.T) {
	t.Parallel()
	var line []Waiter
	for n := range 100 {
		line = append(line, Waiter{fmt.Sprintf("1-%03d/s/0-0-1", n), noon.Add(time.Duration(n)), 1})
	}
	rec := Slots{}.next(turn{lines: map[int]queue{1: queueOf(line)}}, partitionIn, noon)
	if len(rec.Calls) != 1 || rec.waiting() != 99 || len(rec.Waits) != named-1 || rec.More[1] != 100-named {
		t.Errorf("%d taken, %d wait, %d by name", len(rec.Calls), rec.waiting(), len(rec.Waits))
	}
	all := []Limit{ofSlots("slots.0123456789", &Slots{Covers: "payments", Most: 1, Calls: rec.Calls, Waits: rec.Waits, More: rec.More})}
	if place := Place(all, "1-003", "s"); place != "3rd of 99 that wait for a free slot of payments; 1 of 1 are in hand" {
		t.Error(place)
	}
}
