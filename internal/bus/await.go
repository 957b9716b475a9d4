package bus

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// ErrNotSetUp says that nobody has made Belay's streams on a server yet, or not all of them.
var ErrNotSetUp = errors.New("no Belay streams")

// awaitEvery is how long Await waits between two tries, at least; a server that hangs takes a request's timeout.
const awaitEvery = 500 * time.Millisecond

// Await calls try until it succeeds, as long as what is wrong may come right by itself: a server that is not up yet, a cluster
// without a leader or with too few servers, streams that a dispatcher has yet to make. It says once what it waits for, and
// returns the error after patience; 0 = at once. Try gives back what it has opened when it fails.
func Await(ctx context.Context, logger *slog.Logger, patience time.Duration, try func(context.Context) error) error {
	end, said := time.Now().Add(patience), ""
	for {
		err := try(ctx)
		what := comes(err)
		if what == "" || ctx.Err() != nil || !time.Now().Before(end) {
			return err
		}
		if what != said {
			logger.Warn("waiting for "+what, "at_most", time.Until(end).Round(time.Second), "because", err)
			said = what
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(awaitEvery):
		}
	}
}

// comes is what there will be if one waits; empty = waiting changes nothing.
func comes(err error) string {
	api, is := errors.AsType[*jetstream.APIError](err)
	switch {
	case err == nil, errors.Is(err, nats.ErrAuthorization), errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
		return ""
	case errors.Is(err, ErrNotSetUp):
		return "a dispatcher to make the streams"
	case is && api.ErrorCode == codeNoPeers:
		return "more servers of the cluster"
	case errors.Is(err, ErrUnreachable):
		return "the NATS server"
	case notNow(err), errors.Is(err, context.DeadlineExceeded), errors.Is(err, nats.ErrTimeout):
		return "JetStream, which has no leader yet"
	}
	return ""
}
