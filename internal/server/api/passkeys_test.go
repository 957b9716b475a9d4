package api

import (
	"context"
	"testing"

	"belay/internal/passkey"
	"belay/internal/people"
)

// ring has a passkey of mia's, which she and ada see.
type ring struct{ k *passkey.Passkey }

func (r ring) Seen(_ context.Context, who people.Actor) ([]passkey.Passkey, error) {
	if who.Name != "mia" && who.Name != "ada" {
		return nil, nil
	}
	return []passkey.Passkey{*r.k}, nil
}

func (r ring) Remove(ctx context.Context, who people.Actor, id string) (passkey.Passkey, error) {
	if seen, _ := r.Seen(ctx, who); len(seen) == 0 || id != r.k.ID {
		return passkey.Passkey{}, passkey.ErrNone
	}
	r.k.RemovedBy = who.Name
	return *r.k, nil
}

// TestPasskeys are listed and removed by those who see them, and registered nowhere here.
func TestPasskeys(t *testing.T) {
	t.Parallel()
	o := open(t)
	const path = "/api/v1/passkeys"
	for who, n := range map[string]float64{"mia": 1, "ada": 1, "eve": 0} {
		if a := o.ask("GET", path, "", "X-Who", who); a.StatusCode != 200 || a.body["total"] != n || len(a.body["items"].([]any)) != int(n) {
			t.Errorf("%s: %d %s", who, a.StatusCode, a.text)
		}
	}
	o.refused(o.ask("GET", path, "", "X-Who", "shop"), 403, "forbidden")
	o.refused(o.ask("POST", path, "{}"), 404, "not_found")
	o.refused(o.ask("DELETE", path+"/ab12", "", "X-Who", "eve"), 404, "no_passkey")
	o.refused(o.ask("DELETE", path+"/ab13", ""), 404, "no_passkey")
	if a := o.ask("DELETE", path+"/ab12", ""); a.StatusCode != 200 || a.body["removed_by"] != "mia" {
		t.Errorf("%d %s", a.StatusCode, a.text)
	}
}
