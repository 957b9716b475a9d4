package handoff

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"belay/internal/runlog"
	"belay/internal/steps"
)

// waves is one [Redrive.Run].
type waves struct {
	*Redrive
	who  Person
	act  Act
	tell func(RedriveResult)

	following context.Context // of what follows runs; ends with the redrive
	followers sync.WaitGroup
	heard     chan RedriveResult // what became of items; has room for all of them

	wave, size int
	left       map[int]int              // by wave: items of which nothing final is known
	unknown    map[string]RedriveResult // those items
	bad        bool                     // something came back, or failed
	other      bool                     // not only the same fault came back
	stop       bool                     // no further decision can count
	worst      error
}

// over reports whether no further wave may begin.
func (w *waves) over(ctx context.Context) bool { return w.bad || w.stop || ctx.Err() != nil }

// note keeps the worst that happened.
func (w *waves) note(err error) {
	if severity(err) > severity(w.worst) {
		w.worst = err
	}
}

// decide makes the decisions of the next wave and begins to follow what becomes of them. Reached is how many items it
// came to: an interrupt, or a refusal that holds for all, ends it before the others.
func (w *waves) decide(ctx context.Context, list []Chosen) (reached int) {
	w.wave++
	var decided []string
	for i, c := range list {
		if w.stop || w.pace(ctx, w.wave > 1 || i > 0) != nil {
			break
		}
		if reached++; w.one(ctx, c) {
			decided = append(decided, c.ID)
		}
	}
	if w.left[w.wave] = len(decided); len(decided) == 0 {
		w.grow()
		return reached
	}
	w.follow(decided)
	return reached
}

// one decides one item, and reports whether that counts.
func (w *waves) one(ctx context.Context, c Chosen) bool {
	a := w.act
	a.Revision = c.Revision
	// Who stops a redrive does not leave a decision on its way of which nobody knows.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), w.Patience)
	defer cancel()
	done, err := w.Desk.Act(ctx, w.who, c.ID, a)
	switch {
	case done.Again && err == nil: // what became of that is not this redrive's doing
		w.tell(RedriveResult{ID: c.ID, Wave: w.wave, Result: RedriveRefused, Code: codeAgain, Detail: done.Effect})
		return false
	case err != nil:
		w.note(err)
		w.stop = errors.Is(err, ErrForbidden) || errors.Is(err, ErrNoDesk)
		w.tell(RedriveResult{ID: c.ID, Wave: w.wave, Result: RedriveRefused, Code: Code(err), Detail: strings.TrimPrefix(err.Error(), string(a.Verb)+" "+c.ID+": ")})
		return false
	}
	res := RedriveResult{ID: c.ID, Wave: w.wave, Result: RedriveDecided}
	w.unknown[c.ID] = res
	w.tell(res)
	return true
}

// pace keeps the rate.
func (w *waves) pace(ctx context.Context, wait bool) error {
	if !wait || w.Interval <= 0 {
		return context.Cause(ctx)
	}
	t := time.NewTimer(w.Interval)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// wait hears what becomes of the wave at hand, until all of it is known or its time is over. What earlier waves have
// left under way is heard too.
func (w *waves) wait(ctx context.Context) {
	patience := time.NewTimer(w.Patience)
	defer patience.Stop()
	for w.left[w.wave] > 0 {
		select {
		case res := <-w.heard:
			w.hear(res)
		case <-patience.C:
			w.underWay(w.wave)
			return
		case <-ctx.Done():
			return
		}
	}
	w.drain()
}

// drain hears what is known already.
func (w *waves) drain() {
	for {
		select {
		case res := <-w.heard:
			w.hear(res)
		default:
			return
		}
	}
}

// hear takes in what became of an item for good; a wave of which all is well lets the next one be larger.
func (w *waves) hear(res RedriveResult) {
	res.Wave = w.unknown[res.ID].Wave
	delete(w.unknown, res.ID)
	w.left[res.Wave]--
	if fate := steps.Fate(res.Result); fate.Bad() {
		w.bad, w.other = true, w.other || fate != steps.FateBack
	}
	if w.left[res.Wave] == 0 && !w.bad {
		w.grow()
	}
	w.tell(res)
}

// grow lets the next wave be larger.
func (w *waves) grow() { w.size = min(2*w.size, cmp.Or(w.Largest, 64)) }

// underWay tells of the items of a wave that are still at work.
func (w *waves) underWay(wave int) {
	for _, res := range w.unknown {
		if res.Wave == wave {
			res.Result = string(steps.FateUnderWay)
			w.tell(res)
		}
	}
}

// end says what is left unknown, and the worst that happened on the whole.
func (w *waves) end(ctx context.Context) {
	w.drain()
	for wave := range w.wave {
		w.underWay(wave + 1)
	}
	if len(w.unknown) > 0 {
		w.note(fmt.Errorf("%w: %d", ErrUnderWay, len(w.unknown)))
	}
	if w.bad {
		what := "the same fault came back"
		if w.other {
			what = "runs stopped again or failed"
		}
		w.note(fmt.Errorf("%w: %s; look at what is asked there before you decide the rest", ErrCameBack, what))
	}
	if err := ctx.Err(); err != nil {
		w.note(fmt.Errorf("%w: %w", err, context.Cause(ctx)))
	}
}

// follow hears what becomes of decided items, each of their runs followed once.
func (w *waves) follow(decided []string) {
	runs := map[string][]string{}
	for _, id := range decided {
		run, _ := RunOf(id) // it has been decided, so it has one
		runs[run] = append(runs[run], id)
	}
	for run, ids := range runs {
		w.followers.Go(func() { w.followRun(run, ids) })
	}
}

func (w *waves) followRun(run string, ids []string) {
	ids = slices.DeleteFunc(ids, w.letter)
	if len(ids) == 0 {
		return
	}
	err := w.Runs.Follow(w.following, run, func(s *steps.State, _ steps.Record, _ []int) bool {
		ids = slices.DeleteFunc(ids, func(id string) bool { return w.settled(s, id) })
		return len(ids) > 0
	})
	if !errors.Is(err, runlog.ErrFrozen) {
		return // the redrive has ended: whatever is left is under way
	}
	for _, id := range ids {
		w.heard <- RedriveResult{ID: id, Result: string(steps.FateFailed), Detail: err.Error()}
	}
}

// settled says what became of an item, and reports whether that is known.
func (w *waves) settled(s *steps.State, id string) bool {
	n := s.FindEscalation(id)
	if n < 0 || s.Escalations[n].State == steps.EscalationOpen || s.UnderWay(n) {
		return false
	}
	a := steps.AftermathOf(s, n)
	if a.Fate == steps.FateUnderWay {
		return false
	}
	w.heard <- RedriveResult{ID: id, Result: string(a.Fate), Next: a.Next, Step: a.Step, Detail: cmp.Or(a.Message, a.Text)}
	return true
}

// letter says what became of a dead letter: whether its run can be read now.
func (w *waves) letter(id string) bool {
	run, is := runlog.LetterRun(id)
	if !is {
		return false
	}
	res := RedriveResult{ID: id, Result: string(steps.FateDone)}
	_, err := w.Runs.Load(w.following, run)
	if frozen, ok := errors.AsType[*runlog.Frozen](err); ok {
		res.Result, res.Next, res.Detail = string(steps.FateOther), frozen.Letter, frozen.Why.Error()
		if frozen.Letter == id {
			res.Result = string(steps.FateBack)
		}
	}
	w.heard <- res
	return true
}
