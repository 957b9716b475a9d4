package pagestest

import (
	"context"
	"time"

	"belay/internal/score"
)

// HowItGoes implements [pages.Score].
func (w *World) HowItGoes(_ context.Context, window time.Duration) (score.Report, error) {
	return w.counts().Report(w.Now(), window, w.Spikes), w.broken
}

// Causes implements [pages.Score].
func (w *World) Causes(_ context.Context, f score.CauseFilter) ([]score.CauseReport, error) {
	return w.counts().Pick(f, w.Now()), w.broken
}

func (w *World) counts() *score.Counts {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.Counts == nil {
		return &score.Counts{}
	}
	return w.Counts
}
