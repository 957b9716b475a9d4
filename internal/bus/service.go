package bus

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"

	"belay/internal/wire"
)

// ErrNobody says that no process answers on a subject now.
var ErrNobody = errors.New("nobody answers")

// answerers is the queue group of all processes that answer requests: each request goes to one of them.
const answerers = "belay"

// Asked is a request to this process.
type Asked struct {
	Body  []byte
	Shown wire.Shown // by whoever asks
}

// Answer is [Bus.AnswerShown] for requests of which it does not matter who makes them.
func (b *Bus) Answer(ctx context.Context, subject string, ready func(), f func(ctx context.Context, request []byte) []byte) error {
	return b.AnswerShown(ctx, subject, ready, func(ctx context.Context, a Asked) []byte { return f(ctx, a.Body) })
}

// shownWith is what a request on a subject shows.
func shownWith(subject string, m *nats.Msg) wire.Shown {
	s := wire.Shown{Of: wire.RequestDigest(subject, m.Data)}
	if p, ok := wire.ReadProof(m.Header.Get(wire.HeaderProof)); ok {
		s.Proof = &p
	}
	return s
}

// AnswerShown calls f for every request on a subject, in a goroutine of its own, until ctx ends; then it waits for those that are
// being answered. Ready is called once requests can arrive. The context of f ends with ctx.
func (b *Bus) AnswerShown(ctx context.Context, subject string, ready func(), f func(ctx context.Context, a Asked) []byte) error {
	work := make(chan struct{}, maxAnswers)
	sub, err := b.nc.QueueSubscribe(subject, answerers, func(m *nats.Msg) {
		work <- struct{}{}
		go func() {
			defer func() { <-work }()
			if err := m.Respond(f(ctx, Asked{m.Data, shownWith(subject, m)})); err != nil {
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
	return b.RequestAs(ctx, subject, request, "")
}

// RequestAs is [Bus.Request] of whoever has a token, or the sign-in code of `dispatcher dev`; empty = nobody in particular. Neither is
// sent: see [wire.Proof].
func (b *Bus) RequestAs(ctx context.Context, subject string, request []byte, token string) ([]byte, error) {
	if err := b.may(subject); err != nil {
		return nil, fmt.Errorf("ask on %s: %w", subject, err)
	}
	ctx, cancel := b.replies.whileConnected(ctx, b.patience)
	defer cancel()
	out := &nats.Msg{Subject: subject, Data: request}
	if token != "" {
		out.Header = nats.Header{wire.HeaderProof: {wire.Prove(token, wire.RequestDigest(subject, request), b.Now()).String()}}
	}
	m, err := b.nc.RequestMsgWithContext(ctx, out)
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
