package access

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"belay/internal/bus"
	"belay/internal/exactjson"
	"belay/internal/people"
	"belay/internal/wire"
)

// ErrToken is all that is said to somebody whose token opens nothing: unknown, wrong, expired or revoked.
var ErrToken = errors.New("the token is not valid")

// Token is what is known of a token: not the token itself.
type Token struct {
	ID      string      `json:"id"`                // names it for revoking; no secret
	Name    string      `json:"name"`              // what it is for
	Owner   string      `json:"owner"`             // the person: [people.Actor.Name]
	Role    people.Role `json:"role"`              // what its owner may do with it
	By      string      `json:"by"`                // who made it
	Made    time.Time   `json:"made"`              // when it was made
	Expires time.Time   `json:"expires,omitzero"`  // opens nothing from then on; zero: never expires
	Revoked time.Time   `json:"revoked,omitzero"`  // opens nothing since then; zero: not revoked
	SignIn  bool        `json:"sign_in,omitempty"` // of a browser, made when somebody signed in

	Limits people.Limits `json:"limits,omitzero"` // what a submitter may start; zero for every other role
}

// Good reports whether the token opens anything at a time.
func (t *Token) Good(now time.Time) bool {
	return t.Revoked.IsZero() && (t.Expires.IsZero() || now.Before(t.Expires))
}

// stored is a token in the bucket.
type stored struct {
	Token
	Hash   string `json:"hash"`             // [wire.TokenHash] of the secret
	Public []byte `json:"public,omitempty"` // key that checks what is asked for over NATS; absent where an older program has made the token
}

// Tokens are those in the bucket.
type Tokens struct {
	bucket *bus.Bucket
	mu     sync.RWMutex
	known  map[string]stored
	news   chan struct{} // closed when something becomes known
	now    func() time.Time
	proofs once
}

const keyPrefix = "token."

// OpenTokens opens the bucket. Nothing is known of it before [Tokens.Watch] runs, but for what is listed.
func OpenTokens(ctx context.Context, b *bus.Bus) (*Tokens, error) {
	bucket, err := b.Bucket(ctx, b.Names().AccessBucket(), "Belay: who may do what; only hashes of tokens")
	if err != nil {
		return nil, err
	}
	return &Tokens{bucket: bucket, known: map[string]stored{}, news: make(chan struct{}), now: bucket.Now}, nil
}

// Now is the time by which tokens expire: the server's, so that every dispatcher agrees.
func (t *Tokens) Now() time.Time { return t.now() }

// Watch keeps what is known current until ctx ends. Ready is called once, when all tokens are known; an error means that
// this never came. When nothing more is heard later, trouble is told, and it listens anew.
func (t *Tokens) Watch(ctx context.Context, ready func(), trouble func(error)) error {
	heard := false
	for {
		err := t.listen(ctx, func() {
			if !heard {
				heard = true
				ready()
			}
		})
		switch {
		case err == nil: // ctx ended
			return nil
		case !heard:
			return err
		}
		trouble(err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
		}
	}
}

// listen hears of all tokens, and then of changes. What is not among all was deleted while nobody listened.
func (t *Tokens) listen(ctx context.Context, ready func()) error {
	there := map[string]bool{}
	on := func(it bus.Item) {
		if there != nil {
			there[it.Key] = true
		}
		t.learn(it)
	}
	return t.bucket.Watch(ctx, on, func() {
		t.mu.Lock()
		maps.DeleteFunc(t.known, func(id string, _ stored) bool { return !there[keyPrefix+id] })
		t.mu.Unlock()
		there = nil
		ready()
	})
}

func (t *Tokens) learn(it bus.Item) {
	id, ok := strings.CutPrefix(it.Key, keyPrefix)
	if !ok {
		return
	}
	var s stored
	t.mu.Lock()
	defer t.mu.Unlock()
	close(t.news)
	t.news = make(chan struct{})
	if it.Value == nil || exactjson.Unmarshal(it.Value, &s) != nil || s.ID != id {
		delete(t.known, id)
		return
	}
	t.known[id] = s
}

