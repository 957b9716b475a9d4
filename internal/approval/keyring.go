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
	"belay/internal/steps"
)

// PublicKey checks what one signing key has signed.
type PublicKey struct {
	ID   string            `json:"id"` // of the key: the same key has the same id everywhere
	Key  ed25519.PublicKey `json:"key"`
	Host string            `json:"host,omitempty"` // where it signs, for people
	Made time.Time         `json:"made,omitzero"`  // when it was published

	Revoked time.Time `json:"revoked,omitzero"` // what it has signed counts no more; kept, for what it signed of the past
}

// String is a line of a file of pinned keys.
func (k PublicKey) String() string {
	return "belay-" + k.ID + " " + base64.StdEncoding.EncodeToString(k.Key)
}

// check says why a grant is not signed by k.
func (k PublicKey) check(g steps.Grant) error {
	if newPublic(k.Key).ID != g.Key || len(k.Key) != ed25519.PublicKeySize || !ed25519.Verify(k.Key, g.Statement(), g.Signature) {
		return fmt.Errorf("its signature is not of key %.16s", g.Key)
	}
	return nil
}

// Keys are the public keys that are trusted.
type Keys interface {
	// Check is nil when a trusted key has signed g.
	Check(ctx context.Context, g steps.Grant) error
}

// errUnknownKey is of a grant that nobody who is trusted has signed.
var errUnknownKey = errors.New("no trusted key has signed it")

// Pinned trusts the keys in a file, and no other: a line for each, as `dispatcher keys export` writes them. Lines that
// begin with # say nothing.
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

// ReadPinned reads the keys of such a file.
func ReadPinned(path string) ([]PublicKey, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("trusted keys: %w", err)
	}
	defer func() { _ = f.Close() }()
	var keys []PublicKey
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
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
		return PublicKey{}, errors.New("a line is belay-<id>, a space and a public key, as `dispatcher keys export` writes it")
	}
	k := newPublic(raw)
	if name != "belay-"+k.ID {
		return k, fmt.Errorf("the key is belay-%s, not %.40s", k.ID, name)
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

// Published are the keys in a bucket: every dispatcher puts its own there. Each check asks the server, so that a key
// that was revoked is so at once.
type Published struct {
	open func(ctx context.Context) (*bus.Bucket, error)
}

// NewPublished makes the ring of the keys in b's bucket, which is opened when it is needed.
func NewPublished(b *bus.Bus) *Published {
	return &Published{open: func(ctx context.Context) (*bus.Bucket, error) {
		return b.Bucket(ctx, b.Names().KeysBucket(), "Belay: public keys that approvals are checked with")
	}}
}

// Check is nil when a key in the bucket has signed g.
func (p *Published) Check(ctx context.Context, g steps.Grant) error {
	bucket, err := p.open(ctx)
	if err != nil {
		return err
	}
	if g.Key == "" || strings.Trim(g.Key, "0123456789abcdef") != "" {
		return errUnknownKey
	}
	it, ok, err := bucket.Get(ctx, g.Key)
	if err != nil {
		return err
	}
	var k PublicKey
	if !ok || json.Unmarshal(it.Value, &k) != nil || !k.Revoked.IsZero() {
		return errUnknownKey
	}
	return k.check(g)
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
		return json.Unmarshal(it.Value, &there) == nil && newPublic(there.Key).ID == k.ID // it may have been revoked
	})
}

// PublishTo lets workers know the key that signs here.
func (s *Signer) PublishTo(ctx context.Context, p *Published) (PublicKey, error) {
	k, err := s.Public()
	if err != nil {
		return k, err
	}
	k.Made = time.Now().UTC().Truncate(time.Second)
	if k.Host, err = os.Hostname(); err != nil {
		k.Host = ""
	}
	return k, p.Publish(ctx, k)
}

// List are all keys in the bucket, in no order.
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
		if json.Unmarshal(it.Value, &k) == nil && newPublic(k.Key).ID == it.Key {
			keys = append(keys, k)
		}
	}
	return keys, nil
}

// Revoke ends a key: no approval that it has signed counts any more.
func (p *Published) Revoke(ctx context.Context, id string) error {
	bucket, err := p.open(ctx)
	if err != nil {
		return err
	}
	it, ok, err := bucket.Get(ctx, id)
	var k PublicKey
	if err != nil || !ok || json.Unmarshal(it.Value, &k) != nil {
		return errors.Join(err, fmt.Errorf("there is no key %q: `dispatcher keys ls` lists them", id))
	}
	if k.Revoked.IsZero() { // else it is written again: that it can be read does not prove that it is stored
		k.Revoked = time.Now().UTC().Truncate(time.Second)
	}
	body, err := json.Marshal(k)
	if err != nil {
		return fmt.Errorf("revoke key %s: %w", id, err)
	}
	_, err = bucket.Swap(ctx, id, body, it.Revision)
	return err
}
