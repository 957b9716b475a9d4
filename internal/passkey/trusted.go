package passkey

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"belay/internal/steps"
)

// Trusted are the passkeys that a worker trusts: those in its file, as long as the registry has them. It reads the file anew when it has
// changed. It is safe for concurrent use.
type Trusted struct {
	file     string
	registry *Registry

	mu   sync.Mutex
	list []Passkey
	at   time.Time // when the file was changed that was read
	size int64     // of it
}

// Trust reads a file of passkeys, as `dispatcher passkeys export` writes it.
func Trust(file string, r *Registry) (*Trusted, error) {
	t := &Trusted{file: file, registry: r}
	_, err := t.read()
	return t, err
}

// Mine are the passkeys of a worker in the same process as the dispatcher that keeps the file: one that does not exist yet is
// empty.
func Mine(file string, r *Registry) *Trusted { return &Trusted{file: file, registry: r} }

func (t *Trusted) read() ([]Passkey, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	info, err := os.Stat(t.file)
	if err != nil {
		return nil, fmt.Errorf("trusted passkeys: %w", err)
	}
	if info.ModTime().Equal(t.at) && info.Size() == t.size {
		return t.list, nil
	}
	list, err := ReadFile(t.file)
	if err == nil {
		t.list, t.at, t.size = list, info.ModTime(), info.Size()
	}
	return list, err
}

// Check returns an error if no passkey of the approver that is trusted, and registered still, has signed the challenge of a grant.
func (t *Trusted) Check(ctx context.Context, g steps.Grant, challenge []byte) error {
	list, err := t.read()
	if errors.Is(err, fs.ErrNotExist) {
		return errors.New("this worker trusts no passkey yet: nobody has registered one here")
	}
	if err != nil {
		return err
	}
	k, err := check(list, g, challenge, "in this worker's file "+t.file+": look at what `dispatcher passkeys export` writes, and add its line")
	if err != nil {
		return err
	}
	now, err := t.registry.Get(ctx, k.ID)
	if errors.Is(err, ErrNone) {
		return fmt.Errorf("passkey %s is registered no more", k.ID)
	}
	if err != nil {
		return err
	}
	return now.there()
}

// Keep adds a passkey to the file of workers in this process.
func Keep(file string, k Passkey) error {
	old, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		old, err = []byte("# The passkeys that were registered at this dispatcher. Workers in its process trust them.\n"), nil
	}
	if err != nil {
		return fmt.Errorf("trusted passkeys: %w", err)
	}
	tmp, err := os.CreateTemp(filepath.Dir(file), ".passkeys-*") // 0600
	if err != nil {
		return fmt.Errorf("trusted passkeys: %w", err)
	}
	defer func() { _ = os.Remove(tmp.Name()) }()
	_, err = tmp.Write(slices.Concat(old, []byte(k.String()+"\n")))
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), file)
	}
	if err != nil {
		return fmt.Errorf("trusted passkeys: %w", err)
	}
	return nil
}
