package runlog

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"belay/internal/bus"
	"belay/internal/wire"
)

// ErrClosed says that the [Watch] was closed.
var ErrClosed = errors.New("the client is closed")

// linger is how long a subscription goes on when nobody waits any more, so that a caller who submits one run after the other
// does not begin a new one for each.
const linger = 10 * time.Second

// lines are the subscriptions to one kind of entries, one for each partition that somebody waits in.
type lines struct {
	log  *Log
	kind string // empty = all

	mu      *sync.Mutex
	open    map[int]*line   // by partition
	running *sync.WaitGroup // subscriptions
	closed  bool
}

func newLines(l *Log, kind string) lines {
	return lines{log: l, kind: kind, mu: &sync.Mutex{}, open: map[int]*line{}, running: &sync.WaitGroup{}}
}

// line is one subscription, and the feeds of those who wait.
type line struct {
	stop  context.CancelFunc
	began chan struct{} // closed once no new entry can be missed, or err is set

	mu    sync.Mutex
	err   error // why it could not begin, or why it has ended
	feeds map[string][]*feed
	count int
	idle  *time.Timer
	heard heard
}

// heard is the runs about which the latest entries of a line were, so that who waits for a run that was submitted meanwhile
// need not ask whether it has ended.
type heard struct {
	since time.Time // all that was stored after this has been heard
	about map[string]bool
	order []string // a ring of the keys of about
	next  int      // in order
	at    []time.Time
}

// heardKeeps is how many runs a line remembers.
const heardKeeps = 8192

// note remembers a run, and forgets the one that was heard of for longest.
func (h *heard) note(run string) {
	if h.about == nil {
		h.about = map[string]bool{}
	}
	switch {
	case h.about[run]:
		return
	case len(h.order) < heardKeeps:
		h.order, h.at = append(h.order, run), append(h.at, time.Now())
	default:
		delete(h.about, h.order[h.next])
		h.since = h.at[h.next]
		h.order[h.next], h.at[h.next] = run, time.Now()
		h.next = (h.next + 1) % heardKeeps
	}
	h.about[run] = true
}

// silent reports that nothing was stored about a run, none of whose entries is older than since.
func (h *heard) silent(run string, since time.Time) bool {
	return !h.since.IsZero() && since.After(h.since) && !h.about[run]
}

// join makes the feed of a run for one caller. When it returns, no entry that is stored from now on is missed.
func (ls *lines) join(ctx context.Context, run string) (*feed, error) {
	l, f, err := ls.register(run)
	if err != nil {
		return nil, err
	}
	select {
	case <-l.began:
	case <-ctx.Done():
		ls.leave(f)
		return nil, context.Cause(ctx)
	}
	l.mu.Lock()
	err = l.err
	l.mu.Unlock()
	if err != nil {
		ls.leave(f)
		return nil, err
	}
	return f, nil
}

func (ls *lines) register(run string) (*line, *feed, error) {
	p := wire.Partition(run, ls.log.bus.Partitions())
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if ls.closed {
		return nil, nil, ErrClosed
	}
	l := ls.open[p]
	if l == nil {
		l = ls.begin(p)
	}
	f := &feed{line: l, partition: p, run: run, wake: make(chan struct{}, 1)}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.feeds[run] = append(l.feeds[run], f)
	l.count++
	if l.idle != nil {
		l.idle.Stop()
		l.idle = nil
	}
	return l, f, nil
}

// begin starts the subscription of a partition. The lock is held.
func (ls *lines) begin(p int) *line {
	ctx, cancel := context.WithCancel(context.Background())
	l := &line{stop: cancel, began: make(chan struct{}), feeds: map[string][]*feed{}}
	ls.open[p] = l
	ls.running.Go(func() {
		begun := false
		err := ls.log.bus.FollowPartition(ctx, p, ls.kind, func() { begun = true; l.begin() }, func(e bus.Entry) {
			if run, ok := ls.log.names.LogRun(e.Subject); ok {
				l.pass(run, e)
			}
		})
		cancel()
		ls.forget(p, l)
		if err == nil {
			err = ErrClosed
		}
		l.end(err)
		if !begun {
			close(l.began)
		}
	})
	return l
}

