package dispatch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"belay/internal/bus"
	"belay/internal/steps"
	"belay/internal/wire"
)

// To the server, a message in hand looks the same whether its worker executes it or was killed with it: it counts as in
// flight until the next pull. So if no worker has pulled for an ack wait, the dispatcher pulls. It gets only messages that
// no worker keeps, and reports of an attempt that was begun what a worker that got the message now would report: that it
// may have happened, or that it did not end.

// quiet is a rung with messages in flight and no waiting pull.
type quiet struct {
	since     time.Time // since when, without interruption
	look      time.Time // when to check next whether workers keep them
	abandoned bool      // no worker keeps some of them, and no worker serves the rung
}

// lookAtQuiet finds out whether messages in flight were left behind. Busy workers do not pull either, but Belay's report
// that they are there, and a foreign one keeps its messages by heartbeats.
func (d *Dispatcher) lookAtQuiet(ctx context.Context, r route, ackWait time.Duration) (*quiet, error) {
	now := time.Now()
	q := d.missing.quiet[r]
	if q == nil {
		q = &quiet{since: now, look: now.Add(ackWait)}
		d.missing.quiet[r] = q
	}
	if now.Before(q.look) {
		return q, nil
	}
	left, err := d.leftBehind(ctx, r)
	if err != nil {
		return nil, err
	}
	if q.abandoned = left; left {
		q.look = now.Add(d.UnservedAfter + ackWait) // it is checked again when people are asked
		return q, nil
	}
	q.since, q.look = now, now.Add(ackWait/2)
	return q, nil
}

// leftBehind reports whether no worker has some message of the rung in hand, and no worker serves the rung.
func (d *Dispatcher) leftBehind(ctx context.Context, r route) (bool, error) {
	workers, err := d.Bus.Workers(ctx)
	if err != nil {
		return false, err
	}
	serves := func(w bus.Worker) bool { return !w.Draining && slices.Contains(w.Serves, r.tool+"/"+r.rung) }
	if slices.ContainsFunc(workers, serves) {
		return false, nil
	}
	m, left, err := d.Bus.PullLeft(ctx, r.tool, r.rung)
	if err != nil || !left {
		return false, err
	}
	return true, m.Park(0)
}

// mostAbandoned is how many messages of a rung are handled in one check; the next one handles the rest.
const mostAbandoned = 256

// tellAbandoned pulls the messages that no worker of the route keeps, and appends to the runs' logs what happened to those
// that were begun. It hands the others back: [Dispatcher.tellUnserved] has notified their runs, which withdraw them.
func (d *Dispatcher) tellAbandoned(ctx context.Context, r route) error {
	var errs []error
	var back []bus.Delivery
	for n := 0; n < mostAbandoned; n++ {
		m, left, err := d.Bus.PullLeft(ctx, r.tool, r.rung)
		if errs = append(errs, err); err != nil || !left {
			delete(d.missing.quiet, r)
			break
		}
		said, err := d.abandon(ctx, r, m)
		if errs = append(errs, err); !said {
			back = append(back, m)
		}
	}
	for _, m := range back {
		errs = append(errs, m.Park(0))
	}
	return errors.Join(errs...)
}

// stepOf decodes the message of a rung; not ok if it is not one.
func stepOf(r route, in bus.Delivery) (m steps.StepMessage, ok bool) {
	m, err := wire.DecodeStep(in.Data)
	return m, err == nil && m.Tool == r.tool && m.RungName == r.rung
}

// abandon appends to a run's log what happened to an attempt whose message only this dispatcher has in hand; it returns
// false if there is nothing to append.
func (d *Dispatcher) abandon(ctx context.Context, r route, in bus.Delivery) (said bool, err error) {
	m, ok := stepOf(r, in)
	if !ok {
		return false, nil // a worker reports it, once there is one
	}
	f, err := d.Log.Read(ctx, m.Run, nil)
	if err != nil || f.State == nil || f.Frozen() != nil {
		return false, err
	}
	e := steps.Abandoned(f.State, m)
	if e == nil {
		return false, nil
	}
	if _, err := d.Log.Append(ctx, m.Run, e); err != nil {
		return false, fmt.Errorf("notify run %s that a worker is gone: %w", m.Run, err)
	}
	d.Logger.Warn("a worker is gone with an attempt in hand, and no worker serves its tool; the run is notified", "attempt", steps.AttemptName(m.Run, m.Attempt))
	return true, in.Ack()
}
