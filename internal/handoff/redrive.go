package handoff

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"belay/internal/runlog"
	"belay/internal/steps"
)

// Redrive decides many escalations alike: in waves of 1, 2, 4, 8 ..., each of which waits for what became of it, so that
// a fault that is still there comes back a few times and not a thousand. What has been decided stays so.
type Redrive struct {
	Desk interface { // where the decisions are made
		Act(ctx context.Context, who Person, id string, a Act) (Done, error)
	}
	Runs     *runlog.Log
	Interval time.Duration // between two decisions; the rate
	Patience time.Duration // how long a wave waits for what becomes of its items; then they count as under way
	Largest  int           // of a wave; default 64
}

// Chosen is one item of the list that somebody was shown.
type Chosen struct {
	ID       string `json:"id"`
	Revision uint64 `json:"revision,omitempty"` // of what was shown; 0 = whatever it is then
}

// RedriveResult is what became of one item.
type RedriveResult struct {
	ID     string `json:"id"`
	Wave   int    `json:"wave"`   // from 1; 0 = not reached
	Result string `json:"result"` // a [steps.Fate], or waiting, decided, refused, not_reached
	Detail string `json:"detail,omitempty"`
}

// What a [RedriveResult] says beside a [steps.Fate].
const (
	RedriveRefused    = "refused"
	RedriveNotReached = "not_reached"
	RedriveWaiting    = "waiting" // its turn has not come
	RedriveDecided    = "decided" // what becomes of it is told later
)

// ErrCameBack says that a redrive stopped, because what it had sent back failed the same way again.
var ErrCameBack = errors.New("the same fault came back; the rest was left as it was")

// CheckRedrive refuses what must not be decided for many at once: an approval is of exactly what one person saw.
func CheckRedrive(a Act) error {
	switch steps.Verb(a.Verb) {
	case steps.VerbRetry, steps.VerbSkip, steps.VerbAbort, steps.VerbVerify, steps.VerbReject:
		return nil
	}
	return fmt.Errorf("%w: %q for many at once; possible are retry, skip, verify, reject and abort", ErrNotAllowed, a.Verb)
}

// Run decides the items of a list, in its order, and tells of each as soon as something is known. The list is what
// somebody was shown: items that came later are not in it. [ErrCameBack] when it stopped.
func (r *Redrive) Run(ctx context.Context, who Person, list []Chosen, a Act, tell func(RedriveResult)) error {
	if err := CheckRedrive(a); err != nil {
		return err
	}
	a.Many = true
	largest := r.Largest
	if largest <= 0 {
		largest = 64
	}
	rest := list
	for wave, size := 1, 1; len(rest) > 0; wave, size = wave+1, min(2*size, largest) {
		now := rest[:min(size, len(rest))]
		rest = rest[len(now):]
		back, err := r.wave(ctx, who, now, a, wave, tell)
		if err == nil && back > 0 && len(rest) > 0 {
			err = fmt.Errorf("%w: %d of %d in wave %d", ErrCameBack, back, len(now), wave)
		}
		if err != nil {
			notReached(rest, tell)
			return err
		}
	}
	return nil
}

func notReached(list []Chosen, tell func(RedriveResult)) {
	for _, c := range list {
		tell(RedriveResult{ID: c.ID, Result: RedriveNotReached})
	}
}

// wave decides some items and waits for what becomes of them; back is how many ask the same again.
func (r *Redrive) wave(ctx context.Context, who Person, list []Chosen, a Act, wave int, tell func(RedriveResult)) (back int, err error) {
	var decided []string
	for i, c := range list {
		if err := r.pace(ctx, wave > 1 || i > 0); err != nil {
			notReached(list[i:], tell)
			break
		}
		id := c.ID
		a.Revision = c.Revision
		done, err := r.act(ctx, who, id, a)
		switch {
		case err != nil:
			tell(RedriveResult{ID: id, Wave: wave, Result: RedriveRefused, Detail: err.Error()})
		case done.Again:
			tell(RedriveResult{ID: id, Wave: wave, Result: RedriveRefused, Detail: done.Effect})
		default:
			tell(RedriveResult{ID: id, Wave: wave, Result: RedriveDecided})
			decided = append(decided, id)
		}
	}
	fates := r.wait(ctx, decided)
	for i, id := range decided {
		tell(RedriveResult{ID: id, Wave: wave, Result: string(fates[i])})
	}
	return len(decided) - len(slices.DeleteFunc(slices.Clone(fates), func(f steps.Fate) bool { return f == steps.FateBack })), context.Cause(ctx)
}

// act decides one item. Who stops a redrive does not leave a decision on its way of which nobody knows.
func (r *Redrive) act(ctx context.Context, who Person, id string, a Act) (Done, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.Patience)
	defer cancel()
	return r.Desk.Act(ctx, who, id, a)
}

// pace keeps the rate.
func (r *Redrive) pace(ctx context.Context, wait bool) error {
	if !wait || r.Interval <= 0 {
		return context.Cause(ctx)
	}
	t := time.NewTimer(r.Interval)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// wait follows the runs of decided items until something has become of each.
func (r *Redrive) wait(ctx context.Context, ids []string) []steps.Fate {
	ctx, cancel := context.WithTimeout(ctx, r.Patience)
	defer cancel()
	fates := make([]steps.Fate, len(ids))
	var wg sync.WaitGroup
	for i, id := range ids {
		fates[i] = steps.FateUnderWay
		wg.Go(func() { fates[i] = r.follow(ctx, id) })
	}
	wg.Wait()
	return fates
}

func (r *Redrive) follow(ctx context.Context, id string) steps.Fate {
	fate := steps.FateUnderWay
	run, ok := RunOf(id)
	if _, letter := runlog.LetterRun(id); letter || !ok {
		return steps.FateDone
	}
	// The error is ctx's, or the run's own trouble: either way it is under way as far as anybody knows.
	_ = r.Runs.Follow(ctx, run, func(s *steps.State, _ steps.Record, _ []int) bool {
		n := s.FindEscalation(id)
		if n < 0 {
			return true
		}
		f := steps.FateOf(s, n)
		if f == steps.FateOpen || f == steps.FateUnderWay {
			return true
		}
		fate = f
		return false
	})
	return fate
}
