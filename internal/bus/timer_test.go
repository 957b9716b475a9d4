package bus

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"belay/internal/bus/embedded"
)

// timers sets and cancels timers of partition 0 and waits for the answers.
type timers struct {
	testing.TB
	*Bus
}

func (t timers) set(run string, at time.Time) {
	t.Helper()
	done := make(chan error, 1)
	t.SetTimer(0, run, at, func(err error) { done <- err })
	if err := within(t, patience, done); err != nil {
		t.Fatal(err)
	}
}

func (t timers) cancel(run string) {
	t.Helper()
	done := make(chan error, 1)
	t.CancelTimer(0, run, func(err error) { done <- err })
	if err := within(t, patience, done); err != nil {
		t.Fatal(err)
	}
}

type fired struct {
	run string
	at  time.Time
}

func (t timers) fire() <-chan fired {
	t.Helper()
	due := make(chan fired, 1000)
	c, err := t.ConsumeTimers(t.Context(), func(d Delivery) {
		_, run, _ := t.Names().ParseTimer(d.Subject)
		_ = d.Ack()
		due <- fired{run, time.Now()}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Stop)
	return due
}

func TestTimersFireAndAreTakenBack(t *testing.T) {
	t.Parallel()
	_, b := start(t, t.TempDir(), embedded.Interval)
	x := timers{t, b}
	due := x.fire()
	at := time.Now().Add(2 * time.Second)
	x.set("kept", time.Now().Add(time.Hour))
	x.set("kept", at) // an earlier time replaces it
	x.set("back", time.Now().Add(time.Second))
	x.cancel("back")
	x.cancel("never-set")
	x.cancel("again")
	x.set("again", at)
	seen := map[string]bool{}
	for len(seen) < 2 {
		f := within(t, patience, due)
		if f.run != "kept" && f.run != "again" {
			t.Fatalf("the timer of %s fired", f.run)
		}
		if early := at.Sub(f.at); early > 1100*time.Millisecond {
			t.Errorf("%s came %s early", f.run, early)
		}
		seen[f.run] = true
	}
}

func TestTimersOutliveARestart(t *testing.T) {
	t.Parallel()
	r := startRestartable(t, embedded.Fsync)
	b := dial(t, Options{Server: r.URL()})
	setUp(t, b, SetupOptions{Partitions: 1})
	x := timers{t, b}
	x.set("kept", time.Now().Add(2*time.Second))
	x.set("back", time.Now().Add(time.Second))
	x.cancel("back")
	past := time.Now().Add(time.Second)
	x.set("past", past) // comes due while the server is away
	r.Shutdown()
	ctx, cancel := context.WithDeadline(t.Context(), past.Add(time.Second))
	defer cancel()
	<-ctx.Done()
	r.begin()
	put(t, b, "connected")
	due := x.fire()
	seen := map[string]bool{}
	for len(seen) < 2 {
		f := within(t, patience, due)
		if seen[f.run] = true; seen["back"] {
			t.Fatal("a cancelled timer fired after the restart")
		}
	}
	if !seen["kept"] || !seen["past"] {
		t.Errorf("fired: %v", seen)
	}
}

func TestManyTimersAtOnce(t *testing.T) {
	t.Parallel()
	_, b := start(t, t.TempDir(), embedded.Interval)
	due := timers{t, b}.fire()
	const n = 2000
	done := make(chan error, 3*n)
	note := func(err error) { done <- err }
	for i := range n {
		run := fmt.Sprintf("r%d", i)
		b.SetTimer(0, run, time.Now().Add(time.Hour), note)
		if i%2 == 0 {
			b.SetTimer(0, run, time.Now().Add(2*time.Second), note) // the same subject twice in a group
		} else {
			b.CancelTimer(0, run, note)
		}
	}
	var errs []error
	for range 2 * n {
		errs = append(errs, within(t, patience, done))
	}
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for len(seen) < n/2 {
		seen[within(t, patience, due).run] = true
	}
	for run := range seen {
		var i int
		fmt.Sscanf(run, "r%d", &i)
		if i%2 == 1 {
			t.Errorf("the cancelled timer of %s fired", run)
		}
	}
}

func TestTimersAreRoundedUp(t *testing.T) {
	t.Parallel()
	for at, want := range map[string]string{
		"2026-01-02T03:04:05Z": "2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000000001Z": "2026-01-02T03:04:06Z",
		"2026-01-02T03:04:59.9+02:00": "2026-01-02T01:05:00Z",
	} {
		moment, err := time.Parse(time.RFC3339Nano, at)
		if err != nil {
			t.Fatal(err)
		}
		if got := wholeSecond(moment).Format(time.RFC3339); got != want {
			t.Errorf("%s becomes %s, not %s", at, got, want)
		}
	}
}
