package handoff

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"belay/internal/people"
	"belay/internal/runlog"
)

// Removal is a run of an archive that is to be removed from the log.
type Removal struct {
	ID     string `json:"id"`     // of the run, whole
	SHA256 string `json:"sha256"` // of its entries, as the archive says
}

// Removed is what became of a [Removal].
type Removed struct {
	ID     string        `json:"id"`               // of the run
	Result RemovedResult `json:"result"`           // what became of it
	Code   string        `json:"code,omitempty"`   // why it was not removed, for programs: changed, not_allowed
	Detail string        `json:"detail,omitempty"` // that in words
}

// RemovedResult is what became of a run that was to be removed.
type RemovedResult string

// What can become of it.
const (
	RunRemoved RemovedResult = "removed"     // the log has it no more
	RunGone    RemovedResult = "gone"        // the log did not have it
	RunKept    RemovedResult = "kept"        // it is not what the archive has, has not ended, or the audit trail is behind
	RunBegun   RemovedResult = "uncertain"   // it may be there still, whole or in part: to remove it once more is safe
	RunNoTurn  RemovedResult = "not_reached" // something ended the whole before its turn
)

// RemovedResults lists them all.
func RemovedResults() []RemovedResult {
	return []RemovedResult{RunRemoved, RunGone, RunKept, RunBegun, RunNoTurn}
}

const (
	removesAtOnce  = 16                     // most of what a removal takes is waiting for the server
	recordedWithin = 30 * time.Second       // how long the audit trail may take to have what people did about a run
	recordedPause  = 100 * time.Millisecond // after so long it is asked once more
)

// Removals has the runs of an archive removed from the log.
type Removals struct {
	// Act carries out one: [Desk.Act], or [Remote.Act].
	Act func(ctx context.Context, who people.Actor, id string, a people.Act) (Done, error)
	Who people.Actor
	// File is where the archive is, for the audit trail.
	File string
}

// Do removes the runs of a list, several at a time, and returns what became of each, in the order of the list. A run that is not what
// the archive has is kept, and does not keep the others. An error is about none of them: after it no other one begins.
func (r Removals) Do(ctx context.Context, list []Removal) ([]Removed, error) {
	going, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	became, turns := make([]Removed, len(list)), make(chan int)
	var all sync.WaitGroup
	for range min(removesAtOnce, len(list)) {
		all.Go(func() {
			for i := range turns {
				var err error
				if became[i], err = r.one(ctx, list[i]); err != nil { // what has begun goes on
					stop(err)
				}
			}
		})
	}
	for i, it := range list {
		became[i] = Removed{ID: it.ID, Result: RunNoTurn}
		if going.Err() != nil {
			continue
		}
		select {
		case turns <- i:
		case <-going.Done():
		}
	}
	close(turns)
	all.Wait()
	return became, context.Cause(going)
}

// one removes a run; an error is not about it alone.
func (r Removals) one(ctx context.Context, it Removal) (Removed, error) {
	done, err := r.recorded(ctx, it)
	switch {
	case err == nil && done.Repeated:
		return Removed{ID: it.ID, Result: RunGone}, nil
	case err == nil:
		return Removed{ID: it.ID, Result: RunRemoved}, nil
	}
	refused := Removed{ID: it.ID, Result: RunKept, Code: Code(err), Detail: err.Error()}
	switch {
	case errors.Is(err, ErrUnrecorded):
		return refused, err
	case errors.Is(err, ErrChanged), errors.Is(err, ErrNotAllowed):
		return refused, nil
	}
	refused.Result = RunBegun
	return refused, err
}

// recorded removes a run once the audit trail has what people did about it.
func (r Removals) recorded(ctx context.Context, it Removal) (Done, error) {
	for end := time.Now().Add(recordedWithin); ; {
		done, err := r.Act(ctx, r.Who, it.ID, people.Act{Verb: people.RemoveRun, Digest: it.SHA256, Text: r.File})
		if !errors.Is(err, ErrUnrecorded) || time.Now().After(end) {
			return done, err
		}
		if err := pause(ctx, true, recordedPause); err != nil {
			return done, fmt.Errorf("remove %s: %w", it.ID, err)
		}
	}
}

// RemovalsOf are the runs of an archive, as it lists them.
func RemovalsOf(list []runlog.ArchiveRun) []Removal {
	all := make([]Removal, len(list))
	for i, r := range list {
		all[i] = Removal{r.ID, r.SHA256}
	}
	return all
}
