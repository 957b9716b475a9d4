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
	errLost    = errors.New("the connection was lost meanwhile")
)

// replies is one inbox for the answers to all publishes: no subscription, no goroutine and no timer per message.
type replies struct {
	nc     *nats.Conn
	prefix string
	last   atomic.Uint64

	mu      sync.Mutex
	waiting map[string]reply
	lost    chan struct{} // closed when the present connection is lost
}

type reply struct {
	done func(*nats.Msg, error)
	due  time.Time
}

func newReplies(nc *nats.Conn) (*replies, error) {
	r := &replies{nc: nc, prefix: nc.NewInbox() + ".", waiting: map[string]reply{}, lost: make(chan struct{})}
	sub, err := nc.Subscribe(r.prefix+"*", r.answered)
	if err != nil {
		return nil, err
	}
	// Every answer must arrive, however many there are: none is larger than a few hundred bytes.
	if err := sub.SetPendingLimits(-1, -1); err != nil {
		return nil, err
	}
	status := nc.StatusChanged(nats.DISCONNECTED, nats.RECONNECTING, nats.CLOSED)
	go r.expire(status)
	return r, nil
}

func (r *replies) request(m *nats.Msg, timeout time.Duration, done func(*nats.Msg, error)) {
	token := strconv.FormatUint(r.last.Add(1), 36)
	m.Reply = r.prefix + token
	r.mu.Lock()
	r.waiting[token] = reply{done, time.Now().Add(timeout)}
	r.mu.Unlock()
	if err := r.nc.PublishMsg(m); err != nil {
		r.end(token, nil, err)
	}
}

func (r *replies) answered(m *nats.Msg) {
	r.end(strings.TrimPrefix(m.Subject, r.prefix), m, nil)
}

// end answers once: whoever takes the entry out of the map calls done.
func (r *replies) end(token string, m *nats.Msg, err error) {
	r.mu.Lock()
	w, ok := r.waiting[token]
	delete(r.waiting, token)
	r.mu.Unlock()
	if ok {
		w.done(m, err)
	}
}

// expire gives up what has waited too long, and everything when the connection is lost: the answers went with it.
func (r *replies) expire(status <-chan nats.Status) {
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case st := <-status:
			r.tellLost()
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

func (r *replies) tellLost() {
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.lost)
	r.lost = make(chan struct{})
}

// whileConnected ends with ctx, or when the connection is lost: an answer that was on its way will not come, and
// whoever waits can try again the sooner.
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
