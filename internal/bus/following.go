package bus

import (
	"context"
	"log/slog"
	"time"
)

// Following has a bucket followed for as long as its process lives: anew where nothing arrives any more, and where the bucket was made
// again. It is safe for concurrent use.
type Following struct {
	Logger  *slog.Logger
	Trouble string // logged when nothing can be heard, once until something is heard again

	anew chan struct{}
}

// NewFollowing makes a Following.
func NewFollowing(logger *slog.Logger, trouble string) *Following {
	return &Following{Logger: logger, Trouble: trouble, anew: make(chan struct{}, 1)}
}

// Anew has a bucket followed that was made again.
func (f *Following) Anew() {
	select {
	case f.anew <- struct{}{}:
	default:
	}
}

// followPause is how long to wait before a bucket that does not answer is asked again.
const followPause = 500 * time.Millisecond

// Run calls listen, which follows the bucket until its context ends, until ctx ends.
func (f *Following) Run(ctx context.Context, listen func(context.Context) error) {
	for troubled := false; ctx.Err() == nil; {
		err := f.listen(ctx, listen)
		if err != nil && ctx.Err() == nil && !troubled {
			f.Logger.Warn(f.Trouble, "error", err)
		}
		troubled = err != nil
		Sleep(ctx, followPause)
	}
}

func (f *Following) listen(ctx context.Context, listen func(context.Context) error) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		select {
		case <-ctx.Done():
		case <-f.anew:
			stop()
		}
	}()
	return listen(ctx)
}

// Sleep waits, at most until ctx ends.
func Sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
