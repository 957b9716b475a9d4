package dispatch

import (
	"context"

	"belay/internal/bus"
	"belay/internal/steps"
	"belay/internal/wire"
)

// timers turns due schedules into Fired events. Any dispatcher can do that for any run: the fold decides what a Fired means.
type timers struct {
	*Dispatcher
	work    context.Context
	slots   chan struct{}
	stopped chan struct{}
}

// maxDue is how many due timers are handled at the same time.
const maxDue = 32

func (d *Dispatcher) newTimers(work context.Context) *timers {
	return &timers{Dispatcher: d, work: work, slots: make(chan struct{}, maxDue), stopped: make(chan struct{})}
}

func (t *timers) due(d bus.Delivery) {
	select {
	case t.slots <- struct{}{}:
	case <-t.stopped:
		_ = d.Park(0) // for another dispatcher; if this is lost, it is redelivered later
		return
	}
	go func() {
		defer func() { <-t.slots }()
		if err := t.fire(d); err != nil {
			t.Logger.Warn("could not pass a timer on; it will be redelivered", "subject", d.Subject, "error", err)
			err = d.Park(parkFor)
			if err != nil {
				t.Logger.Warn("could not hand a timer back; it will be redelivered after the ack wait", "subject", d.Subject, "error", err)
			}
		}
	}()
}

// wait accepts nothing more, and waits for timers that are being handled: when they are done it has all slots.
func (t *timers) wait() {
	close(t.stopped)
	for range maxDue {
		t.slots <- struct{}{}
	}
}

// fire appends Fired for an open run. It must not do so for one that has ended or was removed: an entry in a removed log
// would stay there for ever.
func (t *timers) fire(d bus.Delivery) error {
	p, run, ok := t.names.ParseTimer(d.Subject)
	if !ok || !wire.ValidName(run) || wire.Partition(run, len(t.parts)) != p {
		return t.stray(d)
	}
	open, err := t.isOpen(p, run)
	if err != nil {
		return err
	}
	if !open {
		return t.stray(d)
	}
	if _, err := t.Log.Append(t.work, run, steps.Fired{}); err != nil {
		return err
	}
	return d.Ack()
}

// stray opens a dead letter for a timer that belongs to no run. A timer of a run that has ended is ignored.
func (t *timers) stray(d bus.Delivery) error {
	s, err := t.Log.Stray(t.work, t.names.TimersStream(), d.Subject)
	if err != nil {
		return err
	}
	if s != nil {
		t.Logger.Error("a timer belongs to no run; decide its dead letter", "subject", d.Subject, "escalation", s.ID, "error", s.Why)
		if err := putNow(t.work, t.escalations, s); err != nil {
			return err
		}
	}
	return d.Ack()
}

func (t *timers) isOpen(p int, run string) (bool, error) {
	subjects, err := t.Bus.Subjects(t.work, t.names.RunsStream(p), t.names.LogOf(p, run))
	if err != nil {
		return false, err
	}
	submitted := false
	for _, s := range subjects {
		switch s {
		case t.names.Log(p, run, wire.KindResult):
			return false, nil
		case t.names.Log(p, run, wire.KindPlan):
			submitted = true
		}
	}
	return submitted, nil
}
