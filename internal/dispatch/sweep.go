package dispatch

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"belay/internal/runlog"
	"belay/internal/steps"
	"belay/internal/wire"
)

// A sweep must not starve live events: it opens few runs side by side and looks at few in one turn of the loop.
const (
	sweepAtOnce = 4
	sweepChunk  = 128
)

// sweeper folds every open run anew when the partition is taken over, and from time to time.
func (p *partition) sweeper(ctx context.Context) {
	tick := time.NewTicker(p.SweepEvery)
	defer tick.Stop()
	for {
		anew := false
		select {
		case <-ctx.Done():
			return
		case <-p.taken:
		case <-tick.C:
			anew = true
		}
		for err := p.sweep(ctx, anew); err != nil && ctx.Err() == nil; err = p.sweep(ctx, anew) {
			p.log.Warn("cannot look through the open runs; trying again", "error", err)
			pause(ctx, retryAfter)
		}
	}
}

// sweep folds every open run to the head of its log and makes sure of all that it wants. It is the same comparison as
// after an event, for runs that no event comes for. Runs in memory are read again only if anew is set.
func (p *partition) sweep(ctx context.Context, anew bool) error {
	if mutant("no-reconcile") {
		return nil
	}
	if held, err := p.holds(ctx); err != nil || !held {
		return err
	}
	if err := p.shareListing(ctx, anew); err != nil {
		return err
	}
	defer p.box.call(func() { p.listed = nil })
	open, err := p.Bus.OpenRuns(ctx, p.p)
	if err != nil {
		return fmt.Errorf("list the open runs: %w", err)
	}
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
	return p.sweepLetters(ctx, open)
}

// shareListing lists the step queue once for all runs that are not in memory yet. A run in memory may have been queued
// something since, so it is looked up by itself.
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
	return p.do(ctx, func() { l.queued, l.made = now.queued, now.made })
}

// holds reports whether events of the partition come to this dispatcher.
func (p *partition) holds(ctx context.Context) (bool, error) {
	held := make(chan bool, 1) // when ctx ends, nobody waits for the answer any more, and it comes all the same
	if err := p.do(ctx, func() { held <- p.pinned }); err != nil {
		return false, err
	}
	return <-held, nil
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

// sweepLetters removes letters of runs that have ended and dead letters of runs that are not frozen: what a crash
// between a decision and the removal left behind.
func (p *partition) sweepLetters(ctx context.Context, open []string) error {
	letters, err := p.letters.IDs(ctx)
	if err != nil {
		return err
	}
	letters = slices.DeleteFunc(letters, func(v steps.EscalationView) bool { return !p.owns(letterRun(v)) })
	if len(letters) == 0 {
		return nil
	}
	isOpen := make(map[string]bool, len(open))
	for _, id := range open {
		isOpen[id] = true
	}
	for _, v := range letters {
		over, err := p.letterOver(ctx, v, isOpen[letterRun(v)])
		if err != nil {
			return err
		}
		if over {
			p.removeLetterNow(ctx, v)
		}
	}
	return nil
}

// letterRun is the run that a letter is about, "" when it belongs to none.
func letterRun(v steps.EscalationView) string {
	if v.Kind == steps.KindDeadLetter {
		run, _ := runlog.LetterRun(v.ID)
		return run
	}
	for i := len(v.ID) - 1; i > 0; i-- {
		if v.ID[i] == '-' {
			return v.ID[:i]
		}
	}
	return ""
}

// letterOver asks the run's own log, since the list of open runs may be older than the letter.
func (p *partition) letterOver(ctx context.Context, v steps.EscalationView, open bool) (bool, error) {
	if open && v.Kind != steps.KindDeadLetter {
		return false, nil // its run wants it or removes it
	}
	f, err := p.Log.Read(ctx, letterRun(v), nil)
	switch {
	case err != nil:
		return false, err
	case f.Removed && f.State == nil:
		return true, nil
	case f.Poison != nil || f.State == nil:
		return false, nil // people remove a letter that belongs to no run
	case v.Kind == steps.KindDeadLetter:
		_, err := wants(f.State, nil)
		return err == nil, nil
	}
	return f.State.Closed(), nil
}

func (p *partition) removeLetterNow(ctx context.Context, v steps.EscalationView) {
	if err := p.letters.Remove(ctx, v); err != nil {
		p.log.Warn("cannot remove a letter that is over; the next sweep does", "escalation", v.ID, "error", err)
	}
}

// sweepQueue compares the step queue with what runs in memory want. A step message that is wanted and not there was
// taken away (an operator purged the queue): its run is folded to the head of its log, and what is then still wanted
// is queued again. What was sent less than slack before may not be in the list yet, and is left alone.
func (d *Dispatcher) sweepQueue(ctx context.Context, slack time.Duration) error {
	if mutant("no-reconcile") {
		return nil
	}
	listed := time.Now()
	subjects, err := d.Bus.Subjects(ctx, d.names.StepsStream(), d.names.StepsSubjects())
	if err != nil {
		return err
	}
	q := queue{there: make(map[string]struct{}, len(subjects)), before: listed.Add(-slack)}
	for _, s := range subjects {
		q.there[s] = struct{}{}
	}
	for _, p := range d.parts {
		if err := p.checkQueue(ctx, q); err != nil {
			return err
		}
		if err := p.checkPin(ctx); err != nil {
			return err
		}
	}
	return nil
}

// refillQueue makes the step queue again, and fills it, when the server that held it was restarted.
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
				// Whatever was sent before went with the server, so nothing is too young to be missed.
				err = d.sweepQueue(ctx, 0)
			}
			if err == nil {
				break
			}
			d.Logger.Warn("cannot make the step queue again yet; trying again", "error", err)
			pause(ctx, 200*time.Millisecond)
		}
	}
}

// queue is what the step queue held at a moment. What was sent shortly before may be missing in it.
type queue struct {
	there  map[string]struct{}
	before time.Time
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
	for i := range w.Steps {
		if p.missing(r, &w.Steps[i], q) {
			// Its outcome may be in the log and not here yet, so the log is asked before anything is queued again.
			p.read(r, r.fold.Seq+1)
			return
		}
	}
}

func (p *partition) missing(r *run, m *steps.StepMessage, q queue) bool {
	s, ok := r.sent[m.Step]
	if !ok || s.attempt != m.Attempt || !s.at.Before(q.before) {
		return false
	}
	_, there := q.there[p.names.Step(m.Tool, m.RungName, m.Run, m.Attempt)]
	return !there
}

// progress is how far events had come when it was last looked at.
type progress struct{ delivered, head uint64 }

// checkPin finds out that another dispatcher gets the partition's events now: nothing tells the one that lost them. It
// has when none came since the last look, while one was in the log by then that never came.
func (p *partition) checkPin(ctx context.Context) error {
	head, err := p.Bus.LastSeq(ctx, p.p)
	if err != nil {
		return err
	}
	return p.do(ctx, func() {
		was := p.seen
		p.seen = progress{p.delivered, head}
		if p.pinned && was.delivered == p.delivered && was.head > p.delivered && p.delivered > 0 {
			p.release()
		}
	})
}

// owns reports whether a run belongs to this partition.
func (p *partition) owns(run string) bool {
	return run != "" && wire.Partition(run, len(p.parts)) == p.p
}
