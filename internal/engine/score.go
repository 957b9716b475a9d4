package engine

import (
	"context"
	"time"

	"belay/internal/score"
)

// startScore counts what comes of calls, and judges it. It ends after the dispatcher, whose last records it counts.
func (e *Engine) startScore(k *score.Keeper) {
	e.Score = &score.Watch{Bus: e.Bus, Logger: e.logger}
	for _, run := range []func(context.Context){k.Run, e.Score.Run} {
		e.part(func(ctx context.Context) error {
			run(ctx)
			return nil
		})
	}
}

// HowItGoes says what came of the calls of each tool, over a window; 0 = as each tool's objective says.
func (e *Engine) HowItGoes(ctx context.Context, window time.Duration) (score.Report, error) {
	return score.HowItGoes(ctx, e.Bus, window)
}

// Causes lists what calls fail with.
func (e *Engine) Causes(ctx context.Context, f score.CauseFilter) ([]score.CauseReport, error) {
	return score.Causes(ctx, e.Bus, f)
}
