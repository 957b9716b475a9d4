package steps

import (
	"fmt"
	"testing"
	"time"
)

// start is when tests take place.
var start = time.Date(2026, 1, 1, 3, 0, 0, 0, time.UTC)

func TestRedelivered(t *testing.T) {
	t.Parallel()
	now := start.Add(time.Hour)
	a := Attempt{Step: "s", Try: 1}
	older := Attempt{Step: "s", Try: 2}
	start := func(of Attempt, delivery string, ago time.Duration) Record {
		return Record{Time: now.Add(-ago), Event: Started{Attempt: of, Worker: "w", Delivery: delivery}}
	}
	unheard := func(of Attempt, delivery string) Record {
		return Record{Time: now.Add(-time.Minute), Event: Started{Attempt: of, Worker: "w", Delivery: delivery, Unheard: true}}
	}
	beside := func(delivery string) Record {
		return Record{Time: now.Add(-time.Minute), Event: Started{Attempt: a, Worker: "w", Delivery: delivery, Company: CompanyBeside}}
	}
	alone := func(delivery string) Record {
		return Record{Time: now.Add(-time.Minute), Event: Started{Attempt: a, Worker: "w", Delivery: delivery, Company: CompanyAlone}}
	}
	ev := func(e Event) Record { return Record{Time: now.Add(-time.Minute), Event: e} }
	failed := func(of Attempt, c Class) Record { return ev(Failed{Attempt: of, Fault: Fault{Class: c}}) }
	tests := []struct {
		name    string
		effects Effects // none unless said
		log     []Record
		first   bool
		claim   string
		step    string
		start   string
		held    time.Duration // since when it is in hand
		want    Verdict
		park    time.Duration
	}{
		{name: "nothing in the log", want: Execute},
		{name: "its outcome is there", log: []Record{ev(Succeeded{Attempt: a})}, want: Drop},
		{name: "its fault is there", log: []Record{failed(a, Timeout)}, want: Drop},
		{name: "its outcome after three crashes", log: []Record{start(a, "d1", time.Hour), start(a, "d2", time.Hour), start(a, "d3", time.Hour), ev(Succeeded{Attempt: a})}, want: Drop},
		{name: "another try's outcome", log: []Record{failed(older, Timeout)}, want: Execute},
		{name: "another step's outcome", log: []Record{ev(Succeeded{Attempt: Attempt{Step: "r", Try: 1}})}, want: Execute},
		{name: "the run has ended", log: []Record{ev(Closed{})}, want: Drop},
		{name: "the run was cancelled", log: []Record{ev(Cancelled{})}, want: Decline},
		{name: "a compensation runs after the cancel", log: []Record{ev(Cancelled{})}, step: "s~undo", want: Execute},
		{name: "given up for want of a worker", log: []Record{ev(Unserved{a})}, want: Drop},
		{name: "found without a worker after it was begun: the run waits for its outcome", log: []Record{start(a, "", time.Hour), ev(Unserved{a})}, held: 2 * time.Second, want: Execute},
		{name: "begun after it was given up for want of a worker", log: []Record{ev(Unserved{a}), start(a, "", 0)}, want: Drop},
		{name: "unsafe, given up for want of a worker, not yet withdrawn", effects: EffectsUnsafe, log: []Record{ev(Unserved{a})}, want: Execute},

		{name: "claimed by another, delivered again", effects: EffectsUnsafe, log: []Record{ev(Claimed{Attempt: a, Worker: "w1"})}, want: ReportUnknown},
		{name: "claimed by another, first delivery", effects: EffectsUnsafe, first: true, log: []Record{ev(Claimed{Attempt: a, Worker: "w1"})}, want: Park, park: 30 * time.Second},
		{name: "claimed by this delivery", effects: EffectsUnsafe, claim: "me", log: []Record{ev(Claimed{Attempt: a, Worker: "me"})}, want: Execute},
		{name: "claimed by this delivery, taken back after that", effects: EffectsUnsafe, claim: "me", log: []Record{ev(Claimed{Attempt: a, Worker: "me"}), ev(Claimed{Attempt: a})}, want: Execute},
		{name: "taken back, claimed by this delivery after that", effects: EffectsUnsafe, claim: "me", log: []Record{ev(Claimed{Attempt: a}), ev(Claimed{Attempt: a, Worker: "me"})}, want: Drop},
		{name: "claimed by this delivery, found on a first one", effects: EffectsUnsafe, first: true, claim: "me", log: []Record{ev(Claimed{Attempt: a, Worker: "me"})}, want: Execute},
		{name: "another delivery to the same worker claimed it", effects: EffectsUnsafe, claim: "me#2", log: []Record{ev(Claimed{Attempt: a, Worker: "me#1"})}, want: ReportUnknown},
		{name: "another try is claimed", effects: EffectsUnsafe, log: []Record{ev(Claimed{Attempt: older, Worker: "w1"})}, want: Execute},
		{name: "withdrawn", effects: EffectsUnsafe, log: []Record{ev(Claimed{Attempt: a})}, want: Drop},
		{name: "withdrawn, first delivery", effects: EffectsUnsafe, first: true, log: []Record{ev(Claimed{Attempt: a})}, want: Drop},
		{name: "claimed and ended", effects: EffectsUnsafe, log: []Record{ev(Claimed{Attempt: a, Worker: "w1"}), failed(a, Timeout)}, want: Drop},
		{name: "claimed and the run ended", effects: EffectsUnsafe, log: []Record{ev(Claimed{Attempt: a, Worker: "w1"}), ev(Closed{})}, want: Drop},

		{name: "started once, long ago, unawaited, and it has rested", log: []Record{start(a, "", time.Minute)}, held: 2 * time.Second, want: Execute},
		{name: "one crash, found a moment ago", log: []Record{start(a, "d1", time.Minute)}, held: time.Second, want: Rest, park: time.Second},
		{name: "one crash, and it has rested", log: []Record{start(a, "d1", time.Minute)}, held: 2 * time.Second, want: Execute},
		{name: "one start, stored twice", log: []Record{start(a, "d1", time.Minute), start(a, "d1", 0)}, held: time.Second, want: Rest, park: time.Second},
		{name: "two crashes, rested", log: []Record{start(a, "d1", time.Minute), start(a, "d2", 5*time.Second)}, held: 4 * time.Second, want: Execute},
		{name: "two crashes, not rested", log: []Record{start(a, "d1", time.Minute), start(a, "d2", time.Minute)}, held: time.Second, want: Rest, park: 3 * time.Second},
		{name: "the first execution counts, once the log has heard of it", log: []Record{start(a, "", time.Minute), start(a, "", time.Minute)}, want: Rest, park: 2 * time.Second},
		{name: "an unheard one alone does not", log: []Record{}, want: Execute},
		{name: "an unheard one and two crashes are three", log: []Record{unheard(a, "d1"), start(a, "d2", time.Minute)}, want: ReportCrashed},
		{name: "the start of the delivery in hand is no crash", start: "d1", log: []Record{start(a, "d1", 0)}, want: Execute},
		{name: "taken back", log: []Record{ev(Withdrawn{a})}, want: Drop},
		{name: "another try was taken back, and its start with it", log: []Record{start(older, "d1", time.Minute), ev(Withdrawn{older})}, want: Execute},
		{name: "put down elsewhere", log: []Record{ev(Failed{Attempt: a, Stopped: true})}, want: Drop},
		{name: "unsafe, cancelled, claimed by another", effects: EffectsUnsafe, log: []Record{ev(Claimed{Attempt: a, Worker: "w1"}), ev(Cancelled{})}, want: Drop},
		{name: "unsafe, cancelled, not claimed", effects: EffectsUnsafe, log: []Record{ev(Cancelled{})}, want: Decline},
		{name: "cancelled, and its outcome is there", log: []Record{ev(Cancelled{}), failed(a, Timeout)}, want: Drop},
		{name: "three crashes", log: []Record{start(a, "d1", time.Hour), start(a, "d2", time.Hour), start(a, "d3", time.Hour)}, want: ReportCrashed},
		{name: "three crashes of an older try count", log: []Record{start(older, "d1", time.Hour), start(older, "d2", time.Hour), start(older, "d3", time.Hour)}, want: ReportCrashed},
		{name: "and after it was reported", log: []Record{
			start(older, "d1", time.Hour), start(older, "d2", time.Hour), start(older, "d3", time.Hour), failed(older, Crashed),
		}, want: ReportCrashed},
		{name: "three crashes in an older round do not", log: []Record{
			start(Attempt{Step: "s", Round: 1, Try: 1}, "d1", time.Hour), start(Attempt{Step: "s", Round: 1, Try: 1}, "d2", time.Hour), start(Attempt{Step: "s", Round: 1, Try: 1}, "d3", time.Hour),
		}, want: Execute},
		{name: "three losses, all of them beside others", log: []Record{beside(""), beside("d2"), beside("d3")}, held: time.Minute, want: Execute},
		{name: "four, and it has not rested", log: []Record{beside(""), beside("d2"), beside("d3"), beside("d4")}, held: time.Second, want: Rest, park: 15 * time.Second},
		{name: "three losses, the last of them alone", log: []Record{beside(""), beside("d2"), alone("d3")}, want: ReportCrashed},
		{name: "three losses, one of them alone at first only", log: []Record{beside(""), beside("d2"), alone("d3"), beside("d3")}, held: time.Minute, want: Execute},
		{name: "two losses alone are not enough", log: []Record{alone(""), alone("d2")}, held: time.Minute, want: Execute},
		{name: "a crash, then an end, is one crash", log: []Record{
			start(older, "d1", time.Second), start(older, "d2", 0), failed(older, Unavailable),
		}, want: Rest, park: 2 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := Delivered{StepMessage: StepMessage{Attempt: a, Effects: tt.effects}, Redelivered: !tt.first, Claim: tt.claim, Start: tt.start, InHandSince: now.Add(-tt.held), Now: now, AckWait: 30 * time.Second}
			if tt.effects == "" {
				d.Effects = EffectsNone
			}
			if tt.step != "" {
				d.Step = tt.step
			}
			got, park := VerdictOn(tt.log, d)
			if got != tt.want || park != tt.park {
				t.Errorf("%v for %v, want %v for %v", got, park, tt.want, tt.park)
			}
		})
	}
}

