package approval

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
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

	Revoked time.Time `json:"revoked,omitzero"` // when it was revoked: its signatures count no more. The key is kept to identify them
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

// Trusted returns the keys that a worker trusts: those in a file or, if file is empty, those that dispatchers publish.
func Trusted(b *bus.Bus, file string) (Keys, error) {
	if file != "" {
		return Pinned(file)
	}
	return NewPublished(b), nil
}

// Pinned trusts only the keys in a file: a line for each, as `dispatcher keys export` writes them. Lines that begin with #
// are comments.
func Pinned(path string) (Keys, error) {
	list, err := ReadPinned(path)
	if err != nil {
		return nil, err
	}
	keys := pinned{}
	for _, k := range list {
		keys[k.ID] = k
	}
	return keys, nil
}

// ReadPinned reads a file of pinned keys.
func ReadPinned(path string) ([]PublicKey, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("trusted keys: %w", err)
	}
	defer func() { _ = f.Close() }()
	var keys []PublicKey
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(strings.TrimPrefix(lines.Text(), "\ufeff"))
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		k, err := parsePublic(line)
		if err != nil {
			return nil, fmt.Errorf("trusted keys: %s:%d: %w", path, n, err)
		}
		keys = append(keys, k)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("trusted keys: %w", err)
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("trusted keys: %s has none: `dispatcher keys export` writes them", path)
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

type pinned map[string]PublicKey

func (p pinned) Check(_ context.Context, g steps.Grant) error {
	k, ok := p[g.Key]
	if !ok {
		return errUnknownKey
	}
	return k.check(g)
}

// Published are the keys in a bucket, where every dispatcher puts its own. Each check asks the server, so that revoking a
// key has effect at once.
type Published struct {
	now  func() time.Time // the server's time
	open func(ctx context.Context) (*bus.Bucket, error)
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
	if err != nil {
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

// Publish puts a key into the bucket, if it is not there yet.
func (p *Published) Publish(ctx context.Context, k PublicKey) error {
	bucket, err := p.open(ctx)
	if err != nil {
		return err
	}
	body, err := json.Marshal(k)
	if err != nil {
		return fmt.Errorf("publish key %s: %w", k.ID, err)
	}
	return bucket.Put(ctx, k.ID, body, func(it bus.Item) bool {
		var there PublicKey
		return exactjson.Unmarshal(it.Value, &there) == nil && newPublic(there.Key).ID == k.ID // it may have been revoked
	})
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
	if err != nil {
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

// Revoke revokes a key: approvals that it has signed count no more.
func (p *Published) Revoke(ctx context.Context, id string) error {
	bucket, err := p.open(ctx)
	if err != nil {
		return err
	}
	it, ok, err := bucket.Get(ctx, id)
	var k PublicKey
	if err != nil || !ok || exactjson.Unmarshal(it.Value, &k) != nil {
		return errors.Join(err, fmt.Errorf("there is no key %q: `dispatcher keys ls` lists them", id))
	}
	if k.Revoked.IsZero() { // if it is revoked already, it is still written again: being readable does not prove that it is stored
		k.Revoked = p.now().UTC().Truncate(time.Second)
	}
	body, err := json.Marshal(k)
	if err != nil {
		return fmt.Errorf("revoke key %s: %w", id, err)
	}
	_, err = bucket.Swap(ctx, id, body, it.Revision)
	return err
}
