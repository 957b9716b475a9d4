package runlog

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"belay/internal/bus"
	"belay/internal/steps"
)

// TestAStoreThatTakesNoWrites: what is known not to be stored is not sent, and that is said.
func TestAStoreThatTakesNoWrites(t *testing.T) {
	t.Parallel()
	l, _ := online(t)
	submit(t, l, "before", submitted(t))
	l.Trouble = func(string) error { return fmt.Errorf("%w: since noon", bus.ErrNoWrites) }
	_, err := l.Submit(t.Context(), "run", submitted(t))
	many := l.SubmitMany(t.Context(), []Submission{{Run: "run", Submitted: submitted(t)}})
	_, cancelled := l.Cancel(t.Context(), "before", steps.Cancelled{By: "mia"})
	for _, err := range []error{err, many[0].Err, cancelled} {
		if !errors.Is(err, bus.ErrNoWrites) || errors.Is(err, bus.ErrUncertain) || !strings.Contains(fmt.Sprint(err), "nothing was stored: the store takes no writes: since noon") {
			t.Errorf("%v", err)
		}
	}
	l.Trouble = nil
	if s, err := l.Submitted(t.Context(), "run"); s != nil || err != nil {
		t.Errorf("%v, %v", s, err)
	}
	if s, err := l.Load(t.Context(), "before"); err != nil || s.Status() != steps.RunRunning {
		t.Errorf("%v", err)
	}
}

// TestWhyItIsNotKnown: a write that got no answer stays one that may be stored, and says what is known of the store; one that was
// refused for want of room is not stored.
func TestWhyItIsNotKnown(t *testing.T) {
	t.Parallel()
	l, _ := online(t)
	l.Trouble = func(string) error { return fmt.Errorf("%w: since noon", bus.ErrNoWrites) }
	err := l.unstored(t.Context(), fmt.Errorf("publish: %w", bus.ErrUncertain))
	if !errors.Is(err, bus.ErrUncertain) || err.Error() != "the store takes no writes: since noon" {
		t.Errorf("%v", err)
	}
	err = l.unstored(t.Context(), bus.ErrFull)
	if !errors.Is(err, bus.ErrFull) || !strings.HasPrefix(err.Error(), "nothing was stored: ") {
		t.Errorf("%v", err)
	}
	l.Trouble = func(string) error { return nil }
	if err := l.unstored(t.Context(), bus.ErrUncertain); !errors.Is(err, bus.ErrUncertain) || !strings.Contains(err.Error(), "its disk may be full") {
		t.Errorf("%v", err)
	}
	if err := l.unstored(t.Context(), context.Canceled); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// TestPatience: a server that is connected has the time of whoever waits, less what it takes to say why.
func TestPatience(t *testing.T) {
	t.Parallel()
	l, b := online(t)
	began := time.Now()
	if until := l.giveUp(began, submitPatience); until.After(began.Add(b.Patience())) || until.Before(began.Add(b.Patience()/2)) {
		t.Errorf("it is given up after %s", until.Sub(began))
	}
}
