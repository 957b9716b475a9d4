package limits

import (
	"strings"
	"testing"
	"time"

	"belay/internal/steps"
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
	a := Asked{Name: GateName("g1", opened, "api.example"), Covers: BehindGate("api.example", "g1"), Partition: 3, Waiting: 40}
	_, rec := Times{}.next(a, rampOf(opened), opened)
	l := ofTimes(keyOf(timesPrefix, a.Name), &rec, opened)
	if l.Why != steps.HoldGate || l.Covers != "api.example, behind gate g1" || l.Waiting < 30 || !strings.HasPrefix(l.Words(), "it was opened, and few go at first: ") {
		t.Errorf("%+v: %s", l, l.Words())
	}
}
