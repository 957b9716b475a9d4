package worker

import (
	"context"
	"fmt"
	"sync"
	"time"

	"belay/internal/runlog"
	"belay/internal/steps"
)

// folds are the folds of runs with unsafe attempts or turns of agents in hand here, kept so that each log is read only once.
type folds struct {
	mu  sync.Mutex
	all map[string]*folded
}

type folded struct {
	used time.Time // under the lock of folds

	mu   sync.Mutex
	fold *runlog.Fold
}

// foldsKept is how many folds are kept that are not in use.
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

// compare says, before an attempt of an unsafe tool is claimed, whether the run's own log wants exactly this call now.
func (j *job) compare() {
	if mutant("no-wanted") {
		j.handling.Compared(steps.WantsThis)
		return
	}
	want, err := j.wants()
	if err != nil {
		j.Logger.Warn("cannot tell from the run's log whether this attempt is wanted; the message is redelivered", "attempt", j.name(), "error", err)
		j.handling.Unreadable(err)
		return
	}
	j.handling.Compared(want)
}

// wants reads on in the run's log and compares.
func (j *job) wants() (want steps.Want, err error) {
	err = j.withState(func(s *steps.State) { want = steps.Wanted(s, *j.m) })
	return want, err
}

// withState reads on in the run's log and calls f with where the run stands; nil if there is no such run.
func (j *job) withState(f func(*steps.State)) error {
	ctx, cancel := context.WithTimeout(j.life, 10*time.Second)
	defer cancel()
	kept := j.folds.of(j.m.Run)
	kept.mu.Lock()
	defer kept.mu.Unlock()
	fold, err := j.Runs.ReadOn(ctx, j.m.Run, kept.fold)
	if err != nil {
		return err
	}
	kept.fold = fold
	if fold.State == nil || fold.State.Closed() {
		j.folds.drop(j.m.Run)
	}
	if fold.State == nil && fold.Poison != nil {
		return fmt.Errorf("this worker cannot read the run: %w", fold.Poison.Why)
	}
	f(fold.State)
	return nil
}
