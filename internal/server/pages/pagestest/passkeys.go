package pagestest

import (
	"context"
	"slices"
	"sync"
	"time"

	"belay/internal/passkey"
	"belay/internal/steps"
)

// Passkeys implements [pages.Passkeys] in memory. It is safe for concurrent use.
type Passkeys struct {
	mu   sync.Mutex
	list []passkey.Passkey
}

// List implements [pages.Passkeys].
func (p *Passkeys) List(context.Context) ([]passkey.Passkey, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.list), nil
}

// Of implements [pages.Passkeys].
func (p *Passkeys) Of(ctx context.Context, person, origin string) ([]passkey.Passkey, error) {
	all, err := p.List(ctx)
	return slices.DeleteFunc(all, func(k passkey.Passkey) bool {
		return !k.Removed.IsZero() || !steps.SamePerson(k.Person, person) || k.Origin != origin
	}), err
}

// Add implements [pages.Passkeys].
func (p *Passkeys) Add(_ context.Context, k passkey.Passkey) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.list = append(p.list, k)
	return nil
}

// Remove implements [pages.Passkeys].
func (p *Passkeys) Remove(_ context.Context, id, by string) (passkey.Passkey, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.list {
		if p.list[i].ID == id {
			p.list[i].Removed, p.list[i].RemovedBy = time.Now(), by
			return p.list[i], nil
		}
	}
	return passkey.Passkey{}, passkey.ErrNone
}
