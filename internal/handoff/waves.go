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

	"belay/internal/people"
	"belay/internal/runlog"
	"belay/internal/steps"
	"belay/internal/steps/view"
)

// waves is one [Waves.Run].
type waves struct {
	*Waves
	who  people.Actor
	act  people.Act
	tell func(RedriveResult)

	following context.Context // for whoever follows the runs; ends with the redrive
	followers sync.WaitGroup
	heard     chan RedriveResult // the fates of items; has room for all of them

	wave, size int
	left       map[int]int              // by wave: how many items have no final fate yet
	unknown    map[string]RedriveResult // those items
	bad        bool                     // a run stopped or failed once more
	other      bool                     // and not only of the same fault
	stop       bool                     // no further decision would count
	worst      error
}

// over reports whether no more waves may begin.
func (w *waves) over(ctx context.Context) bool { return w.bad || w.stop || ctx.Err() != nil }

// note keeps the worst error.
func (w *waves) note(err error) {
	if severity(err) > severity(w.worst) {
		w.worst = err
	}
}

// decide makes the decisions of the next wave and begins to follow their runs. Reached is how many items it got to: an
// interrupt, or a refusal that holds for all of them, ends it early.
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

// one decides one item and reports whether the decision counts.
func (w *waves) one(ctx context.Context, c Chosen) bool {
	a := w.act
	a.Revision = c.Revision
	// A redrive that is stopped still waits for the answer to its last decision.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), w.Patience)
	defer cancel()
	done, err := w.Desk.Act(ctx, w.who, c.ID, a)
	switch {
	case done.Repeated && err == nil: // its fate is not this redrive's doing
		w.tell(RedriveResult{ID: c.ID, Wave: w.wave, Result: ItemRefused, Code: codeRepeated, Detail: done.Effect})
		return false
	case err != nil:
		w.note(err)
		w.stop = errors.Is(err, people.ErrForbidden) || errors.Is(err, ErrNoDesk)
		w.tell(RedriveResult{ID: c.ID, Wave: w.wave, Result: ItemRefused, Code: Code(err), Detail: strings.TrimPrefix(err.Error(), string(a.Verb)+" "+c.ID+": ")})
		return false
	}
	res := RedriveResult{ID: c.ID, Wave: w.wave, Result: ItemDecided}
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

// wait collects the fates of the wave's items until all are known or its time is over, and those of earlier waves that
// come meanwhile.
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

// drain collects the fates that are known already.
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

// hear takes in the final fate of an item; the next wave may be larger once all of a wave went well.
func (w *waves) hear(res RedriveResult) {
	res.Wave = w.unknown[res.ID].Wave
	delete(w.unknown, res.ID)
	w.left[res.Wave]--
	if fate := view.Fate(res.Result); fate.Bad() {
		w.bad, w.other = true, w.other || fate != view.FateBack
	}
	if w.left[res.Wave] == 0 && !w.bad {
		w.grow()
	}
	w.tell(res)
}

// grow makes the next wave larger.
func (w *waves) grow() { w.size = min(2*w.size, cmp.Or(w.Largest, 64)) }

// underWay tells which items of a wave are still at work.
func (w *waves) underWay(wave int) {
	for _, res := range w.unknown {
		if res.Wave == wave {
			res.Result = string(view.FateUnderWay)
			w.tell(res)
		}
	}
}

// end tells what is still unknown, and notes the worst of the whole redrive.
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

// follow collects the fates of decided items; each of their runs is followed once.
func (w *waves) follow(decided []string) {
	runs := map[string][]string{}
	for _, id := range decided {
		run, _ := steps.RunOfEscalation(id) // it was decided, so it has a run
		runs[run] = append(runs[run], id)
	}
	for run, ids := range runs {
		w.followers.Go(func() { w.followRun(run, ids) })
	}
}

func (w *waves) followRun(run string, ids []string) {
	ids = slices.DeleteFunc(ids, w.deadLetter)
	if len(ids) == 0 {
		return
	}
	err := w.Runs.Follow(w.following, run, func(s *steps.State, _ steps.Record, _ []int) bool {
		ids = slices.DeleteFunc(ids, func(id string) bool { return w.settled(s, id) })
		return len(ids) > 0
	})
	if !errors.Is(err, runlog.ErrFrozen) {
		return // the redrive has ended; what is left is under way
	}
	for _, id := range ids {
		w.heard <- RedriveResult{ID: id, Result: string(view.FateFailed), Detail: err.Error()}
	}
}

// settled tells the fate of an item, and reports whether it is known.
func (w *waves) settled(s *steps.State, id string) bool {
	n := s.FindEscalation(id)
	if n < 0 || s.Escalations[n].State == steps.EscalationOpen || view.UnderWay(s, n) {
		return false
	}
	a := view.AftermathOf(s, n)
	if a.Fate == view.FateUnderWay {
		return false
	}
	w.heard <- RedriveResult{ID: id, Result: string(a.Fate), Next: a.Next, Step: a.Step, Detail: cmp.Or(a.Message, a.Text)}
	return true
}

// deadLetter tells the fate of a dead letter: whether its run can be read now.
func (w *waves) deadLetter(id string) bool {
	run, _, is := steps.ParseDeadLetterID(id)
	if !is {
		return false
	}
	res := RedriveResult{ID: id, Result: string(view.FateDone)}
	_, err := w.Runs.Load(w.following, run)
	if frozen, ok := errors.AsType[*runlog.Frozen](err); ok {
		res.Result, res.Next, res.Detail = string(view.FateOther), frozen.DeadLetter, frozen.Why.Error()
		if frozen.DeadLetter == id {
			res.Result = string(view.FateBack)
		}
	}
	w.heard <- res
	return true
}