// TestRetriesAreNoCrashes: a retry that waited for its time was parked, so it is a redelivery and its start is counted.
// One that then fails in the ordinary way has crashed nobody, however often that happens.
func TestRetriesAreNoCrashes(t *testing.T) {
	t.Parallel()
	var log []Record
	for try := 1; try <= 3*CrashBudget; try++ {
		a := Attempt{Step: "s", Try: try}
		d := Delivered{StepMessage: StepMessage{Attempt: a, Effects: EffectsNone}, Redelivered: true, Now: start, AckWait: 30 * time.Second}
		if got, park := VerdictOn(log, d); got != Execute {
			t.Fatalf("try %d: %v for %v after nothing but ordinary failures", try, got, park)
		}
		log = append(log,
			Record{Time: start, Event: Started{Attempt: a, Worker: "w", Delivery: fmt.Sprint("d", try)}},
			Record{Time: start, Event: Failed{Attempt: a, Worker: "w", Fault: Fault{Class: Unavailable}}})
	}
}

// TestAMessageMadeAnew stands for one that was lost with the queue: its attempt may have been begun, so the log is asked
// and starts are counted; but it says nothing of whoever holds a claim.
func TestAMessageMadeAnew(t *testing.T) {
	t.Parallel()
	a := Attempt{Step: "s", Try: 1}
	claimed := []Record{{Time: start, Event: Claimed{Attempt: a, Worker: "w1"}}}
	for _, tt := range []struct {
		effects     Effects
		again, anew bool
		fresh       bool
		claimed     Verdict
	}{
		{EffectsNone, false, false, true, Park},
		{EffectsNone, false, true, false, Park},
		{EffectsNone, true, false, false, ReportCrashed},
		{EffectsUnsafe, false, true, false, Park},
		{EffectsUnsafe, true, true, false, ReportUnknown},
	} {
		d := Delivered{StepMessage: StepMessage{Attempt: a, Effects: tt.effects}, Redelivered: tt.again, Requeued: tt.anew, Now: start, AckWait: time.Second}
		verdict, _ := VerdictOn(claimed, d)
		if Fresh(tt.again, tt.anew) != tt.fresh || verdict != tt.claimed {
			t.Errorf("%+v: fresh %v, claimed: %v", tt, Fresh(tt.again, tt.anew), verdict)
		}
	}
}

func TestWhatIsNotDeclaredHarmlessIsUnsafe(t *testing.T) {
	t.Parallel()
	for effects, want := range map[Effects]bool{EffectsNone: false, EffectsIdempotent: false, EffectsUnsafe: true, "": true, "nnoe": true} {
		if effects.Unsafe() != want {
			t.Errorf("effects %q: unsafe %v", effects, effects.Unsafe())
		}
	}
}
