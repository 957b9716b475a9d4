package dispatch

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"belay/internal/steps"
	"belay/internal/steps/view"
	"belay/internal/wire"
)

// A sweep must not starve live events: it reads few runs at the same time, and checks few in one turn of the loop.
const (
	sweepAtOnce = 4
	sweepChunk  = 128
)

// settleAfter is how long after a take-over all servers of a cluster agree again on who leads. One that is cut off from the others
// takes itself for the leader for ten seconds, and what was read there may have ended before the log does.
const settleAfter = 12 * time.Second

// sweeper folds every open run again when the partition is taken over, in a cluster once more when that has settled, and periodically.
func (p *partition) sweeper(ctx context.Context) {
	tick := time.NewTicker(p.SweepEvery)
	defer tick.Stop()
	var settled <-chan time.Time
	for {
		anew := true
		select {
		case <-ctx.Done():
			return
		case <-p.takenOver:
			anew = false
			if p.Bus.Replicas() > 1 {
				settled = time.After(settleAfter)
			}
		case <-settled:
			settled = nil
		case <-tick.C:
		}
		for err := p.sweep(ctx, anew); err != nil && ctx.Err() == nil; err = p.sweep(ctx, anew) {
			p.logger.Warn("cannot sweep the open runs; trying again", "error", err)
			pause(ctx, retryAfter)
		}
	}
}

// sweep folds every open run to the head of its log, and publishes what it wants and does not have. It is the same
// comparison as after an event, for runs that get no event. Runs in memory are read again only if anew is set.
func (p *partition) sweep(ctx context.Context, anew bool) error {
	if mutant("no-reconcile") {
		return nil
	}
	if here, err := p.pinnedHere(ctx); err != nil || !here {
		return err
	}
	era := -1
	if err := p.do(ctx, func() { era = p.gating.era }); err != nil {
		return err
	}
	defer p.box.call(func() {
		p.listed = nil
		p.openDoors()
	})
	if err := p.shareListing(ctx, anew); err != nil {
		return err
	}
	open, err := p.OpenRuns(ctx, p.p)
	if err != nil {
		return fmt.Errorf("list the open runs: %w", err)
	}
	began := time.Now()
	slots := make(chan struct{}, sweepAtOnce)
	for _, id := range open {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		p.box.call(func() { p.reopen(id, anew, func() { <-slots }) })
	}
	for range sweepAtOnce { // all are read
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	p.box.call(func() {
		p.isComplete(era)
		p.sayLeft(p.p, len(open))
	})
	p.logger.Debug("read the open runs", "runs", len(open), "took", time.Since(began), "again", anew)
	return p.sweepEscalations(ctx, open)
}

// shareListing lists the step queue once for all runs that are not in memory yet. A run in memory may have queued more
// since, so it is looked up separately.
func (p *partition) shareListing(ctx context.Context, anew bool) error {
	if anew {
		return nil
	}
	l := &listing{old: make(map[string]struct{})}
	if err := p.do(ctx, func() { p.listed = l }); err != nil {
		return err
	}
	now, err := p.listQueue(ctx, p.names.StepsSubjects())
	if err != nil {
		return err
	}
	return p.do(ctx, func() { l.queued, l.made, l.routes, l.unread = now.queued, now.made, now.routes, now.unread })
}

// pinnedHere reports whether the partition is pinned to this dispatcher.
func (p *partition) pinnedHere(ctx context.Context) (bool, error) {
	here := make(chan bool, 1) // buffered: if ctx ends, the answer is sent but nobody receives it
	if err := p.do(ctx, func() { here <- p.pinned }); err != nil {
		return false, err
	}
	return <-here, nil
}

// reopen reads a run; done is called once it is read.
func (p *partition) reopen(id string, anew bool, done func()) {
	r, since := p.runs[id], p.delivered+1
	switch {
	case r == nil:
		r = p.admit(id)
	case !anew:
		done()
		return
	case r.fold != nil:
		since = r.fold.Seq + 1
	}
	r.onRead = append(r.onRead, done)
	p.read(r, since)
}

// sweepEscalations removes escalations of runs that have ended and dead letters of runs that are not frozen: what a crash
// between a decision and the removal left behind.
func (p *partition) sweepEscalations(ctx context.Context, open []string) error {
	all, err := p.escalations.IDs(ctx)
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(v view.Escalation) bool { return !p.owns(runOf(v)) })
	if len(all) == 0 {
		return nil
	}
	isOpen := make(map[string]bool, len(open))
	for _, id := range open {
		isOpen[id] = true
	}
	for _, v := range all {
		over, err := p.isOver(ctx, v, isOpen[runOf(v)])
		if err != nil {
			return err
		}
		if over {
			p.removeNow(ctx, v)
		}
	}
	return nil
}

