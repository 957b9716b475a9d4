package dispatch

import (
	"sync/atomic"

	"belay/internal/steps"
	"belay/internal/turns"
)

// waitingTurns are the attempts of a rung that wait for their turn in a partition.
type waitingTurns struct {
	turns.Queue[*turn]
	seen *outside
}

// outside is how many wait of a rung, by priority, in all partitions of this dispatcher.
type outside [steps.Priorities]atomic.Int64

// turn is an attempt that waits for its turn.
type turn struct {
	turns.Place // since when the log has it queued
	run         string
	attempt     steps.Attempt
	door        *door
}

func (t *waitingTurns) push(w *turn) {
	t.Push(w)
	t.seen[w.Of].Add(1)
}

// leave is for an attempt that waits no more, though it did not go.
func (t *waitingTurns) leave(w *turn) {
	if t.Leave(w) {
		t.seen[w.Of].Add(-1)
	}
}

// pop is whoever goes next; nil where nobody waits.
func (t *waitingTurns) pop() *turn {
	w, ok := t.Pop()
	if ok {
		t.seen[w.Of].Add(-1)
	}
	return w
}

// placeOf is by what it is decided when the current attempt of unit i goes, where it waits with others: since the time at which it could be
// executed, which its run's log says, so that it is the same for whoever has the partition.
func (p *partition) placeOf(s *steps.State, i int) turns.Place {
	u := &s.Units[i]
	since := u.Current().Queued
	if u.NotBefore().After(since) {
		since = u.NotBefore()
	}
	return turns.Place{Of: s.Priority(), Tenant: s.Labels[p.TenantLabel], Since: since, Name: steps.AttemptName(s.Run, s.Attempt(i))}
}