// begin says that no entry that is stored from now on is missed.
func (l *line) begin() {
	l.mu.Lock()
	l.heard.since = time.Now()
	l.mu.Unlock()
	close(l.began)
}

// forget lets the next caller begin a new subscription.
func (ls *lines) forget(p int, l *line) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if ls.open[p] == l {
		delete(ls.open, p)
	}
}

// leave ends a feed; after the last one the subscription lingers.
func (ls *lines) leave(f *feed) {
	l := f.line
	l.mu.Lock()
	defer l.mu.Unlock()
	rest := l.feeds[f.run]
	for i, other := range rest {
		if other == f {
			rest = append(rest[:i:i], rest[i+1:]...)
			l.count--
			break
		}
	}
	if l.feeds[f.run] = rest; len(rest) == 0 {
		delete(l.feeds, f.run)
	}
	if l.count == 0 && l.idle == nil {
		l.idle = time.AfterFunc(linger, func() { ls.stopIdle(f.partition, l) })
	}
}

func (ls *lines) stopIdle(p int, l *line) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.count > 0 || l.idle == nil {
		return
	}
	if ls.open[p] == l {
		delete(ls.open, p)
	}
	l.stop()
}

// close ends all subscriptions, and returns when they have ended.
func (ls *lines) close() {
	ls.stopAll()
	ls.running.Wait()
}

func (ls *lines) stopAll() {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ls.closed = true
	for _, l := range ls.open {
		l.end(ErrClosed)
		l.stop()
	}
}

// pass gives an entry to the feeds of its run.
func (l *line) pass(run string, e bus.Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.heard.note(run)
	for _, f := range l.feeds[run] {
		f.push(e)
	}
}

// rouse wakes those who wait for a run.
func (ls *lines) rouse(run string) {
	ls.mu.Lock()
	l := ls.open[wire.Partition(run, ls.log.bus.Partitions())]
	ls.mu.Unlock()
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range l.feeds[run] {
		f.rouse()
	}
}

// end tells all feeds that nothing more will arrive.
func (l *line) end(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return
	}
	l.err = fmt.Errorf("watch runs: %w", err)
	for _, feeds := range l.feeds {
		for _, f := range feeds {
			f.rouse()
		}
	}
}

// feed passes the new entries of one run to one caller.
type feed struct {
	line      *line
	partition int
	run       string
	wake      chan struct{} // has a value if something has arrived

	mu    sync.Mutex
	news  []bus.Entry
	lossy bool // entries were dropped: the log must be read
}

// feedKeeps is how many entries wait for a slow caller; further ones are read from the log.
const feedKeeps = 64

func (f *feed) push(e bus.Entry) {
	f.mu.Lock()
	if len(f.news) < feedKeeps {
		f.news = append(f.news, e)
	} else {
		f.news, f.lossy = nil, true
	}
	f.mu.Unlock()
	f.rouse()
}

func (f *feed) rouse() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// silent reports that nothing has arrived about the run, none of whose entries is older than since, before this feed began.
func (f *feed) silent(since time.Time) bool {
	f.line.mu.Lock()
	defer f.line.mu.Unlock()
	return f.line.heard.silent(f.run, since)
}

// drain returns what has arrived since the last call; doubt says that it may not be all.
func (f *feed) drain() (news []bus.Entry, doubt bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	news, doubt = f.news, f.lossy
	f.news, f.lossy = nil, false
	return news, doubt
}

// doubt makes the next drain say that it may not be all.
func (f *feed) doubt() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lossy = true
}

// wait returns when something has arrived, or after a while without anything; an error says that nothing will arrive.
func (f *feed) wait(ctx context.Context, most time.Duration) error {
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-f.wake:
	case <-timer.C:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	f.line.mu.Lock()
	defer f.line.mu.Unlock()
	return f.line.err
}
