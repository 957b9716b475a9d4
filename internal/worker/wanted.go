package worker

import (
	"context"
	"fmt"
	"sync"
	"time"

	"belay/internal/runlog"
	"belay/internal/steps"
)

// folds are the folds of runs whose unsafe attempts are in hand here, kept so that each is read on from where it was.
type folds struct {
	mu  sync.Mutex
	all map[string]*folded
}

type folded struct {
	used time.Time // under the lock of folds

	mu   sync.Mutex
	fold *runlog.Fold
}

// foldsKept is how many runs are kept that nobody asks about now.
const foldsKept = 64

func newFolds() *folds { return &folds{all: map[string]*folded{}} }

func (fs *folds) of(run string) *folded {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	f := fs.all[run]
	if f == nil {
		f = &folded{}
		fs.all[run] = f
	}
	f.used = time.Now()
	for len(fs.all) > foldsKept {
		oldest := run
		for id, o := range fs.all {
			if o.used.Before(fs.all[oldest].used) {
				oldest = id
			}
		}
		delete(fs.all, oldest)
	}
	return f
}

func (fs *folds) drop(run string) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	delete(fs.all, run)
}

// wanted finds out from the run's own log, before an attempt of an unsafe tool is claimed, that the run wants exactly
// this call now: a message in the queue alone is nobody's word. If it does not, the message has been dealt with.
func (j *job) wanted() bool {
	want, err := j.wants()
	switch {
	case err != nil:
		j.Log.Warn("cannot tell from the run's log whether this attempt is wanted; the message comes again", "attempt", j.name(), "error", err)
		j.park(5 * time.Second)
	case want == steps.WantsThis:
		return true
	case want == steps.WantsNot:
		return j.ask() && j.notNow()
	default:
		j.refuseStray()
	}
	return false
}

// notNow puts down what the run is about to take back, and the log does not say so yet.
func (j *job) notNow() bool {
	j.putDown()
	return false
}

func (j *job) refuseStray() {
	f := steps.Fault{
		Class: steps.PolicyDenied, Acted: steps.ActedNo,
		Message: "not executed: the log of the run has never wanted this call of " + j.m.Tool + "; somebody has put a message into the queue",
	}
	j.Observer.Refused(j.m, f)
	j.Log.Error("refused a step message", "attempt", j.name(), "tool", j.m.Tool, "rung", j.m.RungName, "error", f.Message)
	j.report(j.failed(f, 0))
}

// wants reads on in the run's log and compares.
func (j *job) wants() (steps.Want, error) {
	ctx, cancel := context.WithTimeout(j.life, 10*time.Second)
	defer cancel()
	f := j.folds.of(j.m.Run)
	f.mu.Lock()
	defer f.mu.Unlock()
	fold, err := j.Runs.ReadOn(ctx, j.m.Run, f.fold)
	if err != nil {
		return 0, err
	}
	f.fold = fold
	if fold.State == nil || fold.State.Closed() {
		j.folds.drop(j.m.Run)
	}
	if fold.State == nil && fold.Poison != nil {
		return 0, fmt.Errorf("this worker cannot read the run: %w", fold.Poison.Why)
	}
	return steps.Wanted(fold.State, j.m), nil
}
