package harness

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

func (b *Bench) latency(id int) time.Duration { return time.Duration(b.lanes[id].end.Load()) }

func (b *Bench) one(ctx context.Context, d Driver, id int) error {
	l := &b.lanes[id]
	l.start = time.Now()
	if err := d.Submit(ctx, []int{id}); err != nil {
		return err
	}
	select {
	case <-l.ch:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("run %d not done: %w", id, ctx.Err())
	}
}

// closedLoop keeps -concurrency runs in flight until n are done.
func (b *Bench) closedLoop(ctx context.Context, d Driver, first, n int) error {
	var next atomic.Int64
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	for range min(b.Concurrency, n) {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := b.one(ctx, d, first+i); err != nil {
					cancel(err)
					return
				}
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// flood enqueues all n at once while the workers drain.
func (b *Bench) flood(ctx context.Context, d Driver, first, n int) error {
	p := &phase{first: first, n: n, done: make(chan struct{})}
	p.left.Store(int64(n))
	b.phase.Store(p)
	defer b.phase.Store(nil)
	var next atomic.Int64
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	t0 := time.Now()
	for range b.submitters {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(int64(b.batch))) - b.batch
				if i >= n {
					return
				}
				ids := make([]int, 0, b.batch)
				now := time.Now()
				for j := i; j < min(n, i+b.batch); j++ {
					b.lanes[first+j].start = now
					ids = append(ids, first+j)
				}
				if err := d.Submit(ctx, ids); err != nil {
					cancel(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.Extra["enqueue_per_sec"] = round(float64(n)/time.Since(t0).Seconds(), 1)
	if err := context.Cause(ctx); err != nil {
		return err
	}
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%d jobs not done: %w", p.left.Load(), context.Cause(ctx))
	}
}
