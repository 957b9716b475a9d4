package engine

import (
	"context"
	"fmt"

	"belay/internal/bus"
)

// part runs one long-lived part. One that ends by itself ends the engine.
func (e *Engine) part(run func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	// Workers stop first: their last outcomes still find a dispatcher.
	e.stops, e.dones = append(e.stops, cancel), append(e.dones, done)
	go func() {
		defer close(done)
		if err := run(ctx); err != nil && ctx.Err() == nil {
			e.end(err)
		}
	}()
}

func (e *Engine) end(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.failed == nil {
		e.failed = err
		close(e.fail)
	}
}

// Failed is closed when a part has ended by itself; Err says why.
func (e *Engine) Failed() <-chan struct{} { return e.fail }

// Err is why a part ended by itself.
func (e *Engine) Err() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.failed
}

// Wait blocks until ctx ends or a part ends by itself.
func (e *Engine) Wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-e.fail:
		return e.Err()
	}
}

// Ready is nil while everything that was started works; else it says what does not.
func (e *Engine) Ready() error {
	if err := e.Err(); err != nil {
		return err
	}
	if err := e.Bus.Ready(); err != nil {
		return err
	}
	if e.Canary != nil { // before the tally, which cannot be written either then
		if err := e.Canary.Ready(); err != nil {
			return err
		}
	}
	for _, d := range e.Drift() {
		if d.Grave() {
			return fmt.Errorf("a setting was changed behind Belay's back: %w", d)
		}
	}
	if e.Tally == nil {
		return nil
	}
	return e.Tally.Err()
}

// Drift lists what somebody has changed about streams, buckets and consumers; nil where another process dispatches.
func (e *Engine) Drift() []*bus.Drift {
	if e.moves == nil {
		return nil
	}
	return e.moves.Drift()
}

// Stop drains all parts, one after the other, and gives everything back.
func (e *Engine) Stop() {
	for i, stop := range e.stops {
		stop()
		<-e.dones[i]
	}
	if e.Index != nil {
		if err := e.Index.Close(); err != nil {
			e.logger.Warn("the index of runs was not closed well; what is missing is read from the log at the next start", "error", err)
		}
	}
	if e.Bus != nil {
		e.Bus.Close()
	}
	if e.Server != nil {
		e.Server.Shutdown()
	}
}
