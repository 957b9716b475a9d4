package handoff

import (
	"context"
	"errors"
	"fmt"
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

// What goes wrong with a redrive beside what goes wrong with one of its items.
var (
	// ErrCameBack says that it stopped, because a run stopped again or failed of what was decided.
	ErrCameBack = errors.New("what was decided did not help")
	// ErrUnderWay says that all counts, and that some runs had not come to rest when it ended.
	ErrUnderWay = errors.New("still under way")
)

// CheckRedrive refuses what must not be decided for many at once: an approval is of exactly what one person saw.
func CheckRedrive(a Act) error {
	switch steps.Verb(a.Verb) {
	case steps.VerbRetry, steps.VerbSkip, steps.VerbAbort, steps.VerbVerify, steps.VerbReject:
		return nil
	}
	return fmt.Errorf("%w: %q for many at once; possible are retry, skip, verify, reject and abort", ErrNotAllowed, a.Verb)
}

// Run decides the items of a list, in its order, and tells of each as soon as something is known, and again when more
// is. The list is what somebody was shown: items that came later are not in it.
//
// A wave is good when its runs rest well: they have ended as meant, or wait for nothing that the decision led to. The
// waves grow with every good one, keep their size while a run is still under way, and stop at the first that is not
// good ([ErrCameBack]) and at the first refusal of rights ([ErrForbidden]). The error is the worst that happened:
//
//	[ErrForbidden], [ErrNoDesk], ctx's, any that is not named here, [ErrCameBack],
//	[ErrDecidedBefore], [ErrChanged] and [ErrClaimed], [ErrUnderWay],
//	[ErrNoEscalation], [ErrInvalid] and [ErrNotAllowed]
func (r *Redrive) Run(ctx context.Context, who Person, list []Chosen, a Act, tell func(RedriveResult)) error {
	if err := CheckRedrive(a); err != nil {
		return err
	}
	a.Many = true
	following, enough := context.WithCancel(ctx)
	w := &waves{
		Redrive: r, who: who, act: a, tell: tell, following: following, heard: make(chan RedriveResult, len(list)),
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
		tell(RedriveResult{ID: c.ID, Result: RedriveNotReached})
	}
	w.end(ctx)
	return w.worst
}

// distinct leaves out what is there a second time.
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

// severity orders what can go wrong, the worst last.
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
	case is(ErrForbidden):
		return 8
	case is(ErrNoDesk):
		return 7
	case is(context.Canceled):
		return 6 // it was ended from outside
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
