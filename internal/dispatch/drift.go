package dispatch

import (
	"context"
	"sync"
	"time"

	"belay/internal/bus"
)

// driftEvery is how often the dispatcher compares the settings of streams, buckets and consumers with what it needs.
const driftEvery = 5 * time.Second

// drifts are the settings that are not as they must be.
type drifts struct {
	mu  sync.Mutex
	now []*bus.Drift
}

// Drift lists the settings of streams, buckets and consumers that somebody has changed so that they are not as they must be. It is a
// few seconds old.
func (d *Dispatcher) Drift() []*bus.Drift {
	d.drifts.mu.Lock()
	defer d.drifts.mu.Unlock()
	return d.drifts.now
}

// lookForDrift compares them, and says once what was changed, and once that it was set back. It changes nothing: what somebody has
// set may be meant, and what it did cannot be undone here.
func (d *Dispatcher) lookForDrift(ctx context.Context) error {
	if d.away() {
		return nil // the health check says so
	}
	found, err := d.Bus.Inspect(ctx)
	if err != nil {
		return err
	}
	d.drifts.mu.Lock()
	before := d.drifts.now
	d.drifts.now = found.Drift
	d.drifts.mu.Unlock()
	known, still := wordsOf(before), wordsOf(found.Drift)
	for _, f := range found.Drift {
		if known[f.Seen()] {
			continue
		}
		say, what := d.Logger.Warn, "a setting was changed; work may take longer"
		if f.Grave() {
			say, what = d.Logger.Error, "a setting was changed; runs may be lost, or stand still, until it is set back"
		}
		say(what, "seen", f.Seen(), "do", f.Cure())
	}
	for _, f := range before {
		if !still[f.Seen()] {
			d.Logger.Info("a setting that was changed is as it must be again", "what", f.What, "field", f.Field)
		}
	}
	return nil
}

func wordsOf(all []*bus.Drift) map[string]bool {
	words := map[string]bool{}
	for _, f := range all {
		words[f.Seen()] = true
	}
	return words
}