// Check finds out whose token it is; the actor's rights end with the token. The error is [ErrToken] whatever is wrong; why says it, for the log.
func (t *Tokens) Check(text string, now time.Time) (who people.Actor, why string, err error) {
	id, secret, ok := parse(text)
	if !ok {
		return who, "malformed", ErrToken
	}
	t.mu.RLock()
	s, known := t.known[id]
	t.mu.RUnlock()
	same := subtle.ConstantTimeCompare([]byte(s.Hash), []byte(wire.TokenHash(secret))) == 1
	if why, err := s.opens(known && same, now); err != nil {
		return who, why, err
	}
	return t.actor(s), "", nil
}

// opens returns [ErrToken] and why, if a token that was shown opens nothing; right says that it is this one.
func (s *stored) opens(right bool, now time.Time) (why string, err error) {
	switch {
	case !right:
		return "unknown or wrong", ErrToken
	case !s.Revoked.IsZero():
		return "revoked", ErrToken
	case !s.Good(now):
		return "expired", ErrToken
	}
	return "", nil
}

// actor is the owner of a token.
func (t *Tokens) actor(s stored) people.Actor {
	return people.Actor{Name: s.Owner, Role: s.Role, Limits: s.Limits, Token: s.ID, Valid: func() error { return t.valid(s.ID) }}
}

// valid says why a token opens nothing any more; nil while it does. What was asked for with it may go on for a while.
func (t *Tokens) valid(id string) error {
	t.mu.RLock()
	s, known := t.known[id]
	t.mu.RUnlock()
	if !known || !s.Good(t.now()) {
		return ErrToken
	}
	return nil
}

// Make makes a token. The text is all that anybody ever sees of its secret: it opens what the role may, for whom it was
// made, until it expires (zero = never) or is revoked.
func (t *Tokens) Make(ctx context.Context, m Token, now time.Time) (text string, made Token, err error) {
	if !m.Role.Known() {
		return "", m, fmt.Errorf("unknown role %q: use one of %s", m.Role, roles())
	}
	if err := m.Limits.Check(m.Role); err != nil {
		return "", m, err
	}
	if m.Owner == "" {
		m.Owner = m.Name
	}
	if strings.TrimSpace(m.Name) == "" || len(m.Name) > 200 || len(m.Owner) > 200 {
		return "", m, errors.New("a token needs a name, of 200 bytes at most")
	}
	var raw [40]byte
	rand.Read(raw[:]) // never fails
	m.ID, m.Made = hex.EncodeToString(raw[:8]), now.UTC().Truncate(time.Second)
	secret := base64.RawURLEncoding.EncodeToString(raw[8:])
	body, err := json.Marshal(stored{m, wire.TokenHash(secret), wire.TokenPublic(secret)})
	if err != nil {
		return "", m, fmt.Errorf("make a token: %w", err)
	}
	if _, err := t.bucket.Swap(ctx, keyPrefix+m.ID, body, 0); err != nil {
		return "", m, fmt.Errorf("make a token: %w", err)
	}
	return wire.Token(m.ID, secret), m, nil
}

// roles names those that there are.
func roles() string {
	var names []string
	for _, r := range people.Roles() {
		names = append(names, string(r))
	}
	return strings.Join(names, ", ")
}

// List are all tokens that were made by hand, the oldest first, also those that open nothing any more.
func (t *Tokens) List(ctx context.Context) ([]Token, error) {
	all, err := t.bucket.All(ctx)
	if err != nil {
		return nil, err
	}
	var list []Token
	for _, it := range all {
		var s stored
		if strings.HasPrefix(it.Key, keyPrefix) && exactjson.Unmarshal(it.Value, &s) == nil && !s.SignIn {
			list = append(list, s.Token)
		}
	}
	slices.SortFunc(list, func(a, b Token) int { return a.Made.Compare(b.Made) })
	return list, nil
}

