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

// errStopped is the cause that an executor's context ends with when the run does not want the attempt any more.
var errStopped error = steps.Fault{Class: steps.Unavailable, Message: "stopped, because the run is ending or has given this attempt up"}

// stops are the words that tell this worker what is not wanted any more. What is in hand hears them, whether it waits or
// executes; those about attempts that are not in hand are remembered, since a message may be on its way yet.
type stops struct {
	mu     sync.Mutex
	inHand map[attempt]*word
	said   [2]map[attempt]struct{} // the words of this while and of the one before
	turned time.Time
}

// attempt finds an attempt of any run.
type attempt struct {
	run string
	steps.Attempt
}

// word is what one message in hand hears.
type word struct {
	heard   chan struct{} // closed when its attempt is not wanted any more; nil until somebody waits for that
	stopped bool
	stop    func() // while it executes: ends it
	next    *word  // of another delivery of the same attempt
}

// How long words about attempts that are not in hand are remembered, at least, and how many.
const (
	rememberFor = time.Minute
	rememberMax = 1 << 17
)

func newStops() *stops { return &stops{inHand: map[attempt]*word{}, turned: time.Now()} }

// listen takes an attempt in hand.
func (s *stops) listen(name attempt) *word {
	w := &word{}
	s.mu.Lock()
	defer s.mu.Unlock()
	w.next, s.inHand[name] = s.inHand[name], w
	for _, said := range s.said {
		if _, is := said[name]; is {
			w.say()
		}
	}
	return w
}

// leave puts it down.
func (s *stops) leave(name attempt, w *word) {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := s.inHand[name]
	if first == w {
		first = w.next
	}
	for o := first; o != nil; o = o.next {
		if o.next == w {
			o.next = w.next
		}
	}
	if first == nil {
		delete(s.inHand, name)
		return
	}
	s.inHand[name] = first
}

// begin marks w as executing, unless it has heard that it should not; stop ends the execution.
func (s *stops) begin(w *word, stop func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if w.stopped {
		return false
	}
	w.stop = stop
	return true
}

// ended says that w executes no more.
func (s *stops) ended(w *word) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w.stop = nil
}

func (w *word) say() {
	if w.stopped {
		return
	}
	w.stopped = true
	if w.heard != nil {
		close(w.heard)
	}
}

// heard is closed when w's attempt is not wanted any more.
func (s *stops) heard(w *word) <-chan struct{} {
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

// say passes a word on; the functions that it returns end what executes.
func (s *stops) say(name attempt) (end []func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remember(name)
	for w := s.inHand[name]; w != nil; w = w.next {
		w.say()
		if w.stop != nil {
			end = append(end, w.stop)
		}
	}
	return end
}

func (s *stops) remember(name attempt) {
	if time.Since(s.turned) > rememberFor || len(s.said[0]) >= rememberMax {
		s.said[0], s.said[1], s.turned = nil, s.said[0], time.Now()
	}
	if s.said[0] == nil {
		s.said[0] = map[attempt]struct{}{}
	}
	s.said[0][name] = struct{}{}
}

func (w *Worker) heardStop(subject string, _ []byte) {
	run, a, ok := w.names.ParseStop(subject)
	if !ok {
		return
	}
	for _, end := range w.stops.say(attempt{run, a}) {
		end()
	}
}

// ears know how far this worker has heard the words that tell it to stop.
type ears struct {
	hearing *bus.Hearing
	born    time.Time
	asking  sync.Mutex
	upTo    atomic.Int64 // since born: all that was said by then has been heard
	slack   atomic.Int64 // how long the answer to the last ping took, where that was long
}

// uptodate reports whether the worker has heard, less than [wire.HearsWithin] ago, all that was said. A worker that was
// frozen, or that the server does not answer, has not. One ping serves all attempts that begin within that time.
func (e *ears) uptodate(ctx context.Context) bool {
	if e.fresh() {
		return true
	}
	e.asking.Lock()
	defer e.asking.Unlock()
	if e.fresh() {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	// A ping that took long was answered long ago, if this process was frozen meanwhile; the next one tells.
	return e.ask(ctx) && (e.slack.Load() == 0 || e.ask(ctx))
}

func (e *ears) ask(ctx context.Context) bool {
	asked := time.Since(e.born)
	if e.hearing.CaughtUp(ctx) != nil {
		return false
	}
	took := time.Since(e.born) - asked
	if took <= wire.HearsWithin/2 {
		took = 0
	}
	e.slack.Store(int64(took))
	e.upTo.Store(int64(asked))
	return true
}

func (e *ears) fresh() bool {
	upTo := e.upTo.Load()
	return upTo > 0 && time.Since(e.born)-time.Duration(upTo) < wire.HearsWithin+time.Duration(e.slack.Load())
}
