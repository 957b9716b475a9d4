package bus

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
)

// ErrNobody says that nobody serves a subject now.
var ErrNobody = errors.New("nobody answers")

// answerers is the queue group of all processes that answer requests: each request reaches one of them.
const answerers = "belay"

// Answer gives the requests on a subject to f, each in a goroutine of its own, until ctx ends; then it waits for those
// under way. Ready is called once requests can come. f's context ends when ctx does.
func (b *Bus) Answer(ctx context.Context, subject string, ready func(), f func(ctx context.Context, request []byte) []byte) error {
	work := make(chan struct{}, maxAnswers)
	sub, err := b.nc.QueueSubscribe(subject, answerers, func(m *nats.Msg) {
		work <- struct{}{}
		go func() {
			defer func() { <-work }()
			if err := m.Respond(f(ctx, m.Data)); err != nil {
				b.log.Debug("an answer was not sent", "subject", subject, "error", err)
			}
		}()
	})
	if err != nil {
		return fmt.Errorf("answer on %s: %w", subject, b.away(err))
	}
	if err := b.nc.Flush(); err != nil {
		b.log.Debug("requests may come a little later", "subject", subject, "error", err)
	}
	ready()
	<-ctx.Done()
	_ = sub.Unsubscribe()
	for range maxAnswers {
		work <- struct{}{}
	}
	return nil
}

// maxAnswers is how many requests of a kind one process has in hand.
const maxAnswers = 64

// Request asks whoever answers on a subject. [ErrNobody] means that the request reached no one; after any other error it
// may have been answered all the same.
func (b *Bus) Request(ctx context.Context, subject string, request []byte) ([]byte, error) {
	ctx, cancel := b.replies.whileConnected(ctx, b.timeout)
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