// Ended are the tokens that were revoked and whose owners have no other one that opens anything: by id, what is to be said of that. It makes nothing.
func Ended(ctx context.Context, b *bus.Bus) (map[string]string, error) {
	bucket, err := b.BucketIfThere(ctx, b.Names().AccessBucket())
	if err != nil || bucket == nil {
		return nil, err
	}
	all, err := (&Tokens{bucket: bucket}).List(ctx)
	if err != nil {
		return nil, err
	}
	now, good, ended := b.Now(), map[string]bool{}, map[string]string{}
	for i := range all {
		good[all[i].Owner] = good[all[i].Owner] || all[i].Good(now)
	}
	for _, t := range all {
		if !t.Revoked.IsZero() && !good[t.Owner] {
			ended[t.ID] = "was revoked at " + t.Revoked.UTC().Format("2006-01-02 15:04 UTC") + ", and " + t.Owner + " has no other one"
		}
	}
	return ended, nil
}

// ErrNoToken says that there is no token with this id.
var ErrNoToken = errors.New("no such token")

// Revoke ends a token. It stays in the list.
func (t *Tokens) Revoke(ctx context.Context, id string, now time.Time) error {
	for {
		it, ok, err := t.bucket.Get(ctx, keyPrefix+id)
		if err != nil {
			return err
		}
		var s stored
		if !ok || exactjson.Unmarshal(it.Value, &s) != nil {
			return fmt.Errorf("%w: %q", ErrNoToken, id)
		}
		if s.Revoked.IsZero() { // else it is written again: that it can be read does not prove that it is stored
			s.Revoked = now.UTC().Truncate(time.Second)
		}
		body, err := json.Marshal(s)
		if err != nil {
			return fmt.Errorf("revoke token %s: %w", id, err)
		}
		if _, err = t.bucket.Swap(ctx, keyPrefix+id, body, it.Revision); !errors.Is(err, bus.ErrConflict) {
			return err
		}
	}
}

// SignIn makes the token of a browser whose person a provider vouches for, good for a while. It is listed nowhere.
func (t *Tokens) SignIn(ctx context.Context, who people.Actor, issuer string, keep time.Duration, now time.Time) (text string, err error) {
	t.tidy(ctx, now)
	text, made, err := t.Make(ctx, Token{Name: "sign-in", Owner: who.Name, Role: who.Role, By: issuer, Expires: now.Add(keep), SignIn: true}, now)
	if err == nil {
		err = t.await(ctx, made.ID)
	}
	return text, err
}

// await waits until a token that was just made is known here.
func (t *Tokens) await(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	for {
		t.mu.Lock()
		_, known := t.known[id]
		news := t.news
		t.mu.Unlock()
		if known {
			return nil
		}
		select {
		case <-news:
		case <-ctx.Done():
			return errors.New("the sign-in is not known yet; try again")
		}
	}
}

// tidy removes what is left of sign-ins that have run out.
func (t *Tokens) tidy(ctx context.Context, now time.Time) {
	t.mu.RLock()
	var old []string
	for id, s := range t.known {
		if s.SignIn && !s.Good(now) {
			old = append(old, id)
		}
	}
	t.mu.RUnlock()
	for _, id := range old {
		_ = t.bucket.Delete(ctx, keyPrefix+id) // it opens nothing in any case
	}
}

// SignOut ends the token of a browser that signed in through a provider. One that somebody typed in stays good.
func (t *Tokens) SignOut(ctx context.Context, text string, now time.Time) {
	id, _, ok := parse(text)
	if _, _, err := t.Check(text, now); !ok || err != nil {
		return
	}
	t.mu.RLock()
	s := t.known[id]
	t.mu.RUnlock()
	if s.SignIn {
		_ = t.bucket.Delete(ctx, keyPrefix+id) // it expires in any case
	}
}

// IsToken is [wire.IsToken].
func IsToken(text string) bool { return wire.IsToken(text) }

func parse(text string) (id, secret string, ok bool) { return wire.ParseToken(text) }
