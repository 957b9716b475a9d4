package handoff

import (
	"context"
	"errors"
	"fmt"
	"time"

	"belay/internal/people"
	"belay/internal/runlog"
	"belay/internal/steps"
)

// Waves decides many escalations alike, in waves of 1, 2, 4, 8 and so on. Each wave waits for the fates of its items,
// so that a fault that is still there comes back a few times and not a thousand. What has been decided stays decided.
type Waves struct {
	Desk interface { // where the decisions are made
		Act(ctx context.Context, who people.Actor, id string, a people.Act) (Done, error)
	}
	Runs     *runlog.Log
	Interval time.Duration // between two decisions; 0 = none
	Patience time.Duration // how long a wave waits for the fates of its items; after that they count as under way
	Largest  int           // items in a wave; default 64
}

// Chosen is one item of the list that somebody was shown.
type Chosen struct {
	ID       string `json:"id"`
	Revision uint64 `json:"revision,omitempty"` // of what was shown; 0 = any

	State steps.RunState `json:"state,omitempty"` // of a run: in which it was shown; empty = any
}

// Errors of a redrive as a whole.
var (
	// ErrCameBack says that the redrive ended early, because a run stopped or failed once more.
	ErrCameBack = errors.New("what was decided did not help")
	// ErrUnderWay says that all decisions count, and that some runs were still at work when the redrive ended.
	ErrUnderWay = errors.New("still under way")
)

// CheckRedrive refuses decisions that a redrive must not make: an approval is for exactly what one person saw.
func CheckRedrive(a people.Act) error {
	switch steps.Verb(a.Verb) {
	case steps.VerbRetry, steps.VerbSkip, steps.VerbAbort, steps.VerbVerify, steps.VerbReject, steps.VerbExtend, steps.VerbFinish:
		return nil
	}
	return fmt.Errorf("%w: %q in a redrive; possible are retry, skip, verify, reject and abort", ErrNotAllowed, a.Verb)
}

// Run decides the items of a list, in its order, and calls tell for each as soon as something is known, and once more
// when more is known. The list is what somebody was shown: items that were opened later are not in it.
//
// A wave is good if its runs have ended as meant, or wait for nothing that the decision led to. Each good wave makes
// the next one larger; while a run is still under way the size stays; the first wave that is not good ends the redrive
// ([ErrCameBack]), and so does a missing right ([people.ErrForbidden]). The error is the worst that happened, in this
// order:
//
//	[people.ErrForbidden], [ErrNoDesk], ctx's, any that is not named here, [ErrCameBack],
//	[ErrDecidedBefore], [ErrChanged] and [ErrClaimed], [ErrUnderWay],
//	[ErrNoEscalation], [ErrInvalid] and [ErrNotAllowed]
func (r *Waves) Run(ctx context.Context, who people.Actor, list []Chosen, a people.Act, tell func(RedriveResult)) error {
	if err := CheckRedrive(a); err != nil {
		return err
	}
	a.Many = true
	following, enough := context.WithCancel(ctx)
	w := &waves{
		Waves: r, who: who, act: a, tell: tell, following: following, heard: make(chan RedriveResult, len(list)),
		size: 1, left: map[int]int{}, unknown: map[string]RedriveResult{},
	}
	rest := distinct(list)
	for len(rest) > 0 && !w.over(ctx) {
		now := rest[:min(w.size, len(rest))]
		reached := w.decide(ctx, now)
		rest = rest[reached:]
		w.wait(ctx)
	}
	enough()
	w.followers.Wait()
	for _, c := range rest {
		tell(RedriveResult{ID: c.ID, Result: ItemNotReached})
	}
	w.end(ctx)
	return w.worst
}

// distinct leaves out items that were in the list before.
func distinct(list []Chosen) []Chosen {
	seen := map[string]bool{}
	var once []Chosen
	for _, c := range list {
		if !seen[c.ID] {
			once = append(once, c)
		}
		seen[c.ID] = true
	}
	return once
}

// severity orders errors, the worst last.
func severity(err error) int {
	is := func(targets ...error) bool {
		for _, t := range targets {
			if errors.Is(err, t) {
				return true
			}
		}
		return false
	}
	switch {
	case err == nil:
		return 0
	case is(people.ErrForbidden):
		return 8
	case is(ErrNoDesk):
		return 7
	case is(context.Canceled):
		return 6 // it was interrupted
	case is(ErrCameBack):
		return 4
	case is(ErrDecidedBefore, ErrChanged, ErrClaimed):
		return 3
	case is(ErrUnderWay):
		return 2
	case is(ErrNoEscalation, ErrInvalid, ErrNotAllowed):
		return 1
	}
	return 5
}
