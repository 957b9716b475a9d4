package api

import (
	"context"
	"net/http"

	"belay/internal/passkey"
	"belay/internal/people"
)

// Passkeys are those that people have registered, in the console alone. The error is [passkey.ErrNone].
type Passkeys interface {
	// Seen are those that somebody sees and may remove: their own, and to an admin all.
	Seen(ctx context.Context, who people.Actor) ([]passkey.Passkey, error)
	// Remove removes one of those that somebody sees.
	Remove(ctx context.Context, who people.Actor, id string) (passkey.Passkey, error)
}

func (a *api) passkeys(w http.ResponseWriter, r *http.Request) {
	all := list[passkey.Passkey]{Items: []passkey.Passkey{}}
	if a.Passkeys != nil {
		seen, err := a.Passkeys.Seen(r.Context(), a.Who(r))
		if err != nil {
			refuse(w, err)
			return
		}
		all.Items = append(all.Items, seen...)
	}
	all.Total = len(all.Items)
	answer(w, all)
}

func (a *api) removePasskey(w http.ResponseWriter, r *http.Request) {
	var none struct{}
	err := decode(w, r, &none)
	if err == nil && a.Passkeys == nil {
		err = passkey.ErrNone
	}
	var k passkey.Passkey
	if err == nil {
		k, err = a.Passkeys.Remove(r.Context(), a.Who(r), r.PathValue("id"))
	}
	if err != nil {
		refuse(w, err)
		return
	}
	answer(w, k)
}
