package steps

import (
	"testing"
	"time"
)

func TestRedelivered(t *testing.T) {
	now := epoch.Add(time.Hour)
	a := Attempt{Step: "s", Try: 1}
	older := Attempt{Step: "s", Try: 2}
	start := func(delivery string, ago time.Duration) Record {
		return Record{Time: now.Add(-ago), Event: Started{Attempt: a, Worker: "w", Delivery: delivery}}
	}
	ev := func(e Event) Record { return Record{Time: now.Add(-time.Minute), Event: e} }
	tests := []struct {
		name    string
		effects Effects
		log     []Record
		first   bool
		claim   string
		step    string
		want    Verdict
		park    time.Duration
	}{
		{name: "nothing in the log", want: Execute},
		{name: "its outcome is there", log: []Record{ev(Succeeded{Attempt: a})}, want: Drop},
		{name: "its fault is there", log: []Record{ev(Failed{Attempt: a})}, want: Drop},
		{name: "another try's outcome", log: []Record{ev(Failed{Attempt: older})}, want: Execute},
		{name: "the run has ended", log: []Record{ev(Closed{})}, want: Drop},
		{name: "the run was cancelled", log: []Record{ev(Cancelled{})}, want: Drop},
		{name: "a compensation runs after the cancel", log: []Record{ev(Cancelled{})}, step: "s~undo", want: Execute},
		{name: "given up for want of a worker", log: []Record{ev(Unserved{a})}, want: Drop},
		{name: "claimed by another, delivered again", effects: EffectsUnsafe, log: []Record{ev(Claimed{Attempt: a, Worker: "w1"})}, want: ReportUnknown},
		{name: "claimed by another, first delivery", effects: EffectsUnsafe, first: true, log: []Record{ev(Claimed{Attempt: a, Worker: "w1"})}, want: ParkIt, park: 30 * time.Second},
		{name: "claimed by this delivery", effects: EffectsUnsafe, claim: "me", log: []Record{ev(Claimed{Attempt: a, Worker: "me"})}, want: Execute},
		{name: "withdrawn", effects: EffectsUnsafe, log: []Record{ev(Claimed{Attempt: a})}, want: Drop},
		{name: "withdrawn after a worker's claim", effects: EffectsUnsafe, log: []Record{ev(Claimed{Attempt: a, Worker: "w1"}), ev(Failed{Attempt: a})}, want: Drop},
		{name: "started once, long ago, unawaited", log: []Record{start("", time.Minute)}, want: Execute},
		{name: "one crash a moment ago", log: []Record{start("d1", time.Second)}, want: ParkIt, park: time.Second},
		{name: "two crashes, rested", log: []Record{start("d1", time.Minute), start("d2", 5*time.Second)}, want: Execute},
		{name: "three crashes", log: []Record{start("d1", time.Hour), start("d2", time.Hour), start("d3", time.Hour)}, want: ReportCrashed},
		{name: "crashes of an older try count", log: []Record{
			{Time: now, Event: Started{Attempt: older, Delivery: "d1"}}, {Time: now, Event: Started{Attempt: older, Delivery: "d2"}}, {Time: now, Event: Started{Attempt: older, Delivery: "d3"}},
		}, want: ReportCrashed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := Delivered{StepMessage: StepMessage{Attempt: a, Effects: tt.effects}, Again: !tt.first, Claim: tt.claim, Now: now, AckWait: 30 * time.Second}
			if tt.step != "" {
				d.Step = tt.step
			}
			got, park := Redelivered(tt.log, d)
			if got != tt.want || park != tt.park {
				t.Errorf("%v for %v, want %v for %v", got, park, tt.want, tt.park)
			}
		})
	}
}
