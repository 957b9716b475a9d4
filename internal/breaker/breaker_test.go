package breaker

import (
	"testing"
	"time"

	"belay/internal/steps"
)

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

func after(d time.Duration) time.Time { return noon.Add(d) }

var set = steps.Breaker{Failures: 0.5, Min: 20, Window: steps.Duration(10 * time.Second), Open: steps.Duration(30 * time.Second), MaxHold: steps.Duration(15 * time.Minute), Retries: 0.2}

// TestWindow: what is longer ago than the window does not count, whatever came in between.
func TestWindow(t *testing.T) {
	t.Parallel()
	var w Window
	for i := range 40 {
		w.Add(after(time.Duration(i)*time.Second), 10*time.Second, i%4 == 0)
	}
	for at, want := range map[time.Duration][2]int{39 * time.Second: {10, 2}, 44 * time.Second: {5, 1}, 49 * time.Second: {0, 0}, time.Hour: {0, 0}} {
		if all, odd := w.Sum(after(at), 10*time.Second); all != want[0] || odd != want[1] {
			t.Errorf("after %s: %d calls, %d of them odd; want %v", at, all, odd, want)
		}
	}
}

func TestTrips(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		all, failed int
		want        bool
	}{{0, 0, false}, {19, 19, false}, {20, 9, false}, {20, 10, true}, {1000, 499, false}, {1000, 500, true}} {
		if got := trips(&set, c.all, c.failed); got != c.want {
			t.Errorf("%d of %d: %v", c.failed, c.all, got)
		}
	}
	for _, c := range []struct {
		all, retries int
		want         bool
	}{{0, 0, true}, {9, 9, true}, {10, 10, false}, {59, 11, true}, {100, 19, true}, {100, 20, false}} {
		if got := mayRetry(&set, c.all, c.retries); got != c.want {
			t.Errorf("one more than %d retries among %d calls: %v", c.retries, c.all, got)
		}
	}
}

// TestOutcomeOf: only what the target itself is at fault for counts against it; what shows that it is there counts for it.
func TestOutcomeOf(t *testing.T) {
	t.Parallel()
	want := map[steps.Class]Outcome{
		steps.Timeout: Failed, steps.Unavailable: Failed, steps.Connection: Failed,
		steps.InvalidInput: Answered, steps.Unauthorized: Answered, steps.Forbidden: Answered, steps.NotFound: Answered, steps.Conflict: Answered,
		steps.ToolError: Answered, steps.InvalidOutput: Answered, steps.NeedsHuman: Answered,
	}
	for _, class := range steps.Classes() {
		if got := OutcomeOf(&steps.Fault{Class: class}); got != want[class] {
			t.Errorf("%s: %d, want %d", class, got, want[class])
		}
	}
	if OutcomeOf(&steps.Fault{Class: steps.Timeout, Injected: "f1"}) != Silent {
		t.Error("a fault on purpose counts")
	}
}

// TestRecord: open, one probe at a time, open anew where that fails, and a ramp where it is answered.
func TestRecord(t *testing.T) {
	t.Parallel()
	r := Trip(Target{Tool: "t", Rung: "a"}, set, 20, 12, "timeout: x", noon)
	if r.MayProbe(after(29*time.Second)) || !r.MayProbe(after(30*time.Second)) {
		t.Errorf("open until %s", r.Until)
	}
	p := r.Probing("r/s", time.Minute, after(30*time.Second))
	if p.State != HalfOpen || p.Probe != "r/s" || p.MayProbe(after(99*time.Second)) || !p.MayProbe(after(100*time.Second)) {
		t.Errorf("a probe of a minute: %+v", p)
	}
	again := p.Settled(Failed, "timeout: y", after(40*time.Second))
	if again.State != Open || again.Probe != "" || again.Fault != "timeout: y" || !again.Since.Equal(noon) || again.MayProbe(after(69*time.Second)) || !again.MayProbe(after(70*time.Second)) {
		t.Errorf("after a probe that failed: %+v", again)
	}
	if lost := p.Settled(Silent, "", after(40*time.Second)); lost.State != Open || !lost.MayProbe(after(40*time.Second)) {
		t.Errorf("after a probe that says nothing: %+v", lost)
	}
	up := p.Settled(Answered, "", after(40*time.Second))
	if up.State != Ramp || !up.From.Equal(after(40*time.Second)) || up.Over(after(49*time.Second)) || !up.Over(after(50*time.Second)) || up.MayProbe(after(50*time.Second)) {
		t.Errorf("the ramp ends at %s", up.Until)
	}
}
