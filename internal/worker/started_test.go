package worker

import (
	"context"
	"testing"
	"time"

	"belay/internal/executor"
	"belay/internal/ladder"
	"belay/internal/steps"
)

// program stands for what starts one: it gives its result when it may.
type program struct{ may <-chan struct{} }

func (program) Grace() time.Duration { return 0 }

func (p program) Execute(ctx context.Context, _ executor.Request) (executor.Result, error) {
	select {
	case <-p.may:
	case <-ctx.Done():
	}
	return executor.Result{Output: []byte(`1`)}, ctx.Err()
}

// TestTheLogKnowsAtOnceOfAProgram: it may take its worker down with it, and then people are told whose that was.
func TestTheLogKnowsAtOnceOfAProgram(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	may := make(chan struct{})
	r.start(Options{StartedAfter: time.Hour}, ladder.Rung{Executor: program{may}})
	<-r.newest.Ready() // what was queued before may have been in somebody's hand
	r.queue(message(steps.EffectsNone))
	all := r.until(func(e steps.Event) bool { _, is := e.(steps.Started); return is })
	if s := all[0].(steps.Started); s.Worker != "w" || s.Delivery != "" {
		t.Errorf("%+v", s)
	}
	close(may)
	r.until(isOutcome)
	r.drained()
}
