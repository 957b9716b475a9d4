package runlog

import (
	"context"
	"fmt"
	"sync"

	"belay/internal/steps"
)

// Submission is one of many: an id, and what the run starts with.
type Submission struct {
	Run string // its id
	steps.Submitted
}

// confirming is how many submissions that were not confirmed at once are handled at the same time.
const confirming = 16

// Stored is what became of a submission.
type Stored struct {
	Created bool  // the run was started by it, and not by an earlier one of the same content
	Err     error // nil if the run is stored
}

// SubmitMany is [Log.Submit] for many runs, which are stored in order, in atomic batches. It returns what became of each.
func (l *Log) SubmitMany(ctx context.Context, all []Submission) []Stored {
	if len(all) > 0 && l.elsewhere(all[0].Run) != nil {
		became := make([]Stored, len(all))
		l.submitElsewhere(ctx, all, became)
		return became
	}
	return l.SubmitEach(ctx, len(all), func(i int) (Submission, error) { return all[i], nil })
}

// SubmitEach is [Log.SubmitMany] for n runs of which each is made when its turn comes, while those before it are on their way to the
// disk. One that cannot be made is not stored. It is for processes that write logs themselves.
func (l *Log) SubmitEach(ctx context.Context, n int, one func(i int) (Submission, error)) []Stored {
	became := make([]Stored, n)
	ways := make([]*submitting, n)
	var stored sync.WaitGroup
	answers := make([]error, n)
	for i := range n {
		s, err := one(i)
		if err != nil {
			became[i].Err = err
			continue
		}
		w, err := l.submitting(s.Run, s.Submitted)
		if err != nil {
			became[i].Err = err
			continue
		}
		if err := l.refused(w.stream); err != nil {
			became[i].Err = fmt.Errorf("submit run %s: %w", w.run, err)
			continue
		}
		ways[i] = w
		stored.Add(1)
		l.bus.Publish(w.stream, w.message, func(_ uint64, err error) {
			answers[i] = err
			stored.Done()
		})
	}
	stored.Wait() // every publish is answered within the bus's timeout
	if ctx.Err() != nil {
		for i, w := range ways {
			if w != nil && answers[i] != nil {
				became[i].Err = fmt.Errorf("submit run %s: %w: %w", w.run, answers[i], context.Cause(ctx))
			}
		}
		return became
	}
	l.confirmMany(ctx, ways, answers, became)
	return became
}

// confirmMany handles submissions that were there already, or that may or may not be stored.
func (l *Log) confirmMany(ctx context.Context, ways []*submitting, answers []error, became []Stored) {
	var busy sync.WaitGroup
	slots := make(chan struct{}, confirming)
	for i, w := range ways {
		if w == nil {
			continue
		}
		if answers[i] == nil {
			became[i].Created = true
			continue
		}
		slots <- struct{}{}
		busy.Go(func() {
			became[i].Err = w.confirm(ctx, answers[i])
			<-slots
		})
	}
	busy.Wait()
}
