package notify

import (
	"context"
	"log/slog"

	"belay/internal/bus"
	"belay/internal/handoff"
	"belay/internal/steps/view"
)

// Service notifies people from a dispatcher.
type Service struct {
	Setup   *Setup       // nil = this process notifies nobody, but still knows who was notified by others
	Reports func(Report) // called for every attempt to deliver a notice; nil = not called
}

// Run notifies people until ctx ends, if no other dispatcher does.
func (s *Service) Run(ctx context.Context, b *bus.Bus, items func(context.Context) ([]handoff.Item, error), logger *slog.Logger) error {
	if s.Setup == nil {
		return nil
	}
	return Run(ctx, Options{Bus: b, Items: items, Policy: s.Setup.Policy, Channels: s.Setup.Channels, Reports: s.Reports, Logger: logger})
}

// Notified is [Notified].
func (s *Service) Notified(b *bus.Bus) func(ctx context.Context, v view.Escalation) ([]handoff.TrailLine, error) {
	return Notified(b)
}
