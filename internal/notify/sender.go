package notify

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"
)

// ErrStopped is what becomes of notices that were not sent before the end.
var ErrStopped = errors.New("stopped before it could be sent")

// Delivered is told what became of a notice on one of its channels: err is nil when it arrived, and otherwise says why
// it was given up. It is called from several goroutines, and holds its channel until it returns.
type Delivered func(notice, channel string, err error)

// Sender brings notices to their channels, and tries again what failed. Each channel has a queue of its own, so that
// one that is slow or gone holds up no other.
type Sender struct {
	queues    map[string]*queue
	delivered Delivered
	log       *slog.Logger
	stop      context.CancelFunc
	work      sync.WaitGroup
}

// NewSender starts a sender; call [Sender.Stop] in the end.
func NewSender(channels map[string]Channel, delivered Delivered, log *slog.Logger) *Sender {
	ctx, stop := context.WithCancel(context.Background())
	s := &Sender{queues: map[string]*queue{}, delivered: delivered, log: log, stop: stop}
	for _, name := range slices.Sorted(maps.Keys(channels)) {
		q := &queue{name: name, channel: channels[name], wake: make(chan struct{}, 1), done: s.done}
		s.queues[name] = q
		s.work.Go(func() { q.run(ctx) })
	}
	return s
}

// Send queues a notice on each of its channels and does not wait.
func (s *Sender) Send(n Notice) {
	for _, name := range n.Channels {
		q := s.queues[name]
		switch {
		case q == nil:
			s.done(n, name, permanent("there is no channel %q: name it in the notify file", name))
		case !q.put(n):
			s.done(n, name, ErrStopped)
		}
	}
}

// Stop takes no more notices and waits for those that are queued, with their further attempts, until ctx ends; what is
// left then is given up with [ErrStopped].
func (s *Sender) Stop(ctx context.Context) {
	for _, q := range s.queues {
		q.close()
	}
	defer context.AfterFunc(ctx, s.stop)()
	s.work.Wait()
	s.stop()
}

func (s *Sender) done(n Notice, channel string, err error) {
	if err != nil {
		s.log.Error("notice not delivered", "notice", n.ID, "channel", channel, "tier", n.Tier, "escalations", n.Count, "error", err)
	}
	s.delivered(n.ID, channel, err)
}

// How a notice is tried again. It must not be much longer than a reminder takes: what arrives hours later, when a channel
// is back, together with everything else, helps nobody.
const (
	maxAttempts   = 10
	maxAge        = 10 * time.Minute
	firstWait     = time.Second
	longestWait   = time.Minute
	maxRetryAfter = 5 * time.Minute
)

// wait is how long to wait after an attempt, the first one being 1, before the next.
func wait(attempt int, f *Failure) time.Duration {
	backoff := min(firstWait<<(attempt-1), longestWait)
	return max(backoff, min(f.RetryAfter, maxRetryAfter))
}
