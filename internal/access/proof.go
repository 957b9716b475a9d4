package access

import (
	"errors"
	"sync"
	"time"

	"belay/internal/people"
	"belay/internal/wire"
)

// proofWindow is how far the time of a proof may be from now, by the server's clock on both sides: requests are not on their way
// for longer.
const proofWindow = time.Minute

// ErrStale says that a proof is genuine, and of another time or shown before.
var ErrStale = errors.New("the request was made more than a minute ago or ahead, or was made before; ask again, and see to the clock of this machine")

// once takes each proof one time. The zero value is ready.
type once struct {
	mu   sync.Mutex
	seen map[string]time.Time // when a nonce was used, by the server's clock
}

// take returns [ErrStale] for a proof of another time, and for one that was shown before.
func (o *once) take(p wire.Proof, now time.Time) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if d := now.Sub(p.At); d > proofWindow || d < -proofWindow {
		return ErrStale
	}
	for nonce, at := range o.seen {
		if now.Sub(at) > 2*proofWindow {
			delete(o.seen, nonce)
		}
	}
	if _, used := o.seen[p.Nonce]; used {
		return ErrStale
	}
	if o.seen == nil {
		o.seen = map[string]time.Time{}
	}
	o.seen[p.Nonce] = now
	return nil
}

// CheckShown is [Tokens.Check] for what was shown with a request over NATS. [ErrStale] is said only of what is genuine.
func (t *Tokens) CheckShown(shown wire.Shown, now time.Time) (who people.Actor, why string, err error) {
	p := shown.Proof
	if p == nil {
		return t.Check(shown.Token, now)
	}
	t.mu.RLock()
	s, known := t.known[p.Token]
	t.mu.RUnlock()
	genuine := p.Signed(s.Public, shown.Of)
	if len(s.Public) == 0 { // it was made by a program that kept none
		genuine = p.Keyed(s.Hash, shown.Of)
	}
	if why, err = s.opens(known && genuine, now); err != nil {
		return who, why, err
	}
	if err := t.proofs.take(*p, now); err != nil {
		return who, "stale", err
	}
	return t.actor(s), "", nil
}

// CheckShown returns nil if the code was shown with a request over NATS.
func (c *Code) CheckShown(shown wire.Shown, now time.Time) error {
	switch p := shown.Proof; {
	case c == nil:
		return ErrCode
	case p == nil:
		return c.Check(shown.Token, now)
	case p.Token != "" || !p.Keyed(wire.TokenHash(c.text), shown.Of):
		return ErrCode
	default:
		return c.proofs.take(*p, now)
	}
}
