package limits

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"belay/internal/steps"
	"belay/internal/turns"
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// TestTimes: they lie apart by the rate, none is allotted twice, and what nobody has used in time is not made up for.
func TestTimes(t *testing.T) {
	t.Parallel()
	p := Pace{PerSecond: 50}
	list, next := p.times(time.Time{}, noon, 100)
	if len(list) != 16 || !list[0].Equal(noon) || !list[15].Equal(noon.Add(300*time.Millisecond)) || !next.Equal(noon.Add(320*time.Millisecond)) {
		t.Fatalf("%d times, next %s", len(list), next)
	}
	if list, next = p.times(next, noon.Add(10*time.Millisecond), 3); len(list) != 1 || !list[0].Equal(noon.Add(320*time.Millisecond)) {
		t.Fatalf("%v, next %s", list, next)
	}
	if list, _ = p.times(next, noon.Add(time.Hour), 3); len(list) != 3 || !list[0].Equal(noon.Add(time.Hour)) {
		t.Fatalf("after an hour: %v", list)
	}
	slow := Pace{PerSecond: 0.1}
	if list, next = slow.times(noon.Add(time.Second), noon, 5); len(list) != 1 || !next.Equal(noon.Add(11*time.Second)) {
		t.Fatalf("%v, next %s", list, next)
	}
}

// TestARamp begins with a few calls a second and doubles every second; nothing of it is before its time.
func TestARamp(t *testing.T) {
	t.Parallel()
	until := noon.Add(time.Minute)
	p, next, now := rampOf(until), time.Time{}, noon
	perSecond := map[int]int{}
	for n := 0; n < 5000; {
		var list []time.Time
		list, next = p.times(next, now, 5000-n)
		for _, at := range list {
			if at.Before(until) {
				t.Fatalf("a call at %s, before %s", at, until)
			}
			perSecond[int(at.Sub(until)/time.Second)]++
		}
		n, now = n+len(list), list[len(list)-1]
	}
	t.Logf("calls per second: %v", perSecond)
	if perSecond[0] > 10 || perSecond[0] < 5 || len(perSecond) < 9 {
		t.Errorf("%v", perSecond)
	}
	for s := 1; s < len(perSecond)-1; s++ {
		if r := float64(perSecond[s]) / float64(perSecond[s-1]); r < 1.5 || r > 2.5 {
			t.Errorf("second %d has %.1f times as many as the one before", s, r)
		}
	}
}

// TestBehindAGate: calls that an opened gate has held back are listed as such, with how many wait.
func TestBehindAGate(t *testing.T) {
	t.Parallel()
	opened := noon.Add(time.Second)
	a := Asked{Name: GateName("g1", opened, "api.example"), Covers: BehindGate("api.example", "g1"), Waiting: map[int]turns.Counts{3: {0, 40, 0}}}
	_, rec := Times{}.next(a, rampOf(opened), opened)
	l := ofTimes(keyOf(timesPrefix, a.Name), &rec, opened)
	if l.Why != steps.HoldGate || l.Covers != "api.example, behind gate g1" || l.Waiting < 30 || !strings.HasPrefix(l.Words(), "it was opened, and few go at first: ") {
		t.Errorf("%+v: %s", l, l.Words())
	}
}

// TestTheRampOfABreaker: calls that wait because their target has only just come back are listed as such, with their priorities.
func TestTheRampOfABreaker(t *testing.T) {
	t.Parallel()
	began := noon.Add(time.Second)
	a := Asked{Name: BreakerName("pay/primary api.example", began), Covers: "pay/primary api.example", Waiting: map[int]turns.Counts{3: {2, 0, 40}}}
	_, rec := Times{}.next(a, rampOf(began), began)
	l := ofTimes(keyOf(timesPrefix, a.Name), &rec, began)
	if l.Why != steps.HoldBreaker || !strings.HasPrefix(l.Words(), "it answers again, and few go at first: ") || !rec.ramps() {
		t.Errorf("%+v: %s", l, l.Words())
	}
	all := []Limit{{Why: steps.HoldRate, Covers: a.Covers}, l}
	if is, want := Rank(all, steps.HoldBreaker, a.Covers, steps.PriorityRedone), "and it is one of 40 that are done again"; !strings.HasSuffix(is, want) {
		t.Errorf("%q, want %q", is, want)
	}
}

// asker is a dispatcher in a play: it asks for times, and uses them.
type asker struct {
	partition int
	counts    turns.Counts // that wait
	again     time.Time
	dead      bool
	used      []time.Time
}

