package bus

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
)

// ErrNobody says that no process answers on a subject now.
var ErrNobody = errors.New("nobody answers")

// answerers is the queue group of all processes that answer requests: each request goes to one of them.
const answerers = "belay"

// Answer calls f for every request on a subject, in a goroutine of its own, until ctx ends; then it waits for those that are
// being answered. Ready is called once requests can arrive. The context of f ends with ctx.
func (b *Bus) Answer(ctx context.Context, subject string, ready func(), f func(ctx context.Context, request []byte) []byte) error {
	work := make(chan struct{}, maxAnswers)
	sub, err := b.nc.QueueSubscribe(subject, answerers, func(m *nats.Msg) {
		work <- struct{}{}
		go func() {
			defer func() { <-work }()
			if err := m.Respond(f(ctx, m.Data)); err != nil {
				b.logger.Debug("an answer was not sent", "subject", subject, "error", err)
			}
		}()
	})
	if err != nil {
		return fmt.Errorf("answer on %s: %w", subject, b.away(err))
	}
	if err := b.nc.Flush(); err != nil {
		b.logger.Debug("cannot confirm that requests can arrive", "subject", subject, "error", err)
	}
	ready()
	<-ctx.Done()
	_ = sub.Unsubscribe()
	for range maxAnswers {
		work <- struct{}{}
	}
	return nil
}

// maxAnswers is how many requests on a subject one process answers at the same time.
const maxAnswers = 64

// Request sends a request to a process that answers on a subject. [ErrNobody] means that it reached no process; after any
// other error it may have been carried out.
func (b *Bus) Request(ctx context.Context, subject string, request []byte) ([]byte, error) {
	if err := b.may(subject); err != nil {
		return nil, fmt.Errorf("ask on %s: %w", subject, err)
	}
	ctx, cancel := b.replies.whileConnected(ctx, b.patience)
	defer cancel()
	m, err := b.nc.RequestWithContext(ctx, subject, request)
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		return nil, fmt.Errorf("ask on %s: %w", subject, ErrNobody)
	case errors.Is(err, nats.ErrMaxPayload):
		return nil, fmt.Errorf("ask on %s: %w", subject, &TooLarge{What: subject, Size: int64(len(request)), Most: b.MaxPayload()})
	case err != nil:
		return nil, fmt.Errorf("ask on %s: %w", subject, b.away(because(ctx, err)))
	}
	return m.Data, nil
}
