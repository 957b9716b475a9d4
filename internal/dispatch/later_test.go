package dispatch

import (
	"encoding/json"
	"testing"
	"time"

	"belay/internal/steps"
)

// TestARunForLater: it is accepted, every dispatcher is killed, one comes up again, and it begins at its time and not before. What is
// cancelled before its time is never begun.
func TestARunForLater(t *testing.T) {
	t.Parallel()
	const in = 3 * time.Second
	r := newRig(t)
	first := r.dispatcher(func(o *Options) { o.TimerDelay = time.Millisecond })
	later := func(run string, in time.Duration) {
		t.Helper()
		if created, err := r.log.Submit(t.Context(), run, steps.Submitted{Document: chain(1, nil), Input: json.RawMessage(`{}`), In: steps.Duration(in)}); err != nil || !created {
			t.Fatal(created, err)
		}
	}
	later("never", time.Hour)
	n := r.bus.Names()
	r.eventually("a durable schedule", func() bool { return len(r.subjects(n.TimersStream(), n.TimersSubjects())) == 1 })
	if s, err := r.log.Load(t.Context(), "never"); err != nil || s.Status() != steps.RunScheduled || len(r.queuedSteps()) > 0 {
		t.Errorf("%s, %v, queued %v", s.Status(), err, r.queuedSteps())
	}
	later("later", in)
	first.kill()
	if w, err := r.log.Cancel(t.Context(), "never", steps.Cancelled{By: "mia"}); err != nil || !w.Ended {
		t.Errorf("%+v, %v", w, err)
	}
	r.dispatcher(nil)
	r.worker(nil)
	s := r.end("later")
	if s.Status() != steps.RunSucceeded || s.Began.Sub(s.Submitted) < in || s.Units[0].Attempts[0].Queued.Before(s.Scheduled) {
		t.Errorf("%s, begun after %s: %+v", s.Status(), s.Began.Sub(s.Submitted), s.Units[0].Attempts)
	}
	t.Logf("begun %s after its time", s.Began.Sub(s.Scheduled))
	if s := r.end("never"); s.Status() != steps.RunCancelled || !s.Began.IsZero() || len(s.Units[0].Attempts) > 0 {
		t.Errorf("%s, begun %s, %+v", s.Status(), s.Began, s.Units[0].Attempts)
	}
}
