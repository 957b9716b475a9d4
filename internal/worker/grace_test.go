package worker

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"belay/internal/executor"
	"belay/internal/ladder"
	"belay/internal/steps"
)

// orderly is an executor that needs a while to end once its context has, and gives its result then.
type orderly struct {
	grace, takes time.Duration
	began        chan struct{}
}

func (o orderly) Grace() time.Duration { return o.grace }

func (o orderly) Execute(ctx context.Context, _ executor.Request) (executor.Result, error) {
	o.began <- struct{}{}
	<-ctx.Done()
	time.Sleep(o.takes) // in real time: it is compared with the server's ack wait
	return executor.Result{Output: json.RawMessage(`{"done":true}`)}, nil
}

func newOrderly(takes time.Duration) (orderly, ladder.Rung) {
	o := orderly{grace: time.Minute, takes: takes, began: make(chan struct{}, 10)}
	return o, ladder.Rung{Executor: o}
}

func (r *rig) succeeded() {
	r.t.Helper()
	all := r.until(isOutcome)
	if _, ok := all[len(all)-1].(steps.Succeeded); !ok {
		r.t.Fatalf("the outcome is %+v, want the result that came within the grace", all[len(all)-1])
	}
}

// The grace outlasts the worker's own patience and the ack wait: the executor is not left behind, and its message is
// given to nobody else meanwhile.
func TestExecutorIsWaitedForWithinItsGrace(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.ackWait = 3 * time.Second
	o, rung := newOrderly(2*r.ackWait + r.ackWait/2)
	r.start(Options{StopGrace: 50 * time.Millisecond}, rung)
	r.start(Options{Name: "other", StopGrace: 50 * time.Millisecond}, rung)
	m := message(steps.EffectsIdempotent)
	m.Timeout = steps.Duration(50 * time.Millisecond)
	r.queue(m)
	r.succeeded()
	r.drained()
	if n := len(o.began); n != 1 {
		t.Errorf("it was executed %d times", n)
	}
}

func TestDrainWaitsForTheGrace(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	o, rung := newOrderly(3 * time.Second)
	stop := r.start(Options{DrainTimeout: 50 * time.Millisecond, StopGrace: 50 * time.Millisecond}, rung)
	r.queue(message(steps.EffectsIdempotent))
	<-o.began
	stop()
	r.succeeded()
	r.drained()
}
