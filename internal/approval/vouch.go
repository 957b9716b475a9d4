package approval

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"time"

	"belay/internal/bus"
	"belay/internal/exactjson"
)

// Vouch says that a key belongs to the same installation as the key that has signed it: workers that trust the second trust
// the first too.
type Vouch struct {
	By        string `json:"by"`        // id of the key that signs
	Signature []byte `json:"signature"` // of what [PublicKey.statement] gives
}

// statement is what the key called by signs to vouch for k.
func (k PublicKey) statement(by string) []byte {
	b, err := json.Marshal(struct {
		Key []byte `json:"key"`
		By  string `json:"by"`
	}{k.Key, by})
	if err != nil {
		panic("approval: a key cannot be written: " + err.Error()) // bytes and strings always can
	}
	return append([]byte("belay key v1\n"), b...)
}

// vouch signs that k is of the same installation as a key.
func vouch(key ed25519.PrivateKey, k PublicKey) Vouch {
	by := publicOf(key).ID
	return Vouch{By: by, Signature: ed25519.Sign(key, k.statement(by))}
}

// vouchedBy reports whether a key has vouched for k.
func (k PublicKey) vouchedBy(other PublicKey) bool {
	return slices.ContainsFunc(k.Vouched, func(v Vouch) bool {
		return v.By == other.ID && other.signed(v.By, k.statement(v.By), v.Signature)
	})
}

// vouchBlock is the type of the blocks of the signing key's file that hold who vouched for it.
const vouchBlock = "BELAY VOUCH"

// vouchesIn reads who vouched for a key from what follows it in its file.
func vouchesIn(rest []byte) (all []Vouch) {
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return all
		}
		var v Vouch
		if block.Type == vouchBlock && json.Unmarshal(block.Bytes, &v) == nil {
			all = append(all, v)
		}
	}
}

// Vouch signs with the key of this folder that the published key with an id is of the same installation, and publishes that.
func (s *Signer) Vouch(ctx context.Context, p *Published, id string) error {
	key, err := s.current()
	if err != nil {
		return err
	}
	if _, ok, err := p.find(ctx, publicOf(key).ID); err != nil || !ok {
		return errors.Join(err, fmt.Errorf("the key of this state directory, %s, is revoked or not published, so it cannot vouch for another", publicOf(key).ID))
	}
	return p.change(ctx, id, func(k *PublicKey) error {
		if !k.Revoked.IsZero() {
			return fmt.Errorf("key %s is revoked", id)
		}
		k.Vouched = mergedVouches(k.Vouched, []Vouch{vouch(key, *k)})
		return nil
	})
}

// mergedVouches are both, one of each key.
func mergedVouches(have, more []Vouch) []Vouch {
	for _, v := range more {
		if !slices.ContainsFunc(have, func(h Vouch) bool { return h.By == v.By }) {
			have = append(have, v)
		}
	}
	return have
}

// change changes what the bucket has of a key. What is as it should be already is written again all the same: being readable
// does not prove that it is stored.
func (p *Published) change(ctx context.Context, id string, how func(*PublicKey) error) error {
	bucket, err := p.open(ctx)
	if err != nil {
		return err
	}
	for {
		it, ok, err := bucket.Get(ctx, id)
		var k PublicKey
		if err != nil || !ok || exactjson.Unmarshal(it.Value, &k) != nil || newPublic(k.Key).ID != id {
			return errors.Join(err, fmt.Errorf("there is no key %q: `dispatcher keys ls` lists them", id))
		}
		if err := how(&k); err != nil {
			return err
		}
		body, err := json.Marshal(k)
		if err != nil {
			return fmt.Errorf("write key %s: %w", id, err)
		}
		if _, err = bucket.Swap(ctx, id, body, it.Revision); !errors.Is(err, bus.ErrConflict) {
			return err
		}
	}
}

// Revoke revokes a key: approvals that it has signed count no more.
func (p *Published) Revoke(ctx context.Context, id string) error {
	return p.change(ctx, id, func(k *PublicKey) error {
		if k.Revoked.IsZero() {
			k.Revoked = p.now().UTC().Truncate(time.Second)
		}
		return nil
	})
}

// Publish puts a key into the bucket, or adds who vouched for it to what is there.
func (p *Published) Publish(ctx context.Context, k PublicKey) error {
	bucket, err := p.open(ctx)
	if err != nil {
		return err
	}
	for {
		it, ok, err := bucket.Get(ctx, k.ID)
		if err != nil {
			return err
		}
		now := k
		var there PublicKey
		if ok && exactjson.Unmarshal(it.Value, &there) == nil && newPublic(there.Key).ID == k.ID { // it may have been revoked
			now = there
			now.Vouched = mergedVouches(there.Vouched, k.Vouched)
		}
		body, err := json.Marshal(now)
		if err != nil {
			return fmt.Errorf("publish key %s: %w", k.ID, err)
		}
		if _, err = bucket.Swap(ctx, k.ID, body, it.Revision); !errors.Is(err, bus.ErrConflict) {
			return err
		}
	}
}
