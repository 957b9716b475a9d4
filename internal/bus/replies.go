package bus

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
)

var (
	errTimeout = errors.New("timed out")
	errLost    = errors.New("the connection was lost before the answer")
)

// replies is one inbox for the answers to all publishes, without a subscription, goroutine or timer for each message.
type replies struct {
	nc     *nats.Conn
	prefix string
	last   atomic.Uint64
	sub    *nats.Subscription
	ended  chan struct{} // closed by stop

	mu      sync.Mutex
	waiting map[string]reply
	lost    chan struct{} // closed when the current connection is lost
}

type reply struct {
	done func(*nats.Msg, error)
	more func(*nats.Msg) bool // if not nil: takes an answer, and reports whether another one follows
	due  time.Time
}

func newReplies(nc *nats.Conn) (*replies, error) {
	r := &replies{nc: nc, prefix: nc.NewInbox() + ".", waiting: map[string]reply{}, lost: make(chan struct{}), ended: make(chan struct{})}
	sub, err := nc.Subscribe(r.prefix+"*", r.answered)
	if err != nil {
		return nil, err
	}
	// Never drop answers; each has at most a few hundred bytes.
	if err := sub.SetPendingLimits(-1, -1); err != nil {
		return nil, err
	}
	r.sub = sub
	go r.expire(nc.StatusChanged(nats.DISCONNECTED, nats.RECONNECTING, nats.CLOSED))
	return r, nil
}

func (r *replies) request(m *nats.Msg, timeout time.Duration, done func(*nats.Msg, error)) {
	r.send(m, reply{done: done, due: time.Now().Add(timeout)})
}

// requestMany is request for several answers: more takes each of them, in order, until it returns false; then done is
// called with the last one. The returned function gives up.
func (r *replies) requestMany(m *nats.Msg, timeout time.Duration, more func(*nats.Msg) bool, done func(*nats.Msg, error)) (giveUp func()) {
	token := r.send(m, reply{done, more, time.Now().Add(timeout)})
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.waiting, token)
	}
}

func (r *replies) send(m *nats.Msg, w reply) (token string) {
	token = strconv.FormatUint(r.last.Add(1), 36)
	m.Reply = r.prefix + token
	r.mu.Lock()
	r.waiting[token] = w
	r.mu.Unlock()
	if err := r.nc.PublishMsg(m); err != nil {
		r.end(token, nil, err)
	}
	return token
}

func (r *replies) answered(m *nats.Msg) {
	token := strings.TrimPrefix(m.Subject, r.prefix)
	r.mu.Lock()
	w := r.waiting[token]
	r.mu.Unlock()
	if w.more == nil || !w.more(m) {
		r.end(token, m, nil)
	}
}

// end calls done once: only the caller that removes the entry from the map does.
func (r *replies) end(token string, m *nats.Msg, err error) {
	r.mu.Lock()
	w, ok := r.waiting[token]
	delete(r.waiting, token)
	r.mu.Unlock()
	if ok {
		w.done(m, err)
	}
}

// stop receives no more answers; the connection stays open.
func (r *replies) stop() {
	_ = r.sub.Unsubscribe()
	close(r.ended)
}

// expire gives up requests that have waited too long, and all of them when the connection is lost, because their answers
// are lost with it.
func (r *replies) expire(status chan nats.Status) {
	defer r.nc.RemoveStatusListener(status)
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-r.ended:
			r.giveUp(errClosed, func(reply) bool { return true })
			return
		case st := <-status:
			r.noteLost()
			r.giveUp(errLost, func(reply) bool { return true })
			if st == nats.CLOSED {
				return
			}
		case now := <-tick.C:
			r.giveUp(errTimeout, func(w reply) bool { return now.After(w.due) })
		}
	}
}

func (r *replies) giveUp(err error, which func(reply) bool) {
	var tokens []string
	r.mu.Lock()
	for t, w := range r.waiting {
		if which(w) {
			tokens = append(tokens, t)
		}
	}
	r.mu.Unlock()
	for _, t := range tokens {
		r.end(t, nil, err)
	}
}

func (r *replies) noteLost() {
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.lost)
	r.lost = make(chan struct{})
}

// whileConnected returns a context that ends with ctx, or when the connection is lost: then an answer will not arrive, and
// the caller can repeat the request sooner.
func (r *replies) whileConnected(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	r.mu.Lock()
	lost := r.lost
	r.mu.Unlock()
	ctx, lose := context.WithCancelCause(ctx)
	ctx, cancel := context.WithTimeout(ctx, timeout)
	go func() {
		select {
		case <-lost:
			lose(errLost)
		case <-ctx.Done():
			lose(nil)
		}
	}()
	return ctx, cancel
}
