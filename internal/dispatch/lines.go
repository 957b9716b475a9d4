package dispatch

import (
	"sync"
	"time"

	"belay/internal/limits"
	"belay/internal/steps"
	"belay/internal/turns"
)

// lines is what waits for times in all partitions of a dispatcher, so that who goes next is decided among all of them when a time has come, and
// not before. Among dispatchers the limit's record decides: see [limits.Times].
type lines struct {
	d      *Dispatcher
	mu     sync.Mutex
	byName map[string]*line
}

// line is the calls that wait for times of the same limit. The limit allots times, and at each one of them one call goes on.
type line struct {
	limit  limit // of whoever has come last
	name   string
	queue  turns.Queue[*waiter]
	of     map[int]turns.Counts // the same by partition
	asking bool                 // times are being allotted, or more are not to be asked for yet
	asked  int                  // how often it was asked
	first  steps.Priority       // the first one of those that were asked for
	left   bool                 // the next times were left to other dispatchers, whose calls go before these
}

// join has a call wait for its time.
func (all *lines) join(w *waiter) {
	all.mu.Lock()
	defer all.mu.Unlock()
	l := all.byName[w.name]
	if l == nil {
		l = &line{name: w.name, of: map[int]turns.Counts{}}
		if all.byName == nil {
			all.byName = map[string]*line{}
		}
		all.byName[w.name] = l
	}
	l.limit = w.limit
	l.queue.Push(w)
	l.count(w, 1)
	if l.left && w.Of < l.first { // it may go before those of the others
		l.asking = false
	}
	all.serve(l)
}

// leave has a call wait no more.
func (all *lines) leave(w *waiter) {
	all.mu.Lock()
	defer all.mu.Unlock()
	if l := all.byName[w.name]; l != nil && l.queue.Leave(w) {
		l.count(w, -1)
		all.forget(l)
	}
}

func (l *line) count(w *waiter, n int) {
	of := l.of[w.p.p]
	of[w.Of] += n
	l.of[w.p.p] = of
}

// pop is whoever goes next; nil: nobody waits.
func (l *line) pop() *waiter {
	w, ok := l.queue.Pop()
	if ok {
		l.count(w, -1)
	}
	return w
}

// forget forgets a line in which nobody waits, once no more times are asked for. Hold the lock.
func (all *lines) forget(l *line) {
	if l.queue.Len() == 0 && !l.asking && all.byName[l.name] == l {
		delete(all.byName, l.name)
	}
}

// serve asks for times for those that wait in a line. Hold the lock.
func (all *lines) serve(l *line) {
	all.forget(l)
	if l.asking || l.queue.Len() == 0 {
		return
	}
	pace, holds := l.limit.pace()
	if !holds {
		for w := l.pop(); w != nil; w = l.pop() {
			all.send(l, w)
		}
		all.forget(l)
		return
	}
	l.asking = true
	l.asked++
	nth, a := l.asked, limits.Asked{Name: l.name, Covers: l.limit.covers, Text: l.limit.text, Waiting: all.waiting(l)}
	next, _ := l.queue.Next()
	l.first, _ = l.queue.Counts().First()
	l.left = false
	go func() {
		got, err := all.d.Limits.Times(next.p.work, a, pace)
		if err != nil {
			next.p.box.call(func() { next.p.complain("", err) })
			got.More = all.d.Bus.Now().Add(retryAfter)
		}
		all.allotted(l, nth, got, err != nil)
	}()
}

// waiting is how many wait in each partition that this dispatcher has. Hold the lock.
func (all *lines) waiting(l *line) map[int]turns.Counts {
	m := map[int]turns.Counts{}
	for _, p := range all.d.parts {
		if of := l.of[p.p]; of.Sum() > 0 || p.breaks.here.Load() {
			m[p.p] = of
		}
	}
	return m
}

// allotted lets one of a line go on at each of these times, and asks for more when it is time for that.
func (all *lines) allotted(l *line, nth int, got limits.Allotted, failed bool) {
	clock := all.d.Bus.Clock()
	for _, t := range got.At {
		time.AfterFunc(time.Until(clock.Here(t)), func() { all.next(l) })
	}
	all.mu.Lock()
	defer all.mu.Unlock()
	if l.asked != nth {
		return
	}
	l.left = len(got.At) == 0 && !failed
	if first, waits := l.queue.Counts().First(); l.left && waits && first < l.first { // it has come since
		l.asking = false
		all.serve(l)
		return
	}
	time.AfterFunc(time.Until(clock.Here(got.More)), func() { all.more(l, nth) })
}

// more asks for more times, unless that was done since.
func (all *lines) more(l *line, nth int) {
	all.mu.Lock()
	defer all.mu.Unlock()
	if l.asked == nth {
		l.asking = false
		all.serve(l)
	}
}

// next lets whoever goes next have a time that has come.
func (all *lines) next(l *line) {
	all.mu.Lock()
	defer all.mu.Unlock()
	if w := l.pop(); w != nil {
		all.send(l, w)
	}
}

// send tells a call that it goes on. Where nobody wants it any more the next one does.
func (all *lines) send(l *line, w *waiter) {
	w.p.box.call(func() {
		if !w.p.timeCame(w) {
			all.next(l)
		}
	})
}
