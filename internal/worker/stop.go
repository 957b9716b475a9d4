package worker

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"belay/internal/bus"
	"belay/internal/steps"
	"belay/internal/wire"
)

// errStopped is the cause with which an executor's context ends if the run does not want the attempt any more.
var errStopped error = steps.Fault{Class: steps.Unavailable, Message: "stopped, because the run is ending or has given this attempt up"}

// stops are the signals that an attempt is no longer wanted. Messages in hand get them, whether they wait or execute; those
// about attempts that are not in hand are remembered, since their messages may be on the way.
type stops struct {
	mu      sync.Mutex
	signals map[attempt]*signal
	past    [2]map[attempt]struct{} // attempts that were stopped: since turned, and in the period before
	turned  time.Time
}

// attempt finds an attempt of any run.
type attempt struct {
	run string
	steps.Attempt
}

// signal tells one message in hand to stop.
type signal struct {
	heard   chan struct{} // closed when its attempt is no longer wanted; nil until something waits for that
	stopped bool
	stop    ending  // nil unless it executes
	next    *signal // of another delivery of the same attempt
}

// ending is called when an attempt is no longer wanted that is executed: it says so, and ends the execution unless only what nobody
// has begun is taken back.
type ending func(unbegunOnly bool)

// How long stops of attempts that are not in hand are remembered, at least, and how many.
const (
	rememberFor = time.Minute
	rememberMax = 1 << 17
)

func newStops() *stops { return &stops{signals: map[attempt]*signal{}, turned: time.Now()} }

// listen returns the signal of an attempt in hand.
func (s *stops) listen(name attempt) *signal {
	w := &signal{}
	s.mu.Lock()
	defer s.mu.Unlock()
	w.next, s.signals[name] = s.signals[name], w
	for _, past := range s.past {
		if _, is := past[name]; is {
			w.stopNow()
		}
	}
	return w
}

// leave ends what listen began.
func (s *stops) leave(name attempt, w *signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := s.signals[name]
	if first == w {
		first = w.next
	}
	for o := first; o != nil; o = o.next {
		if o.next == w {
			o.next = w.next
		}
	}
	if first == nil {
		delete(s.signals, name)
		return
	}
	s.signals[name] = first
}

// begin marks w as executing, unless it has heard that it should not; stop ends the execution.
func (s *stops) begin(w *signal, stop ending) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if w.stopped {
		return false
	}
	w.stop = stop
	return true
}

// ended notes that w no longer executes.
func (s *stops) ended(w *signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w.stop = nil
}

func (w *signal) stopNow() {
	if w.stopped {
		return
	}
	w.stopped = true
	if w.heard != nil {
		close(w.heard)
	}
}

// heard is closed when w's attempt is no longer wanted.
func (s *stops) heard(w *signal) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if w.heard == nil {
		w.heard = make(chan struct{})
		if w.stopped {
			close(w.heard)
		}
	}
	return w.heard
}

// stop passes a stop on; the functions that it returns end executions. What is executed goes on where only what nobody has begun is
// taken back.
func (s *stops) stop(name attempt, unbegunOnly bool) (end []ending) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for w := s.signals[name]; w != nil; w = w.next {
		if w.stop != nil {
			end = append(end, w.stop)
		}
	}
	if unbegunOnly && len(end) > 0 {
		return end
	}
	s.remember(name)
	for w := s.signals[name]; w != nil; w = w.next {
		w.stopNow()
	}
	return end
}

func (s *stops) remember(name attempt) {
	if time.Since(s.turned) > rememberFor || len(s.past[0]) >= rememberMax {
		s.past[0], s.past[1], s.turned = nil, s.past[0], time.Now()
	}
	if s.past[0] == nil {
		s.past[0] = map[attempt]struct{}{}
	}
	s.past[0][name] = struct{}{}
}

func (w *Worker) heardStop(subject string, body []byte) {
	run, a, ok := w.names.ParseStop(subject)
	if !ok {
		return
	}
	unbegunOnly := string(body) == wire.StopUnbegun
	for _, end := range w.stops.stop(attempt{run, a}, unbegunOnly) {
		end(unbegunOnly)
	}
}

// listener knows up to when this worker has heard every stop.
type listener struct {
	hearing *bus.Hearing
	born    time.Time
	asking  sync.Mutex
	upTo    atomic.Int64 // nanoseconds since born; every stop sent before then has been heard
	slack   atomic.Int64 // nanoseconds that the answer to the last ping took; 0 if that was short
}

// upToDate reports whether the worker has heard every stop that was sent up to [wire.HearsWithin] ago. A worker that was
// frozen, or that the server does not answer, has not. One ping serves all attempts that begin within that time.
func (l *listener) upToDate(ctx context.Context) bool {
	if l.fresh() {
		return true
	}
	l.asking.Lock()
	defer l.asking.Unlock()
	if l.fresh() {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	// If this process was frozen during the ping, the answer may be old; a second ping tells.
	return l.ask(ctx) && (l.slack.Load() == 0 || l.ask(ctx))
}

func (l *listener) ask(ctx context.Context) bool {
	asked := time.Since(l.born)
	if l.hearing.CaughtUp(ctx) != nil {
		return false
	}
	took := time.Since(l.born) - asked
	if took <= wire.HearsWithin/2 {
		took = 0
	}
	l.slack.Store(int64(took))
	l.upTo.Store(int64(asked))
	return true
}

func (l *listener) fresh() bool {
	upTo := l.upTo.Load()
	return upTo > 0 && time.Since(l.born)-time.Duration(upTo) < wire.HearsWithin+time.Duration(l.slack.Load())
}
