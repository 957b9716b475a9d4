package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// ask makes one request of the JetStream API.
func (b *Bus) ask(ctx context.Context, call string, request, answer any) error {
	ctx, cancel := b.replies.whileConnected(ctx, b.timeout)
	defer cancel()
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	m, err := b.nc.RequestWithContext(ctx, b.api(call), body)
	if err != nil {
		return b.away(because(ctx, err))
	}
	return json.Unmarshal(m.Data, answer)
}

// api is a JetStream API subject, in the domain of the connection.
func (b *Bus) api(call string) string {
	if domain := b.js.Options().Domain; domain != "" {
		return "$JS." + domain + ".API." + call
	}
	return jetstream.DefaultAPIPrefix + call
}

// away says in plain words that there is no connection now.
func (b *Bus) away(err error) error {
	if errors.Is(err, nats.ErrReconnectBufExceeded) {
		return b.noConnection()
	}
	return err
}

// Ready is nil while there is a connection.
func (b *Bus) Ready() error {
	if !b.nc.IsConnected() {
		return b.noConnection()
	}
	return nil
}

func (b *Bus) noConnection() error {
	return fmt.Errorf("%w to %s now; trying again all the time", ErrUnreachable, b.place)
}

// because says why a context ended, where that is what went wrong.
func because(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) {
		return fmt.Errorf("%w: %w", err, cause)
	}
	return err
}
