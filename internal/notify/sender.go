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

// Outcome is what became of one attempt to bring a notice to a channel.
type Outcome string

// The outcomes. They are labels of metrics too.
const (
	Delivered Outcome = "delivered" // it arrived
	Failed    Outcome = "failed"    // it will be tried again
	GivenUp   Outcome = "given_up"  // it will not
)

// Outcomes are all of them.
func Outcomes() []Outcome { return []Outcome{Delivered, Failed, GivenUp} }

// Report says what became of an attempt.
type Report struct {
	Notice, Channel string
	Outcome         Outcome
	Err             error // why it did not arrive; nil when it did
	Over            bool  // nothing more will be attempted with this notice
}

// Sender brings notices to their channels, and tries again what failed. Each channel has a queue of its own, so that
// one that is slow or gone holds up no other. A notice that none of its channels takes at once is also brought to the
// next channel, so that people hear of it as long as any channel works.
type Sender struct {
	queues  map[string]*queue
	reports func(Report)
	log     *slog.Logger
	stop    context.CancelFunc
	work    sync.WaitGroup
}

// NewSender starts a sender; call [Sender.Stop] in the end. Reports is called from several goroutines, and holds its
// channel until it returns.
func NewSender(channels map[string]Channel, reports func(Report), log *slog.Logger) *Sender {
	ctx, stop := context.WithCancel(context.Background())
	s := &Sender{queues: map[string]*queue{}, reports: reports, log: log, stop: stop}
	for _, name := range slices.Sorted(maps.Keys(channels)) {
		q := &queue{name: name, channel: channels[name], wake: make(chan struct{}, 1)}
		s.queues[name] = q
		s.work.Go(func() { q.run(ctx) })
	}
	return s
}

// Send queues a notice on each of its channels and does not wait.
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

// note logs what did not arrive, at every attempt: a channel that fails is to be mended, not waited for.
func (s *Sender) note(f *flight, channel string, o Outcome, err error) {
	attrs := []any{"notice", f.ID, "channel", channel, "tier", f.Tier, "escalations", f.Count, "error", err}
	switch o {
	case Failed:
		s.log.Warn("notice not delivered yet; trying again", attrs...)
	case GivenUp:
		s.log.Error("notice not delivered", attrs...)
	}
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