// runOf is the run that an escalation is about, "" when it belongs to none.
func runOf(v view.Escalation) string {
	if steps.IsDeadLetter(v.ID) != (v.Kind == steps.KindDeadLetter) {
		return ""
	}
	run, _ := steps.RunOfEscalation(v.ID)
	return run
}

// isOver reads the run's own log, since the list of open runs may be older than the escalation.
func (p *partition) isOver(ctx context.Context, v view.Escalation, open bool) (bool, error) {
	if open && v.Kind != steps.KindDeadLetter {
		return false, nil // the run itself removes it
	}
	f, err := p.Log.Read(ctx, runOf(v), nil)
	switch {
	case err != nil:
		return false, err
	case f.Removed && f.State == nil:
		return true, nil
	case f.Poison != nil || f.State == nil:
		return false, nil // it belongs to no run: people remove it
	case v.Kind == steps.KindDeadLetter:
		_, err := wants(f.State, nil)
		return err == nil, nil
	}
	return f.State.Closed(), nil
}

func (p *partition) removeNow(ctx context.Context, v view.Escalation) {
	if err := p.escalations.Remove(ctx, v); err != nil {
		p.logger.Warn("cannot remove an escalation that has ended; the next sweep tries again", "escalation", v.ID, "error", err)
	}
}

// sweepQueue compares the step queue with what runs in memory want. A step message that is wanted and missing was removed
// (an operator purged the queue): its run is folded to the head of its log, and what is still wanted then is queued again.
// What was sent less than slack ago may not be in the list yet, and is ignored.
func (d *Dispatcher) sweepQueue(ctx context.Context, slack time.Duration) error {
	return d.compareQueue(ctx, slack, false)
}

func (d *Dispatcher) compareQueue(ctx context.Context, slack time.Duration, anew bool) error {
	if mutant("no-reconcile") {
		return nil
	}
	listed := time.Now()
	subjects, err := d.Bus.Subjects(ctx, d.names.StepsStream(), d.names.StepsSubjects())
	if err != nil {
		return err
	}
	q := queue{there: make(map[string]struct{}, len(subjects)), before: listed.Add(-slack), anew: anew}
	for _, s := range subjects {
		q.there[s] = struct{}{}
	}
	for _, p := range d.parts {
		if err := p.checkQueue(ctx, q); err != nil {
			return err
		}
	}
	return nil
}

// refillQueue makes the step queue again, and fills it, after the server that had it was restarted.
func (d *Dispatcher) refillQueue(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.Bus.Moved():
		}
		for ctx.Err() == nil {
			err := d.Bus.RestoreQueue(ctx)
			if err == nil {
				// Everything that was sent before was lost with the server, so there is no slack.
				err = d.compareQueue(ctx, 0, true)
			}
			if err == nil {
				break
			}
			d.Logger.Warn("cannot restore the step queue yet; trying again", "error", err)
			pause(ctx, 200*time.Millisecond)
		}
	}
}

// queue is the contents of the step queue at some time. Messages sent shortly before may be missing.
type queue struct {
	there  map[string]struct{}
	before time.Time
	anew   bool // it was made anew, so that whatever was in it before is lost
}

func (p *partition) checkQueue(ctx context.Context, q queue) error {
	var ids []string
	if err := p.do(ctx, func() { ids = slices.Collect(maps.Keys(p.runs)) }); err != nil {
		return err
	}
	for chunk := range slices.Chunk(ids, sweepChunk) {
		err := p.do(ctx, func() {
			for _, id := range chunk {
				p.checkRun(id, q)
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *partition) checkRun(id string, q queue) {
	r := p.runs[id]
	if r == nil || !r.live() || len(r.sent) == 0 {
		return
	}
	w, err := wants(r.fold.State, nil)
	if err != nil {
		p.troubled(r, &receipt{run: r, sweep: true}, err)
		return
	}
	var lost []int
	for i := range w.Steps {
		if m := &w.Steps[i]; p.missing(r, m, q) {
			lost = append(lost, r.fold.State.Unit(m.Step))
		}
	}
	switch {
	case len(lost) == 0 || r.out > 0:
	case q.anew:
		p.read(r, r.fold.Seq+1)
	default:
		// Its outcome may be in the log and not here yet, so the log is read before anything is queued again.
		p.requeue(r, lost)
	}
}

func (p *partition) missing(r *run, m *steps.StepMessage, q queue) bool {
	s, ok := r.sent[m.Step]
	if !ok || s.attempt != m.Attempt || !s.at.Before(q.before) {
		return false
	}
	if n := r.lost[m.Attempt].requeued; n > 0 && !q.anew && !steps.Overlooked(s.at, time.Now(), n) {
		return false // it is left alone for longer each time
	}
	_, there := q.there[p.names.Step(m.Tool, m.RungName, m.Run, m.Attempt)]
	return !there
}

// owns reports whether a run belongs to this partition.
func (p *partition) owns(run string) bool {
	return run != "" && wire.Partition(run, len(p.parts)) == p.p
}
