package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"belay/internal/bus"
	"belay/internal/steps"
	"belay/internal/wire"
)

// How long, and how often, a claim that the server did not confirm is written again.
const (
	claimPatience = 30 * time.Second
	claimPause    = 200 * time.Millisecond
)

// claimSurely settles a claim of which nobody knows whether it is stored, or whose place is taken. A claim that can be
// read proves nothing, even under this delivery's own token: it may stand in the memory of a server whose disk fails,
// and be gone with it. So it is written again, behind itself where it is there, and the attempt is executed only once
// the server has confirmed a write of it. The fold takes the second for the first.
func (j *job) claimSurely() bool {
	ctx, cancel := context.WithTimeout(j.life, claimPatience)
	defer cancel()
	err := bus.ErrUncertain
	for ctx.Err() == nil {
		log, entries, readErr := j.history(ctx)
		if readErr != nil {
			err = readErr
			if !j.letServerCome(ctx) {
				break
			}
			continue
		}
		if verdict, _ := steps.Redelivered(steps.SinceGrant(log, j.m), j.delivered()); verdict != steps.Execute {
			return j.ask() && j.claimSurely() // it deals with the message, as long as the log says the same
		}
		if err = j.claimBehind(ctx, entries); err == nil {
			return true
		}
		if !errors.Is(err, bus.ErrConflict) && !errors.Is(err, bus.ErrUncertain) || !j.letServerCome(ctx) {
			break
		}
	}
	j.Log.Warn("a claim is not confirmed, so nothing is executed; the message comes again", "attempt", j.name(), "error", err)
	j.park(time.Second)
	return false
}

// letServerCome waits a moment for a server that may come back; false when the worker stops.
func (j *job) letServerCome(ctx context.Context) bool {
	t := time.NewTimer(claimPause)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
	case <-j.stopping:
	}
	return false
}

// claimBehind writes the claim behind this delivery's own, or as the first.
func (j *job) claimBehind(ctx context.Context, entries []bus.Entry) error {
	m, stream, err := j.message(steps.Claimed{Attempt: j.m.Attempt, Worker: j.worker})
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Subject == m.Subject {
			*m.Expect = e.Seq
		}
	}
	_, err = j.Bus.PublishWait(ctx, stream, m)
	return err
}

// history is the run's log, as records and as it is stored.
func (j *job) history(ctx context.Context) (log []steps.Record, entries []bus.Entry, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if entries, err = j.Bus.ReadLog(ctx, j.m.Run, 0); err != nil {
		return nil, nil, fmt.Errorf("read the log of run %s: %w", j.m.Run, err)
	}
	for _, e := range entries {
		_, run, kind, ok := j.names.ParseLog(e.Subject)
		if ev, err := wire.DecodeEvent(kind, e.Data); ok && err == nil { // another entry says nothing about this attempt
			log = append(log, steps.Record{Seq: e.Seq, Time: e.Time, Run: run, Event: ev})
		}
	}
	return log, entries, nil
}
