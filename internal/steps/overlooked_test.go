package steps

import (
	"testing"
	"time"
)

func TestPassage(t *testing.T) {
	t.Parallel()
	at := func(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }
	var p Passage
	for _, x := range []struct {
		look QueueLook
		upTo time.Time
		why  string
	}{
		{QueueLook{at(1), 10, 2, 4}, time.Time{}, "nothing is known before what was there at the first look is through"},
		{QueueLook{at(2), 20, 9, 4}, time.Time{}, "one of those that were there is still in a hand"},
		{QueueLook{at(3), 30, 10, 4}, at(1), "all that were there at the first look are through"},
		{QueueLook{at(4), 40, 29, 4}, at(1), "not all that were there at the third"},
		{QueueLook{at(5), 50, 30, 4}, at(3), "all that were there at the third"},
		{QueueLook{at(6), 60, 31, 0}, at(6), "nothing waits"},
		{QueueLook{at(7), 5, 0, 3}, at(6), "the queue was made anew"},
		{QueueLook{at(8), 9, 4, 3}, at(6), "one of the new queue is in a hand"},
		{QueueLook{at(9), 9, 5, 3}, at(7), "all that were there when it was first seen"},
	} {
		if got := p.Look(x.look); !got.Equal(x.upTo) {
			t.Errorf("%s: %v, want %v", x.why, got.Sub(start), x.upTo.Sub(start))
		}
	}
}

// TestOverlookedIsLeftAloneForLonger: a queue that loses whatever it is given is not flooded.
func TestOverlookedIsLeftAloneForLonger(t *testing.T) {
	t.Parallel()
	if Overlooked(start, time.Time{}, 0) || Overlooked(start, start.Add(5*time.Second-1), 0) {
		t.Error("its outcome may be on its way")
	}
	var last time.Duration
	for again := range 40 {
		wait := time.Duration(0)
		for !Overlooked(start, start.Add(wait), again) {
			wait += time.Second
		}
		if wait < last || wait > 5*time.Minute || again > 0 && again < 6 && wait != 2*last {
			t.Errorf("%d: after %s, and before that %s", again, wait, last)
		}
		last = wait
	}
	if last != 5*time.Minute {
		t.Errorf("at most %s", last)
	}
}
