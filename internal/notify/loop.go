package notify

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"belay/internal/bus"
	"belay/internal/handoff"
	"belay/internal/score"
)

// Options are what the loop needs.
type Options struct {
	Bus      *bus.Bus                                          // its bucket stores which notices were sent; required
	Items    func(ctx context.Context) ([]handoff.Item, error) // every open escalation; required
	Policy   Policy                                            // who is notified of what, and when
	Channels map[string]Channel                                // by the names that the policy uses
	Reports  func(Report)                                      // called for every attempt to deliver a notice; nil = not called
	Logger   *slog.Logger                                      // nil: nothing is logged
}

// loop watches the open escalations, asks the policy what is due, hands it to the sender, and stores in a bucket what
// arrived.
type loop struct {
	Options
	memory  memory
	lease   *bus.Lease
	sender  *Sender
	wake    chan struct{}
	mu      sync.Mutex
	flights map[string]*outgoing // notices that are still on their way, by id
	shown   bool                 // the tiers are in the bucket
}

// outgoing is a notice on its way to its channels.
type outgoing struct {
	records []Sent
	spike   *score.Spike
	arrived bool // on one of its channels
}

// Times of the loop.
const (
	leaseTerm   = 15 * time.Second       // a loop that died is replaced after this time
	changePause = 200 * time.Millisecond // changes within this time cause one look
	retryPause  = 5 * time.Second        // after a failure
)

// Run notifies people of the open escalations until ctx ends.
//
// Any number of processes may run it; only the one with the lease in the bucket sends. A notice is stored as sent once it
// has arrived on one of its channels: after a crash the next process sends again what may not have arrived, with the same
// id.
func Run(ctx context.Context, o Options) error {
	l, err := newLoop(ctx, o)
	if err != nil {
		return err
	}
	watching, stop := context.WithCancel(ctx)
	defer stop()
	l.watch(watching)
	l.run(ctx)
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), retryPause)
	defer cancel()
	l.sender.Stop(end)
	l.lease.Resign(end)
	return nil
}

func newLoop(ctx context.Context, o Options) (*loop, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	m, err := openMemory(ctx, o.Bus)
	if err != nil {
		return nil, err
	}
	l := &loop{Options: o, memory: m, wake: make(chan struct{}, 1), flights: map[string]*outgoing{}}
	for _, c := range o.Channels {
		if signs, ok := c.(interface{ goBy(func() time.Time) }); ok {
			signs.goBy(o.Bus.Now)
		}
	}
	l.lease = bus.NewLease(m.bucket, leaderKey, leaseTerm)
	l.sender = NewSender(o.Channels, l.reported, o.Logger)
	return l, nil
}

// run looks when something has changed, when the policy says so, and often enough to keep the lease.
func (l *loop) run(ctx context.Context) {
	for {
		next, err := l.round(ctx)
		if err != nil && ctx.Err() == nil {
			l.Logger.Warn("cannot notify people; trying again", "error", err)
			next = retryPause
		}
		t := time.NewTimer(next)
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-t.C:
		case <-l.wake:
			t.Stop()
			if !pause(ctx, changePause) {
				return
			}
		}
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// round looks once, if this loop has the lease, and returns when to look again.
func (l *loop) round(ctx context.Context) (next time.Duration, err error) {
	leads, err := l.lease.Renew(ctx)
	if err != nil || !leads {
		return leaseTerm / 2, err
	}
	if !l.shown {
		if err := l.memory.showTiers(ctx, l.Policy.Tiers); err != nil {
			return retryPause, err
		}
		l.shown = true
	}
	items, err := l.Items(ctx)
	if err != nil {
		return retryPause, err
	}
	sent, err := l.sent(ctx)
	if err != nil {
		return retryPause, err
	}
	now := l.Bus.Now()
	due := l.Policy.Look(items, sent, now)
	for _, n := range due.Notices {
		l.mu.Lock()
		l.flights[n.ID] = &outgoing{records: n.Records}
		l.mu.Unlock()
		l.sender.Send(n)
	}
	l.spikes(ctx, now)
	if err := l.memory.forget(ctx, due.Forget); err != nil {
		return retryPause, err
	}
	next = leaseTerm / 3
	if !due.Next.IsZero() {
		next = min(next, max(0, due.Next.Sub(now)))
	}
	return next, nil
}

// sent returns what the bucket has as sent, and what is on its way.
func (l *loop) sent(ctx context.Context) ([]Sent, error) {
	sent, err := l.memory.sent(ctx)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, w := range l.flights {
		sent = append(sent, w.records...)
	}
	return sent, nil
}

// reported stores what has arrived. What no channel delivered is sent again, because nobody has been notified.
func (l *loop) reported(r Report) {
	l.mu.Lock()
	w := l.flights[r.Notice]
	l.mu.Unlock()
	if w != nil {
		l.attempted(w, r)
	}
	if l.Reports != nil {
		l.Reports(r)
	}
}

func (l *loop) attempted(w *outgoing, r Report) {
	arrived := r.Outcome == Delivered
	if arrived {
		l.remember(w)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	w.arrived = w.arrived || arrived
	if !r.Over {
		return
	}
	delete(l.flights, r.Notice)
	if !w.arrived {
		l.nudge()
	}
}

func (l *loop) remember(w *outgoing) {
	ctx, cancel := context.WithTimeout(context.Background(), retryPause)
	defer cancel()
	err := l.memory.remember(ctx, w.records)
	if w.spike != nil {
		err = score.Note(ctx, l.Bus, *w.spike)
	}
	if err != nil {
		l.Logger.Warn("cannot store that a notice was sent; people may get it again", "error", err)
	}
}

// nudge makes the loop look soon.
func (l *loop) nudge() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// watch nudges the loop when an escalation opens or closes, or somebody claims one.
func (l *loop) watch(ctx context.Context) {
	names := l.Bus.Names()
	follow := func(what string, f func() error) {
		go func() {
			for {
				err := f()
				if ctx.Err() != nil {
					return
				}
				l.Logger.Debug("watching again", "what", what, "error", err)
				if !pause(ctx, retryPause) {
					return
				}
			}
		}()
	}
	follow("escalations", func() error {
		return l.Bus.FollowNew(ctx, names.EscalationsStream(), names.EscalationsSubjects(), l.nudge, func(bus.Entry) { l.nudge() })
	})
	follow("claims", func() error {
		claims, err := l.Bus.Bucket(ctx, names.InboxBucket(), handoff.InboxDescription)
		if err != nil {
			return err
		}
		return claims.Watch(ctx, func(bus.Item) { l.nudge() }, nil)
	})
}
