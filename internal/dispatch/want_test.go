package dispatch

import (
	"slices"
	"strings"
	"testing"
	"time"

	"belay/internal/bus"
	"belay/internal/runlog"
	"belay/internal/steps"
	"belay/internal/wire"
)

func TestPanicInTheCoreIsAnError(t *testing.T) {
	t.Parallel()
	s := &steps.State{Units: []steps.Unit{{Attempts: []steps.AttemptRecord{{State: steps.AttemptWithdrawn}}}}} // a unit without a program
	if _, err := wants(s, nil); err == nil || !strings.Contains(err.Error(), "panicked") {
		t.Errorf("%v", err)
	}
}

func TestOnlyAConditionalSubmissionStartsARun(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		header []string
		kind   string
		want   bool
	}{
		"stored as the first": {[]string{"0"}, wire.KindPlan, true},
		"without a condition": {nil, wire.KindPlan, false},
		"as a later one":      {[]string{"7"}, wire.KindPlan, false},
		"a claim":             {[]string{"0"}, wire.KindClaim, false},
	} {
		t.Run(name, func(t *testing.T) {
			d := bus.Delivery{Entry: bus.Entry{Header: map[string][]string{"Nats-Expected-Last-Subject-Sequence": c.header}}}
			if got := startsRun(d, c.kind); got != c.want {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}

func TestHeadersOfAStep(t *testing.T) {
	t.Parallel()
	r := &run{id: "r", fold: &runlog.Fold{State: &steps.State{Trace: "00-abc"}}}
	at := time.Unix(1, 500).UTC()
	h := stepHeader(r, &steps.StepMessage{Run: "r", Attempt: steps.Attempt{Step: "s", Try: 1}, RungName: "primary", NotBefore: at}, true)
	want := map[string]string{
		wire.HeaderRun: "r", wire.HeaderStep: "s", wire.HeaderAttempt: "0-0-1", wire.HeaderRung: "primary",
		wire.HeaderNotBefore: at.Format(time.RFC3339Nano), wire.HeaderTrace: "00-abc", wire.HeaderRepeated: "1",
	}
	if len(h) != len(want) {
		t.Errorf("%v", h)
	}
	for k, v := range want {
		if !slices.Equal(h[k], []string{v}) {
			t.Errorf("%s is %q, want %q", k, h[k], v)
		}
		h[k] = append(h[k], "more") // must not run into the next header's value
	}
	if h[wire.HeaderStep][0] != "s" || h[wire.HeaderRun][1] != "more" {
		t.Errorf("headers share what they must not: %v", h)
	}
}

func TestAListingTellsOnlyAboutRunsThatStayedOutside(t *testing.T) {
	t.Parallel()
	var none *listing
	none.outdated("r")
	if none.of(&run{id: "r"}) != nil {
		t.Error("no listing tells something")
	}
	l := &listing{old: map[string]struct{}{}}
	if l.of(&run{id: "r"}) != nil {
		t.Error("a listing that is not there yet tells something")
	}
	l.queued = map[string][]steps.Attempt{}
	if l.of(&run{id: "r"}) != l {
		t.Error("it tells nothing about a run that was never in memory")
	}
	if l.of(&run{id: "r", fold: &runlog.Fold{}}) != nil {
		t.Error("it tells about a run in memory")
	}
	l.outdated("r")
	if l.of(&run{id: "r"}) != nil {
		t.Error("it tells about a run that was in memory meanwhile")
	}
}

// TestARedeliveredEventWaitsOnce: reading a run, or storing what it wants, may take longer than the server waits before it
// delivers the event again, and must not gather the deliveries in memory.
func TestARedeliveredEventWaitsOnce(t *testing.T) {
	t.Parallel()
	r := &run{id: "r", state: reading, out: 1}
	p := &partition{}
	delivery := func(seq, count uint64) bus.Delivery {
		return bus.Delivery{Entry: bus.Entry{Seq: seq}, Count: count}
	}
	for count := uint64(1); count < 5; count++ {
		for _, seq := range []uint64{7, 3, 5} {
			r.wait(event{d: delivery(seq, count)})
			p.ackWhenStored(r, &receipt{d: delivery(seq, count), run: r})
		}
	}
	var waiting, late []uint64
	for _, e := range r.waiting {
		waiting = append(waiting, e.d.Seq)
		if e.d.Count != 4 {
			t.Errorf("delivery %d of event %d waits, and not the last one", e.d.Count, e.d.Seq)
		}
	}
	for _, rc := range r.late {
		late = append(late, rc.d.Seq)
	}
	if !slices.Equal(waiting, []uint64{3, 5, 7}) || !slices.Equal(late, []uint64{7, 3, 5}) {
		t.Errorf("%v wait to be read, %v to be acknowledged", waiting, late)
	}
}
