package worker

import (
	"context"
	"sync"

	"belay/internal/steps"
)

// errStopped is the cause that an executor's context ends with when the run does not want the attempt any more.
var errStopped error = steps.Fault{Class: steps.Unavailable, Message: "stopped, because the run is ending or has given this attempt up"}

// stops finds executing attempts by name, for words that tell them to stop.
type stops struct {
	mu  sync.Mutex
	all map[string]context.CancelCauseFunc
}

func newStops() *stops { return &stops{all: map[string]context.CancelCauseFunc{}} }

func (s *stops) add(m *steps.StepMessage, cancel context.CancelCauseFunc) (remove func()) {
	name := steps.AttemptName(m.Run, m.Attempt)
	s.mu.Lock()
	s.all[name] = cancel
	s.mu.Unlock()
	return func() {
		s.mu.Lock()
		delete(s.all, name)
		s.mu.Unlock()
	}
}

func (w *Worker) heardStop(subject string, _ []byte) {
	run, a, ok := w.names.ParseStop(subject)
	if !ok {
		return
	}
	w.stops.mu.Lock()
	cancel := w.stops.all[steps.AttemptName(run, a)]
	w.stops.mu.Unlock()
	if cancel != nil {
		cancel(errStopped)
	}
}
