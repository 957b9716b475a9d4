package limits

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"belay/internal/turns"
)

// partitionIn reads the partition of an attempt from its name: `<partition>-<n>/s/0-0-1`.
func partitionIn(attempt string) int {
	p, _, _ := strings.Cut(attempt, "-")
	n, _ := strconv.Atoi(p)
	return n
}

// TestSlots plays dispatchers that know of a limit by one record, which any of them may write: there are never more slots taken than
// the one who got the last one knows of, none is taken twice, nobody loses a slot before it is over, and nobody of the same tenant and
// priority passes another who waits longer; a slot is never free while somebody waits.
func TestSlots(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		most := rapid.IntRange(1, 5).Draw(t, "slots")
		dispatchers, rec, lines := rapid.IntRange(1, 3).Draw(t, "dispatchers"), Slots{}, map[int]*line{}
		for n := range rapid.IntRange(1, 60).Draw(t, "moves") {
			p := rapid.IntRange(0, 3).Draw(t, "partition")
			say := turn{over: map[string]bool{}, lines: map[int]queue{}}
			switch rapid.IntRange(0, 3).Draw(t, "move") {
			case 0, 1:
				if lines[p] == nil {
					lines[p] = newLine()
				}
				lines[p].stand(Waiter{
					Attempt: fmt.Sprintf("%d-%d/s/0-0-1", p, n), Since: noon.Add(time.Duration(n) * time.Second), Most: most,
					Priority: rapid.SampledFrom([]string{"people", "new", "redone", ""}).Draw(t, "priority"), Tenant: rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "tenant"),
				})
			case 2:
				if len(rec.Calls) > 0 {
					say.over[rapid.SampledFrom(rec.Calls).Draw(t, "over").Attempt] = true
				}
			case 3:
				lines[p] = newLine() // all of them were cancelled
			}
			for q, line := range lines {
				if q%dispatchers == p%dispatchers { // who writes has these
					say.lines[q] = queueOf(line, rec.Past)
				}
			}
			was := rec
			rec = rec.next(say, partitionIn, noon)
			checkSlots(t, was, rec, say, most)
			for _, line := range lines {
				for _, x := range rec.Calls {
					line.leave(x.Attempt)
				}
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
	for i, w := range ordered(rec.Waits, rec.Past) {
		if seen[w.Attempt] {
			t.Fatalf("%s has a slot, and waits for one, or waits twice", w.Attempt)
		}
		if seen[w.Attempt] = true; rec.Waits[i].Attempt != w.Attempt {
			t.Fatalf("%s stands where %s is to go", rec.Waits[i].Attempt, w.Attempt)
		}
	}
	if len(rec.Calls) > most {
		t.Fatalf("%d slots of %d are taken", len(rec.Calls), most)
	}
	if len(rec.Waits) > 0 && len(rec.Calls) < most {
		t.Fatalf("%d slots of %d are taken, and %d wait", len(rec.Calls), most, len(rec.Waits))
	}
	for _, w := range was.Waits { // whoever waited and still does was not passed
		passed := func(x Waiter) bool {
			return has(&rec, x.Attempt) && x.Priority == w.Priority && x.Tenant == w.Tenant && x.Since.After(w.Since)
		}
		if slices.ContainsFunc(rec.Waits, func(x Waiter) bool { return x.Attempt == w.Attempt }) && slices.ContainsFunc(was.Waits, passed) {
			t.Fatalf("%s was passed", w.Attempt)
		}
	}
}

// lineOf is a line of those that wait.
func lineOf(all ...Waiter) *line {
	l := newLine()
	for _, w := range all {
		l.stand(w)
	}
	return l
}

// TestSlotsByPriority: whoever people have decided about gets the next slot, whichever dispatcher writes; of eight two go to what is done
// again where nothing is new, and tenants go by turns.
func TestSlotsByPriority(t *testing.T) {
	t.Parallel()
	var again, asked []Waiter
	for n := range 100 {
		since := noon.Add(time.Duration(n) * time.Second)
		again = append(again, Waiter{Attempt: fmt.Sprintf("0-%03d/s/0-0-1", n), Since: since, Most: 1, Priority: "redone"})
		asked = append(asked, Waiter{Attempt: fmt.Sprintf("1-%03d/s/0-0-1", n), Since: since.Add(time.Hour), Most: 1, Priority: "people", Tenant: []string{"big", "small"}[n/90]})
	}
	one, two := lineOf(again...), lineOf()
	rec := Slots{}.next(turn{lines: map[int]queue{0: queueOf(one, turns.Past{})}}, partitionIn, noon)
	for _, w := range asked {
		two.stand(w)
	}
	var got []string
	for n := range 16 { // they write by turns
		attempt := rec.Calls[0].Attempt
		one.leave(attempt)
		two.leave(attempt)
		say := turn{over: map[string]bool{attempt: true}, lines: map[int]queue{n % 2: queueOf([]*line{one, two}[n%2], rec.Past)}}
		if n == 0 {
			say.lines[1] = queueOf(two, rec.Past)
		}
		rec = rec.next(say, partitionIn, noon)
		got = append(got, rec.Calls[0].Attempt[:5])
	}
	want := "1-000 1-090 0-001 1-001 1-091 1-002 0-002 1-092 1-003 1-093 0-003 1-004 1-094 1-005 0-004 1-095"
	if strings.Join(got, " ") != want {
		t.Errorf("%s, want %s", strings.Join(got, " "), want)
	}
}

// TestSlotsOfOlderRuns: a run that knows of fewer slots waits until so few are taken, and nobody passes it.
func TestSlotsOfOlderRuns(t *testing.T) {
	t.Parallel()
	w := func(n, most int) Waiter {
		return Waiter{Attempt: fmt.Sprintf("0-%d/s/0-0-1", n), Since: noon.Add(time.Duration(n)), Most: most}
	}
	say := func(all ...Waiter) turn { return turn{lines: map[int]queue{0: queueOf(lineOf(all...), turns.Past{})}} }
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
		line = append(line, Waiter{Attempt: fmt.Sprintf("1-%03d/s/0-0-1", n), Since: noon.Add(time.Duration(n)), Most: 1})
	}
	rec := Slots{}.next(turn{lines: map[int]queue{1: queueOf(lineOf(line...), turns.Past{})}}, partitionIn, noon)
	if len(rec.Calls) != 1 || rec.waiting() != 99 || len(rec.Waits) != named-1 || rec.More[1] != 100-named {
		t.Errorf("%d taken, %d wait, %d by name", len(rec.Calls), rec.waiting(), len(rec.Waits))
	}
	all := []Limit{ofSlots("slots.0123456789", &Slots{Covers: "payments", Most: 1, Calls: rec.Calls, Waits: rec.Waits, More: rec.More})}
	if place := Place(all, "1-003", "s"); place != "3rd of 99 that wait for a free slot of payments; 1 of 1 are in hand" {
		t.Error(place)
	}
}
