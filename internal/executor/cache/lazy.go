package cache

import (
	"context"
	"encoding/json"
	"sync"
	"time"
)

// Lazy is a store that is opened when it is first used, and again when that failed, but not more often than every few
// seconds: without its cache a worker still serves everything else.
type Lazy struct {
	open func(context.Context) (Store, error)

	mu    sync.Mutex
	store Store
	err   error
	tried time.Time
}

// openEvery is how long a failure to open counts.
const openEvery = 5 * time.Second

// NewLazy makes a store of what open opens.
func NewLazy(open func(context.Context) (Store, error)) *Lazy { return &Lazy{open: open} }

// Open opens the store unless it is open, and says why it cannot.
func (l *Lazy) Open(ctx context.Context) (Store, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.store != nil || !l.tried.IsZero() && time.Since(l.tried) < openEvery {
		return l.store, l.err
	}
	l.store, l.err = l.open(ctx)
	l.tried = time.Now()
	return l.store, l.err
}

// Get implements [Store].
func (l *Lazy) Get(ctx context.Context, key string) (json.RawMessage, time.Time, bool, error) {
	s, err := l.Open(ctx)
	if err != nil {
		return nil, time.Time{}, false, err
	}
	return s.Get(ctx, key)
}

// Put implements [Store].
func (l *Lazy) Put(ctx context.Context, key string, value json.RawMessage) error {
	s, err := l.Open(ctx)
	if err != nil {
		return err
	}
	return s.Put(ctx, key, value)
}
