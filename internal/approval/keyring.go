package approval

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"belay/internal/bus"
	"belay/internal/exactjson"
	"belay/internal/steps"
)

// PublicKey is the public half of a signing key.
type PublicKey struct {
	ID   string            `json:"id"`             // made from the key, so that it is the same everywhere
	Key  ed25519.PublicKey `json:"key"`            // the 32 bytes of the key
	Host string            `json:"host,omitempty"` // the host of the signer, for people
	Made time.Time         `json:"made,omitzero"`  // when it was published

	Vouched []Vouch   `json:"vouched,omitempty"` // by which keys of the same installation; workers that trust one of them trust k
	Revoked time.Time `json:"revoked,omitzero"`  // when it was revoked: its signatures count no more. The key is kept to identify them
}

// String returns k as a line of a file of pinned keys.
func (k PublicKey) String() string {
	return "belay-" + k.ID + " " + base64.StdEncoding.EncodeToString(k.Key)
}

// check returns an error if k has not signed g.
func (k PublicKey) check(g steps.Grant) error {
	if !k.signed(g.Key, g.Statement(), g.Signature) {
		return fmt.Errorf("its signature was not made with key %.16s", g.Key)
	}
	return nil
}

// signed reports whether k, under this id, has signed a statement.
func (k PublicKey) signed(id string, statement, signature []byte) bool {
	return newPublic(k.Key).ID == id && len(k.Key) == ed25519.PublicKeySize && ed25519.Verify(k.Key, statement, signature)
}

// Keys are the public keys that are trusted.
type Keys interface {
	// Check returns nil if a trusted key has signed g.
	Check(ctx context.Context, g steps.Grant) error
}

// errUnknownKey says that the key of a grant is not among the trusted ones.
var errUnknownKey = errors.New("no trusted key has signed it")

// Pinned trusts only the keys that are given: those in a file with a line for each, as `dispatcher keys export` writes them,
// or such lines themselves. Lines that begin with # are comments.
func Pinned(fileOrKeys string) (Given, error) {
	list, err := ReadPinned(fileOrKeys)
	if err != nil {
		return nil, err
	}
	keys := Given{}
	for _, k := range list {
		keys[k.ID] = k
	}
	return keys, nil
}

// ReadPinned reads a file of pinned keys, or the keys themselves.
func ReadPinned(fileOrKeys string) ([]PublicKey, error) {
	text, from := []byte(fileOrKeys), "the keys given"
	if !strings.HasPrefix(fileOrKeys, "belay-") || !strings.Contains(fileOrKeys, " ") {
		var err error
		if text, err = os.ReadFile(fileOrKeys); err != nil {
			return nil, fmt.Errorf("trusted keys: %w", err)
		}
		from = fileOrKeys
	}
	keys, err := parseKeys(from, text)
	if err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("trusted keys: %s has none: `dispatcher keys export` writes them", from)
	}
	return keys, nil
}

// parseKeys reads lines of keys; from says where they are from.
func parseKeys(from string, text []byte) (keys []PublicKey, err error) {
	for n, line := range strings.Split(string(text), "\n") {
		line = strings.TrimSpace(strings.TrimPrefix(line, "\ufeff"))
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		k, err := parsePublic(line)
		if err != nil {
			return nil, fmt.Errorf("trusted keys: %s:%d: %w", from, n+1, err)
		}
		keys = append(keys, k)
	}
	return keys, nil
}

func parsePublic(line string) (PublicKey, error) {
	name, text, _ := strings.Cut(line, " ")
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	if err != nil || len(raw) != ed25519.PublicKeySize {
		return PublicKey{}, errors.New("a line must be belay-<id>, a space and a public key, as `dispatcher keys export` writes it")
	}
	k := newPublic(raw)
	if name != "belay-"+k.ID {
		return k, fmt.Errorf("the key is belay-%s, not %.40q", k.ID, name)
	}
	return k, nil
}

// Given are keys that were given, by their ids: no others are trusted.
type Given map[string]PublicKey

// Keys are the public keys themselves, whatever else they may have signed.
func (p Given) Keys() (keys []ed25519.PublicKey) {
	for _, k := range p {
		keys = append(keys, k.Key)
	}
	return keys
}

// Check trusts what one of them has signed.
func (p Given) Check(_ context.Context, g steps.Grant) error {
	k, ok := p[g.Key]
	if !ok {
		return errUnknownKey
	}
	return k.check(g)
}

// Published are the keys in a bucket, where every dispatcher puts its own. Each check asks the server, so that revoking a
// key has effect at once.
type Published struct {
	now  func() time.Time                               // the server's time
	open func(ctx context.Context) (*bus.Bucket, error) // nil where there is none
}

// NewPublished returns the keys in b's bucket, which is opened when it is needed.
func NewPublished(b *bus.Bus) *Published {
	return &Published{now: b.Now, open: func(ctx context.Context) (*bus.Bucket, error) {
		return b.Bucket(ctx, b.Names().KeysBucket(), "Belay: public keys that approvals are checked with")
	}}
}

// Check returns nil if a key in the bucket has signed g and is not revoked.
func (p *Published) Check(ctx context.Context, g steps.Grant) error {
	k, ok, err := p.find(ctx, g.Key)
	if err != nil {
		return err
	}
	if !ok {
		return errUnknownKey
	}
	return k.check(g)
}

// Genuine reports whether a key in the bucket that is not revoked has signed who submitted a run. An error means that this
// cannot be told now.
func (p *Published) Genuine(ctx context.Context, of steps.Submission, proof steps.Proof) (bool, error) {
	k, ok, err := p.find(ctx, proof.Key)
	if err != nil {
		return false, fmt.Errorf("check who submitted run %s: %w", of.Run, err)
	}
	return ok && k.signed(of.Key, of.Statement(), proof.Signature), nil
}

// find returns a key in the bucket; ok is false when it is not there or is revoked.
func (p *Published) find(ctx context.Context, id string) (k PublicKey, ok bool, err error) {
	bucket, err := p.open(ctx)
	if err != nil || bucket == nil {
		return k, false, err
	}
	if id == "" || strings.Trim(id, "0123456789abcdef") != "" {
		return k, false, nil
	}
	it, ok, err := bucket.Get(ctx, id)
	if err != nil {
		return k, false, err
	}
	return k, ok && exactjson.Unmarshal(it.Value, &k) == nil && k.Revoked.IsZero(), nil
}

// PublishTo publishes the public half of the signing key for workers.
func (s *Signer) PublishTo(ctx context.Context, p *Published) (PublicKey, error) {
	k, err := s.Public()
	if err != nil {
		return k, err
	}
	k.Made = p.now().UTC().Truncate(time.Second)
	if k.Host, err = os.Hostname(); err != nil {
		k.Host = ""
	}
	return k, p.Publish(ctx, k)
}

// List returns all keys in the bucket, in no particular order.
func (p *Published) List(ctx context.Context) ([]PublicKey, error) {
	bucket, err := p.open(ctx)
	if err != nil || bucket == nil {
		return nil, err
	}
	all, err := bucket.All(ctx)
	if err != nil {
		return nil, err
	}
	keys := make([]PublicKey, 0, len(all))
	for _, it := range all {
		var k PublicKey
		if exactjson.Unmarshal(it.Value, &k) == nil && newPublic(k.Key).ID == it.Key {
			keys = append(keys, k)
		}
	}
	return keys, nil
}
