package cache

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"
)

// Lazy is a store that is opened when it is first used. If that fails it is tried once more, but not more often than
// every few seconds: a worker without its cache still serves everything else.
type Lazy struct {
	open  func(context.Context) (Store, error)
	every time.Duration

	mu      sync.Mutex
	store   Store
	err     error // why there is no store
	opening bool
	tried   time.Time
}

const (
	openEvery = 5 * time.Second // how long a failure to open counts
	openTime  = 5 * time.Second // how long one try may take, however late the deadline of the caller is
)

var errNotOpen = errors.New("it is being opened")

// NewLazy makes a store of what open opens. After a failure it does not try to open it for the time every; 0 is 5
// seconds.
func NewLazy(every time.Duration, open func(context.Context) (Store, error)) *Lazy {
	return &Lazy{open: open, every: cmp.Or(every, openEvery), err: errNotOpen}
}

// Open opens the store unless it is open, or says why it cannot. While another call opens it, it returns at once with
// what is known so far.
func (l *Lazy) Open(ctx context.Context) (Store, error) {
	if !l.begin() {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.store, l.err
	}
	bounded, cancel := context.WithTimeout(ctx, openTime)
	defer cancel()
	store, err := l.open(bounded) // without the lock: it may take long, and nobody else should wait for it
	l.mu.Lock()
	defer l.mu.Unlock()
	l.opening, l.tried = false, time.Now()
	if ctx.Err() == nil || err == nil { // that a caller gave up says nothing about the store
		l.store, l.err = store, err
	}
	return store, err
}

// begin reports whether the caller is to open the store.
func (l *Lazy) begin() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.store != nil || l.opening || !l.tried.IsZero() && time.Since(l.tried) < l.every {
		return false
	}
	l.opening = true
	return true
}

// Get implements [Store].
func (l *Lazy) Get(ctx context.Context, key string) (json.RawMessage, time.Time, bool, error) {
	s, err := l.Open(ctx)
	if err != nil {
		return nil, time.Time{}, false, err
	}
	value, at, ok, err := s.Get(ctx, key)
	l.heard(ctx, err)
	return value, at, ok, err
}

// Put implements [Store]. While the store cannot be opened it drops values without an error: there is a value for every
// good result of a tool, and each error would only repeat what Open and Get report.
func (l *Lazy) Put(ctx context.Context, key string, value json.RawMessage) error {
	s, err := l.Open(ctx)
	if err != nil {
		return nil //nolint:nilerr // see above
	}
	err = s.Put(ctx, key, value)
	l.heard(ctx, err)
	return err
}

// heard lets the store be opened once more after an error, because its bucket may have been deleted.
func (l *Lazy) heard(ctx context.Context, err error) {
	if err == nil || ctx.Err() != nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.store != nil {
		l.store, l.err, l.tried = nil, err, time.Time{}
	}
}
