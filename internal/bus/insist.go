package bus

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// firstListen is how long the server has for its answer before it is asked again as well; each time half as long again.
const firstListen = time.Second

// insist asks the server within the timeout of a request until it answers, and returns the first answer. A cluster that
// elects a leader does not answer what it is asked meanwhile, also not later, so one question alone may wait in vain. F has
// to be safe to repeat, and several may be under way at a time.
func insist[T any](ctx context.Context, b *Bus, f func(context.Context) (T, error)) (T, error) {
	ctx, cancel := b.replies.whileConnected(ctx, b.timeout)
	defer cancel()
	type answer struct {
		value T
		err   error
	}
	answers := make(chan answer)
	ask := func() {
		v, err := f(ctx)
		select {
		case answers <- answer{v, err}:
		case <-ctx.Done():
		}
	}
	go ask()
	listen := firstListen
	repeat := time.NewTimer(listen)
	defer repeat.Stop()
	why := context.DeadlineExceeded
	var none T
	for {
		select {
		case <-repeat.C:
			go ask()
			listen += listen / 2
			repeat.Reset(listen)
		case a := <-answers:
			if a.err == nil || !notNow(a.err) {
				return a.value, b.away(a.err)
			}
			why = a.err
		case <-ctx.Done():
			return none, b.unheard(ctx, why)
		}
	}
}

// notNow reports whether the server could not deal with a request at that moment.
func notNow(err error) bool {
	var api *jetstream.APIError
	var own *apiError
	switch {
	case errors.Is(err, nats.ErrNoResponders), errors.Is(err, jetstream.ErrNoStreamResponse):
		return true
	case errors.As(err, &api):
		return api.Code == http.StatusServiceUnavailable
	case errors.As(err, &own):
		return own.Code == http.StatusServiceUnavailable
	}
	return false
}

func (b *Bus) stream(ctx context.Context, name string) (jetstream.Stream, error) {
	if err := b.mayAsk("STREAM.INFO." + name); err != nil {
		return nil, err
	}
	return insist(ctx, b, func(ctx context.Context) (jetstream.Stream, error) { return b.js.Stream(ctx, name) })
}

func (b *Bus) createStream(ctx context.Context, c jetstream.StreamConfig) (jetstream.Stream, error) {
	if err := b.mayAsk("STREAM.CREATE." + c.Name); err != nil {
		return nil, err
	}
	return insist(ctx, b, func(ctx context.Context) (jetstream.Stream, error) { return b.js.CreateStream(ctx, c) })
}

func (b *Bus) consumer(ctx context.Context, stream, name string) (jetstream.Consumer, error) {
	if err := b.mayAsk("CONSUMER.INFO." + stream + "." + name); err != nil {
		return nil, err
	}
	return insist(ctx, b, func(ctx context.Context) (jetstream.Consumer, error) { return b.js.Consumer(ctx, stream, name) })
}

// createConsumer makes a consumer. One without a name is another one each time the server is asked; those that nobody uses
// expire.
func (b *Bus) createConsumer(ctx context.Context, stream string, c jetstream.ConsumerConfig) (jetstream.Consumer, error) {
	if err := b.mayAsk("CONSUMER.CREATE." + stream + "." + cmp.Or(c.Durable, "any") + strings.TrimSuffix("."+c.FilterSubject, ".")); err != nil {
		return nil, err
	}
	return insist(ctx, b, func(ctx context.Context) (jetstream.Consumer, error) { return b.js.CreateConsumer(ctx, stream, c) })
}

// dropConsumer deletes a consumer of this process's own. Who is not allowed to leaves it to expire.
func (b *Bus) dropConsumer(ctx context.Context, stream, name string) error {
	err := b.mayAsk("CONSUMER.DELETE." + stream + "." + name)
	if err == nil {
		err = b.js.DeleteConsumer(ctx, stream, name)
	}
	if errors.Is(err, ErrDenied) {
		err = nil
	}
	return err
}

func (b *Bus) keyValue(ctx context.Context, bucket string) (jetstream.KeyValue, error) {
	if err := b.mayAsk("STREAM.INFO.KV_" + bucket); err != nil {
		return nil, err
	}
	return insist(ctx, b, func(ctx context.Context) (jetstream.KeyValue, error) { return b.js.KeyValue(ctx, bucket) })
}
