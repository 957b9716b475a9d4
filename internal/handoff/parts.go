package handoff

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/google/uuid"

	"belay/internal/people"
	"belay/internal/runlog"
	"belay/internal/steps/view"
)

// A program that may not write logs has a dispatcher do the same to many runs, in parts: each is answered soon, and in between the
// program tells what came of it, or ends.
const (
	partTime = time.Second     // what a part takes; the rest is asked for again
	maxPart  = 100             // runs in a part
	linger   = 5 * time.Second // how long an interrupted program waits for the answer that is on its way
)

// part is how many runs can be done in the time of a part.
func (o RunOrder) part() int {
	return min(maxPart, 1+int(math.Ceil(float64(partTime)/float64(o.interval()))))
}

// ask has a dispatcher do it, which records it too.
func (m *Alike) ask(ctx context.Context, who people.Actor, o RunOrder, list []RedriveResult, tell func(RedriveResult)) error {
	asking, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(linger, cancel) })()
	part := runlog.Many{By: who.Name, Via: who.Via, ID: uuid.NewString(), Verb: string(o.Verb), Where: o.Where, Reason: o.Reason, Rate: o.Rate}
	for _, it := range list {
		part.All = append(part.All, runlog.ManyRun{Run: it.ID, Was: it.Was})
	}
	t := telling{tell: tell}
	for rest := list; len(rest) > 0; part.All = nil {
		if err := pause(ctx, len(rest) < len(list), o.interval()); err != nil {
			return t.ends(err, rest, 0)
		}
		part.Runs = part.Runs[:0]
		for _, it := range rest[:min(len(rest), o.part())] {
			part.Runs = append(part.Runs, it.ID)
		}
		did, err := m.Runs.Many(asking, part)
		if err != nil {
			return t.ends(err, rest, len(part.Runs))
		}
		for i, r := range did {
			it := rest[i]
			it.Result, it.Code, it.Detail = r.Result, r.Code, r.Detail
			t.one(it)
		}
		rest = rest[len(did):]
	}
	return t.err()
}

var errEnough = errors.New("the rest is for the next part")

// Part does the next part of what a program has asked to be done to many runs. The first part says which these are: that is in the
// audit trail before anything is done, and stored, so that what was done already is known where a part is asked for again. A run
// that allowed has an error for is left as it is.
func (b *Redrives) Part(ctx context.Context, who people.Actor, allowed Allowed, p runlog.Many) ([]runlog.ManyResult, error) {
	o := RunOrder{Verb: people.Action(p.Verb), Reason: p.Reason, Where: p.Where, Rate: p.Rate}
	if err := o.Check(); err != nil {
		return nil, err
	}
	if !b.alive() || ctx.Err() != nil {
		return nil, nil // another dispatcher does it, or this one when it has started
	}
	run, err := b.parted(ctx, who, o, p)
	if err != nil {
		return nil, err
	}
	todo, err := run.todo(p.Runs)
	if err != nil {
		return nil, err
	}
	m := b.Alike()
	if m.Allowed = allowed; who.Token == "" {
		m.Prove = nil // nobody has shown anything
	}
	soon, enough := context.WithTimeoutCause(ctx, partTime, errEnough)
	defer enough()
	done := 0
	err = m.Do(soon, who, o, todo, func(r RedriveResult) {
		if r.Result == ItemNotReached || r.Result == ItemUncertain {
			return // its turn is still to come
		}
		done++
		run.tell(r)
	})
	if done > 0 {
		run.settle(b.desk.Now())
		_ = run.save(context.WithoutCancel(ctx)) // else it is found in the logs of the runs when somebody asks again
	}
	did := run.did(p.Runs)
	if len(did) == 0 && !errors.Is(err, errEnough) && ctx.Err() == nil {
		return nil, err
	}
	return did, nil
}

// parted is a redrive that is carried out in parts, as it is stored; the first part stores it.
func (b *Redrives) parted(ctx context.Context, who people.Actor, o RunOrder, p runlog.Many) (*redriving, error) {
	s, _, revision, err := b.stored(ctx, p.ID)
	switch {
	case errors.Is(err, ErrNoRedrive) && len(p.All) > 0:
		return b.firstPart(ctx, who, o, p)
	case errors.Is(err, ErrNoRedrive):
		return nil, fmt.Errorf("%w: nothing is known of what is gone on with here: %w", ErrInvalid, err)
	case err != nil:
		return nil, err
	case s.By != who.Name || s.Verb != o.Verb || s.Of != OfRuns:
		return nil, fmt.Errorf("%w: %s is of somebody else, or is something else", ErrInvalid, p.ID)
	case s.StoppedBy != "":
		return nil, fmt.Errorf("%w by %s, and what was not reached is as it was; to go on with it, say the same once more", runlog.ErrStopped, s.StoppedBy)
	}
	run := b.redrivingRuns(who, s)
	run.revision = revision
	run.bucket, err = b.bucket(ctx)
	return run, err
}

func (b *Redrives) firstPart(ctx context.Context, who people.Actor, o RunOrder, p runlog.Many) (*redriving, error) {
	if uuid.Validate(p.ID) != nil || len(p.All) > MaxRedrive {
		return nil, fmt.Errorf("%w: %d runs as %q; at most %d at a time, under a UUID", ErrInvalid, len(p.All), p.ID, MaxRedrive)
	}
	run := b.redrivingRuns(who, Redrive{
		ID: p.ID, Verb: o.Verb, Reason: o.Reason, Where: o.Where, Rate: o.Rate, Of: OfRuns, By: who.Name, Via: who.Via, State: RedriveRunning, Started: b.desk.Now().UTC(),
	})
	var list []Chosen
	for _, r := range p.All {
		list = append(list, Chosen{ID: r.Run})
	}
	run.await(distinct(list))
	was := map[string]string{}
	for _, r := range p.All {
		was[r.Run] = r.Was
	}
	for i := range run.Items {
		run.Items[i].Was = was[run.Items[i].ID]
	}
	if err := b.record(ctx, who, run.Redrive); err != nil {
		return nil, err
	}
	var err error
	if run.bucket, err = b.bucket(ctx); err != nil {
		return nil, err
	}
	return run, run.save(ctx)
}

// todo are the items of these runs that nothing has become of yet.
func (r *redriving) todo(runs []string) (list []RedriveResult, err error) {
	of := map[string]RedriveResult{}
	for _, it := range r.Items {
		of[it.ID] = it
	}
	for _, run := range runs {
		it, known := of[run]
		switch {
		case !known:
			return nil, fmt.Errorf("%w: %s is not among the runs that it began with", ErrInvalid, run)
		case it.Result == ItemWaiting:
			list = append(list, it)
		}
	}
	return list, nil
}

// did is what became of these runs, up to the first of which nothing is known yet.
func (r *redriving) did(runs []string) (list []runlog.ManyResult) {
	of := map[string]RedriveResult{}
	for _, it := range r.shown().Items {
		of[it.ID] = it
	}
	for _, run := range runs {
		it := of[run]
		if it.Result != ItemRefused && it.Result != string(view.FateDone) {
			return list
		}
		list = append(list, runlog.ManyResult{Run: run, Result: it.Result, Code: it.Code, Detail: it.Detail})
	}
	return list
}

// settle ends it when its last run is done.
func (r *redriving) settle(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, it := range r.Items {
		if it.Result == ItemWaiting {
			return
		}
	}
	r.State, r.Ended = RedriveDone, now.UTC()
}
