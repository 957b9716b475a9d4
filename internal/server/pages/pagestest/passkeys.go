package pagestest

import (
	"context"
	"slices"
	"sync"
	"time"

	"belay/internal/passkey"
	"belay/internal/people"
	"belay/internal/steps"
)

// Passkeys implements [pages.Passkeys] in memory. It is safe for concurrent use.
type Passkeys struct {
	mu   sync.Mutex
	list []passkey.Passkey
}

// Seen implements [pages.Passkeys].
func (p *Passkeys) Seen(_ context.Context, who people.Actor) ([]passkey.Passkey, error) {
	return slices.DeleteFunc(p.all(), func(k passkey.Passkey) bool { return !sees(who, k) }), nil
}

func sees(who people.Actor, k passkey.Passkey) bool {
	return who.Role.Includes(people.Admin) || steps.SamePerson(k.Person, who.Name)
}

func (p *Passkeys) all() []passkey.Passkey {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.list)
}

// Of implements [pages.Passkeys].
func (p *Passkeys) Of(_ context.Context, person, origin string) ([]passkey.Passkey, error) {
	return slices.DeleteFunc(p.all(), func(k passkey.Passkey) bool {
		return !k.Removed.IsZero() || !steps.SamePerson(k.Person, person) || k.Origin != origin
	}), nil
}

// Add implements [pages.Passkeys].
func (p *Passkeys) Add(_ context.Context, k passkey.Passkey) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.list = append(p.list, k)
	return nil
}

// Remove implements [pages.Passkeys].
func (p *Passkeys) Remove(_ context.Context, who people.Actor, id string) (passkey.Passkey, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.list {
		if p.list[i].ID == id && sees(who, p.list[i]) {
			p.list[i].Removed, p.list[i].RemovedBy = time.Now(), who.Name
			return p.list[i], nil
		}
	}
	return passkey.Passkey{}, passkey.ErrNone
}