// play has dispatchers share a rate: whoever is to ask next does, after it has used what was allotted.
func play(t *rapid.T, all []*asker, p Pace, until time.Time, each func(now time.Time)) (used []time.Time) {
	rec, now, late := Times{}, noon, rapid.SliceOfN(rapid.IntRange(0, 20), 1, 7).Draw(t, "late")
	for n := 0; now.Before(until); n++ {
		var next *asker
		for _, a := range all {
			if !a.dead && a.counts.Sum() > 0 && (next == nil || a.again.Before(next.again)) {
				next = a
			}
		}
		if next == nil {
			break
		}
		if next.again.After(now) {
			now = next.again
		}
		each(now)
		if next.dead {
			continue
		}
		var got Allotted
		got, rec = rec.next(Asked{Name: "rate", Waiting: map[int]turns.Counts{next.partition: next.counts}}, p, now)
		if got.More.Before(now.Add(-Ahead)) || len(got.At) == 0 && !got.More.After(now) {
			t.Fatalf("at %s it is to ask again at %s", now, got.More)
		}
		next.again = got.More.Add(time.Duration(late[n%len(late)]) * time.Millisecond)
		for _, at := range got.At {
			of, _ := next.counts.First()
			next.counts[of]--
			next.used = append(next.used, at)
			used = append(used, at)
		}
	}
	slices.SortFunc(used, time.Time.Compare)
	return used
}

// TestPriorityAmongDispatchers: of two that share a rate one has only calls that are done again, and the other such that people have decided
// about. These get almost all times, but not all; no two calls are closer than the rate has it, and none of the times is lost for long.
func TestPriorityAmongDispatchers(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := Pace{PerSecond: rapid.SampledFrom([]float64{0.1, 1, 20, 200}).Draw(t, "rate")}
		low, high := &asker{partition: 0, counts: turns.Counts{0, 0, 1 << 30}}, &asker{partition: 1, counts: turns.Counts{1 << 30, 0, 0}}
		high.again = noon.Add(5 * time.Millisecond)
		calls := max(200, 20*p.PerSecond)
		used := play(t, []*asker{low, high}, p, noon.Add(time.Duration(calls/p.PerSecond*float64(time.Second))), func(time.Time) {})
		gap := p.gap(noon)
		for i := 1; i < len(used); i++ {
			if d := used[i].Sub(used[i-1]); d < gap-time.Microsecond || d > gap+Ahead {
				t.Fatalf("a call %s after the one before; the rate has one each %s", d, gap)
			}
		}
		share := float64(len(low.used)) / float64(len(used))
		if share > 0.2 || share < 0.06 {
			t.Fatalf("%d of %d are those that are done again", len(low.used), len(used))
		}
	})
}

// TestWhoDoesNotComeLosesTheTime: a dispatcher that has died leaves word of calls that people have decided about. Others do not wait for it.
func TestWhoDoesNotComeLosesTheTime(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := Pace{PerSecond: rapid.SampledFrom([]float64{1, 20}).Draw(t, "rate")}
		low, high := &asker{partition: 0, counts: turns.Counts{0, 0, 1 << 30}}, &asker{partition: 1, counts: turns.Counts{1 << 30, 0, 0}}
		died := noon.Add(10 * time.Second)
		used := play(t, []*asker{low, high}, p, noon.Add(40*time.Second), func(now time.Time) { high.dead = high.dead || now.After(died) })
		after := 0
		for _, at := range used {
			if at.After(died.Add(2 * time.Second)) {
				after++
			}
		}
		if most := 28 * p.PerSecond; float64(after) < most*0.5 {
			t.Fatalf("%d calls in the 28 seconds after it has died, of %g", after, most)
		}
	})
}

// TestNobodyWaitsForNobody: where all that wait elsewhere come later, or as they do, times are allotted at once.
func TestNobodyWaitsForNobody(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		of := rapid.IntRange(0, 2).Draw(t, "priority")
		other := rapid.IntRange(of, 2).Draw(t, "elsewhere")
		var own, others turns.Counts
		own[of], others[other] = 3, 5
		p := Pace{PerSecond: 20}
		_, rec := Times{}.next(Asked{Waiting: map[int]turns.Counts{1: others}}, p, noon)
		got, rec := rec.next(Asked{Waiting: map[int]turns.Counts{0: own}}, p, noon)
		if len(got.At) == 0 || rec.Waiting[0] != 3-len(got.At) {
			t.Fatalf("%v, %+v", got, rec)
		}
	})
}

// TestRank: people are told how many of those that wait go before a call, and of how many it is one.
func TestRank(t *testing.T) {
	t.Parallel()
	a := Asked{Name: "tool/pay", Covers: "pay", Text: "20/s", Waiting: map[int]turns.Counts{0: {1, 2, 40}, 1: {0, 3, 5}}}
	_, rec := Times{Next: noon.Add(time.Second)}.next(a, Pace{PerSecond: 1}, noon)
	l := ofTimes(keyOf(timesPrefix, a.Name), &rec, noon)
	if want := "50 wait (new 5, redone 45)"; !strings.Contains(l.Words(), want) { // the first one has got its time
		t.Errorf("%s, want %s", l.Words(), want)
	}
	for of, want := range map[steps.Priority]string{
		steps.PriorityPeople: "",
		steps.PriorityNew:    "of 50 that wait none has a higher priority, and it is one of 5 that are new",
		steps.PriorityRedone: "of 50 that wait 5 have a higher priority, and it is one of 45 that are done again",
	} {
		if got := Rank([]Limit{l}, steps.HoldRate, "pay", of); got != want {
			t.Errorf("%s: %s, want %s", of, got, want)
		}
	}
	if got := Rank([]Limit{l}, steps.HoldRate, "ship", steps.PriorityNew); got != "" {
		t.Errorf("of another limit: %s", got)
	}
}
