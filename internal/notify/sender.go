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

// ErrStopped is the error of notices that were not sent before the sender stopped.
var ErrStopped = errors.New("stopped before it could be sent")

// Outcome is how one attempt to deliver a notice ended.
type Outcome string

// The outcomes. They are labels of metrics too.
const (
	Delivered Outcome = "delivered" // it arrived
	Failed    Outcome = "failed"    // it will be retried
	GivenUp   Outcome = "given_up"  // it will not be retried
)

// Outcomes lists them all.
func Outcomes() []Outcome { return []Outcome{Delivered, Failed, GivenUp} }

// Report says how an attempt ended.
type Report struct {
	Notice, Channel string  // the notice's ID, the channel's name
	Outcome         Outcome // of this attempt
	Err             error   // why it did not arrive; nil if it did
	Over            bool    // nothing more will be attempted with this notice
}

// Sender delivers notices through their channels, and retries what failed. Each channel has a queue of its own, so that a
// slow or broken one does not delay the others. A notice that none of its channels delivers soon goes to spare channels
// too, so that people are notified as long as any channel works.
type Sender struct {
	queues  map[string]*queue
	reports func(Report)
	logger  *slog.Logger
	stop    context.CancelFunc
	work    sync.WaitGroup
}

// NewSender starts a sender; call [Sender.Stop] at the end. Reports is called from several goroutines, and blocks its
// channel until it returns.
func NewSender(channels map[string]Channel, reports func(Report), logger *slog.Logger) *Sender {
	ctx, stop := context.WithCancel(context.Background())
	s := &Sender{queues: map[string]*queue{}, reports: reports, logger: logger, stop: stop}
	for _, name := range slices.Sorted(maps.Keys(channels)) {
		q := &queue{name: name, channel: channels[name], wake: make(chan struct{}, 1)}
		s.queues[name] = q
		s.work.Go(func() { q.run(ctx) })
	}
	return s
}

// Send queues a notice on each of its channels, and does not wait.
func (s *Sender) Send(n Notice) { s.newFlight(n).begin() }

// put queues a notice on one channel.
func (s *Sender) put(f *flight, name string) {
	q := s.queues[name]
	switch {
	case q == nil:
		f.attempted(name, GivenUp, permanent("there is no channel %q: name it in the notify file", name))
	case !q.put(f):
		f.attempted(name, GivenUp, ErrStopped)
	}
}

// Stop accepts no more notices, and waits for those that are queued and their retries until ctx ends; the others fail with
// [ErrStopped].
func (s *Sender) Stop(ctx context.Context) {
	for _, q := range s.queues {
		q.close()
	}
	defer context.AfterFunc(ctx, s.stop)()
	s.work.Wait()
	s.stop()
}

// note logs every attempt that failed: somebody has to repair a failing channel.
func (s *Sender) note(f *flight, channel string, o Outcome, err error) {
	attrs := []any{"notice", f.ID, "channel", channel, "tier", f.Tier, "escalations", f.Count, "error", err}
	switch o {
	case Failed:
		s.logger.Warn("notice not delivered yet; trying again", attrs...)
	case GivenUp:
		s.logger.Error("notice not delivered", attrs...)
	}
}

// How a notice is retried. Not for much longer than the time between reminders: notices that all arrive hours later, when
// a channel works again, help nobody.
const (
	maxAttempts   = 10
	maxAge        = 10 * time.Minute
	firstWait     = time.Second
	longestWait   = time.Minute
	maxRetryAfter = 5 * time.Minute
)

// wait returns how long to wait after an attempt, counted from 1, before the next.
func wait(attempt int, f *Failure) time.Duration {
	backoff := min(firstWait<<(attempt-1), longestWait)
	return max(backoff, min(f.RetryAfter, maxRetryAfter))
}
