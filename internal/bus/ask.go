package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// ask makes a request of the JetStream API that is safe to repeat; a refusal is its error.
func ask[T interface{ refused() error }](ctx context.Context, b *Bus, call string, request any) (T, error) {
	var none T
	body, err := json.Marshal(request)
	if err == nil {
		err = b.mayAsk(call)
	}
	if err != nil {
		return none, err
	}
	return insist(ctx, b, func(ctx context.Context) (a T, err error) {
		m, err := b.nc.RequestWithContext(ctx, b.api(call), body)
		if err != nil {
			return a, err
		}
		if err := json.Unmarshal(m.Data, &a); err != nil {
			return a, err
		}
		return a, a.refused()
	})
}

// refusal is the part of an answer of the JetStream API that says why there is no other.
type refusal struct {
	Error *apiError `json:"error"`
}

func (r refusal) refused() error {
	if r.Error == nil {
		return nil
	}
	return r.Error
}

// unheard is why something that was asked within ctx, of [replies.whileConnected], got no answer.
func (b *Bus) unheard(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), errLost) {
		return b.noConnection()
	}
	return b.away(because(ctx, err))
}

// api is a JetStream API subject, in the domain of the connection.
func (b *Bus) api(call string) string {
	if domain := b.js.Options().Domain; domain != "" {
		return "$JS." + domain + ".API." + call
	}
	return jetstream.DefaultAPIPrefix + call
}

// away replaces an error by a plain one if there is no connection now, or was none for a moment. What may have been stored
// stays [ErrUncertain].
func (b *Bus) away(err error) error {
	unsent := errors.Is(err, nats.ErrReconnectBufExceeded)
	cut := errors.Is(err, nats.ErrDisconnected) && !errors.Is(err, ErrUncertain)
	if unsent || cut {
		return b.noConnection()
	}
	return err
}

// unanswered is why a question got no answer, which changes nothing.
func (b *Bus) unanswered(err error) error {
	switch {
	case errors.Is(err, errLost):
		return b.noConnection()
	case errors.Is(err, errTimeout):
		return fmt.Errorf("no answer within %s: %w", b.timeout, context.DeadlineExceeded)
	}
	return b.away(err)
}

// AwaitConnection returns once there is a connection, or with an [ErrUnreachable] if there is none within the timeout of a
// request. A server that is restarted, or another one of its cluster, is back sooner than that.
func (b *Bus) AwaitConnection(ctx context.Context) error {
	back := b.nc.StatusChanged(nats.CONNECTED, nats.CLOSED)
	defer b.nc.RemoveStatusListener(back)
	timeout := time.NewTimer(b.timeout)
	defer timeout.Stop()
	for !b.nc.IsConnected() && !b.nc.IsClosed() {
		select {
		case <-back:
		case <-timeout.C:
			return b.noConnection()
		case <-ctx.Done():
			return because(ctx, ctx.Err())
		}
	}
	return b.Ready()
}

// Ready returns nil while there is a connection.
func (b *Bus) Ready() error {
	if !b.nc.IsConnected() {
		return b.noConnection()
	}
	return nil
}

func (b *Bus) noConnection() error {
	return fmt.Errorf("%w to %s now; reconnecting", ErrUnreachable, b.place)
}

// because adds the cause of ctx to an error, if ctx has ended.
func because(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) {
		return fmt.Errorf("%w: %w", err, cause)
	}
	return err
}
