package engine

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"belay/internal/audit"
	"belay/internal/passkey"
	"belay/internal/people"
	"belay/internal/steps"
)

// Passkeys are those that people register at this dispatcher. What they do is in the audit trail, and workers of this process
// trust what is registered here.
type Passkeys struct {
	*passkey.Registry
	e *Engine
}

// Passkeys are those that people register here; nil where another process has the desk.
func (e *Engine) Passkeys() *Passkeys {
	if e.Desk == nil {
		return nil
	}
	return &Passkeys{passkey.NewRegistry(e.Bus), e}
}

// Add registers a passkey. It counts once it is registered, which comes last: what fails before that has registered nothing.
func (p *Passkeys) Add(ctx context.Context, k passkey.Passkey) error {
	if _, err := p.Get(ctx, k.ID); !errors.Is(err, passkey.ErrNone) {
		return cmp.Or(err, passkey.ErrExists)
	}
	if err := p.record(ctx, "passkey register", k.Person, "console", k); err != nil {
		return err
	}
	if err := passkey.Keep(p.e.Desk.PasskeyFile, k); err != nil {
		return err
	}
	return p.Registry.Add(ctx, k)
}

// Seen are those that an actor sees and may remove: their own, and to an admin all, also those that were removed.
func (p *Passkeys) Seen(ctx context.Context, who people.Actor) ([]passkey.Passkey, error) {
	all, err := p.List(ctx)
	return slices.DeleteFunc(all, func(k passkey.Passkey) bool { return !sees(who, k) }), err
}

func sees(who people.Actor, k passkey.Passkey) bool {
	return who.Role.Includes(people.Admin) || steps.SamePerson(k.Person, who.Name)
}

// Remove removes a passkey that the actor sees; of any other it is a [passkey.ErrNone].
func (p *Passkeys) Remove(ctx context.Context, who people.Actor, id string) (passkey.Passkey, error) {
	if err := who.May(people.Look); err != nil {
		return passkey.Passkey{}, err
	}
	k, err := p.Get(ctx, id)
	if err == nil && !sees(who, k) {
		err = fmt.Errorf("%w: %.40q", passkey.ErrNone, id)
	}
	if err != nil {
		return passkey.Passkey{}, err
	}
	if k, err = p.Registry.Remove(ctx, id, who.Name); err != nil {
		return k, err
	}
	return k, p.record(ctx, "passkey remove", who.Name, who.Via, k)
}

func (p *Passkeys) record(ctx context.Context, action, who, via string, k passkey.Passkey) error {
	after, err := json.Marshal(map[string]string{"of": k.Person, "name": k.Name, "origin": k.Origin})
	if err != nil {
		return err
	}
	return audit.New(p.e.Bus).Append(ctx, audit.Record{ID: "act/" + uuid.NewString(), At: p.e.Bus.Now(), Who: who, Via: via, Action: action, On: k.ID, After: after})
}
