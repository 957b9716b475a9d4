package engine

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"

	"github.com/google/uuid"

	"belay/internal/audit"
	"belay/internal/passkey"
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
	if err := p.record(ctx, "passkey register", k.Person, k); err != nil {
		return err
	}
	if err := passkey.Keep(p.e.Desk.PasskeyFile, k); err != nil {
		return err
	}
	return p.Registry.Add(ctx, k)
}

// Remove removes a passkey.
func (p *Passkeys) Remove(ctx context.Context, id, by string) (passkey.Passkey, error) {
	k, err := p.Registry.Remove(ctx, id, by)
	if err != nil {
		return k, err
	}
	return k, p.record(ctx, "passkey remove", by, k)
}

func (p *Passkeys) record(ctx context.Context, action, who string, k passkey.Passkey) error {
	after, err := json.Marshal(map[string]string{"of": k.Person, "name": k.Name, "origin": k.Origin})
	if err != nil {
		return err
	}
	return audit.New(p.e.Bus).Append(ctx, audit.Record{ID: "act/" + uuid.NewString(), At: p.e.Bus.Now(), Who: who, Via: "console", Action: action, On: k.ID, After: after})
}
