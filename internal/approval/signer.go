// Package approval signs people's approvals, and who submitted a run, and checks both.
//
// A [Signer] keeps one Ed25519 key in a file that only its dispatcher can read; the key is made at the first start. Its
// public half is published in a bucket of the same NATS server, where every worker finds it: see [Published]. A worker
// pins the first keys that it finds there in a file of its own, and from then on trusts others only if one of those has vouched
// for them, as a key does for the one that replaces it: see [Pins]. A worker that should trust nothing that crosses NATS gets
// the public keys themselves: see [Pinned]. A key's id is made from the key, so
// nobody can put another key under a known id.
package approval

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"belay/internal/steps"
)

// fileName is the signing key's file in its folder: PKCS #8, PEM.
const fileName = "approval.key"

// Signer signs grants. It is safe for concurrent use, and notices at once when another process has rotated the key.
type Signer struct {
	path string
	mu   sync.Mutex
	key  ed25519.PrivateKey
	by   []Vouch   // who vouched for the key
	read time.Time // modification time of the file when it was read
}

// Open reads the signing key in a folder. It makes the folder and the key if they do not exist.
func Open(dir string) (*Signer, error) {
	s := &Signer{path: filepath.Join(dir, fileName)}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("folder of the signing key: %w", err)
	}
	if _, err := os.Stat(s.path); errors.Is(err, fs.ErrNotExist) {
		if err := s.make(); err != nil {
			return nil, err
		}
	}
	if _, err := s.current(); err != nil {
		return nil, err
	}
	return s, nil
}

// Rotate replaces the key by a new one, for which the old one vouches. What the old one has signed stays valid until it expires
// or the old key is revoked.
func (s *Signer) Rotate() error {
	old, err := s.current()
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.write(old, func(temporary string) error { return os.Rename(temporary, s.path) }); err != nil {
		return err
	}
	s.read = time.Time{}
	return nil
}

// make stores the first key, unless another process has done so already.
func (s *Signer) make() error {
	err := s.write(nil, func(temporary string) error { return os.Link(temporary, s.path) })
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// write makes a key in a temporary file and moves that into place. The old key vouches for it, where there is one; that it does
// stands beside the new key, because nobody can say it again once the old one is gone.
func (s *Signer) write(old ed25519.PrivateKey, put func(temporary string) error) error {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return fmt.Errorf("make a signing key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("write the signing key: %w", err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	if old != nil {
		v, err := json.Marshal(vouch(old, publicOf(key)))
		if err != nil {
			return fmt.Errorf("write the signing key: %w", err)
		}
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: vouchBlock, Bytes: v})...)
	}
	f, err := os.CreateTemp(filepath.Dir(s.path), fileName+".*") // 0600
	if err != nil {
		return fmt.Errorf("write the signing key: %w", err)
	}
	defer func() { _ = os.Remove(f.Name()) }()
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = put(f.Name())
	}
	if err != nil {
		return fmt.Errorf("write the signing key: %w", err)
	}
	return nil
}

// current returns the key in the file.
func (s *Signer) current() (ed25519.PrivateKey, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	info, err := os.Stat(s.path)
	if err != nil {
		return nil, fmt.Errorf("read the signing key: %w", err)
	}
	if s.key != nil && info.ModTime().Equal(s.read) {
		return s.key, nil
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("the signing key %s can be read by others: chmod 600 it, and rotate it (dispatcher keys rotate)", s.path)
	}
	key, by, err := load(s.path)
	if err != nil {
		return nil, err
	}
	s.key, s.by, s.read = key, by, info.ModTime()
	return key, nil
}

func load(path string) (ed25519.PrivateKey, []Vouch, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, fmt.Errorf("read the signing key: %w", err)
	}
	block, rest := pem.Decode(data)
	if block == nil {
		return nil, nil, fmt.Errorf("the signing key %s is not a PEM file", path)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, nil, fmt.Errorf("the signing key %s: %w", path, err)
	}
	private, ok := key.(ed25519.PrivateKey)
	if !ok {
		return nil, nil, fmt.Errorf("the signing key %s is not an Ed25519 key", path)
	}
	return private, vouchesIn(rest), nil
}

// PinFile is where a worker of the same process keeps the keys that it trusts.
func (s *Signer) PinFile() string { return filepath.Join(filepath.Dir(s.path), "pinned.keys") }

// PasskeyFile is where the passkeys are that were registered in this process, and that a worker in it trusts.
func (s *Signer) PasskeyFile() string { return filepath.Join(filepath.Dir(s.path), "passkeys") }

// Key returns the signing key itself, for other signatures of this dispatcher.
func (s *Signer) Key() (ed25519.PrivateKey, error) { return s.current() }

// Public returns the public half of the current signing key, with who vouched for it.
func (s *Signer) Public() (PublicKey, error) {
	key, err := s.current()
	if err != nil {
		return PublicKey{}, err
	}
	k := publicOf(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.key.Equal(key) {
		k.Vouched = s.by
	}
	return k, nil
}

// Sign completes a grant with the time, the expiry, a nonce, the id of the key, and the signature.
func (s *Signer) Sign(g steps.Grant, now time.Time, validFor time.Duration) (steps.Grant, error) {
	key, err := s.current()
	if err != nil {
		return g, fmt.Errorf("sign the approval: %w", err)
	}
	var nonce [16]byte
	rand.Read(nonce[:]) // never fails
	g.Nonce, g.Key = hex.EncodeToString(nonce[:]), publicOf(key).ID
	g.Issued, g.Expires = now.UTC().Truncate(time.Millisecond), now.UTC().Add(validFor).Truncate(time.Millisecond)
	g.Signature = ed25519.Sign(key, g.Statement())
	return g, nil
}

// Prove signs that the token of whoever submits a run was shown. It brings e into the form in which it is to be stored.
func (s *Signer) Prove(run string, e *steps.Submitted, now time.Time) error {
	key, err := s.current()
	if err != nil {
		return fmt.Errorf("sign the submission: %w", err)
	}
	e.Prepare()
	of := e.Submission(run)
	of.Key, of.At = publicOf(key).ID, now.UTC().Truncate(time.Millisecond)
	e.Proof = &steps.Proof{Key: of.Key, At: of.At, Signature: ed25519.Sign(key, of.Statement())}
	return nil
}

func publicOf(key ed25519.PrivateKey) PublicKey { return newPublic(key.Public().(ed25519.PublicKey)) }

func newPublic(key ed25519.PublicKey) PublicKey {
	sum := sha256.Sum256(key)
	return PublicKey{ID: hex.EncodeToString(sum[:8]), Key: key}
}
