package access_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"belay/internal/access"
	"belay/internal/access/accesstest"
	"belay/internal/bus"
	"belay/internal/bus/bustest"
	"belay/internal/people"
	"belay/internal/wire"
)

// shown is what somebody shows with a request who has a token or a code.
func shown(with, of string, at time.Time) wire.Shown {
	p := wire.Prove(with, of, at)
	return wire.Shown{Proof: &p, Of: of}
}

func TestATokenIsProven(t *testing.T) {
	t.Parallel()
	tokens := accesstest.Open(t, bustest.Connect(t))
	text, made, err := tokens.Make(t.Context(), access.Token{Name: "mia", Role: people.Approver, Expires: now.Add(time.Hour)}, now)
	if err != nil {
		t.Fatal(err)
	}
	accesstest.Eventually(t, "the token is known", func() bool { _, _, err := tokens.Check(text, now); return err == nil })
	check := func(what string, s wire.Shown, at time.Time, want error) {
		t.Helper()
		who, _, err := tokens.CheckShown(s, at)
		if !errors.Is(err, want) || (err == nil) != (who.Name == "mia") {
			t.Errorf("%s: %+v, %v", what, who, err)
		}
	}
	s := shown(text, "of", now)
	check("a proof", s, now, nil)
	check("the same again", s, now, access.ErrStale)
	check("and a minute later", s, now.Add(2*time.Minute), access.ErrStale)
	check("too late", shown(text, "of", now), now.Add(61*time.Second), access.ErrStale)
	check("ahead", shown(text, "of", now.Add(61*time.Second)), now, access.ErrStale)
	check("a clock that is a little wrong", shown(text, "of", now.Add(50*time.Second)), now, nil)
	other := shown(text, "of", now)
	other.Of = "another request"
	check("of another request", other, now, access.ErrToken)
	check("another secret", shown(wire.Token(made.ID, strings.Repeat("A", 43)), "of", now), now, access.ErrToken)
	check("nothing", wire.Shown{Of: "of"}, now, access.ErrToken)
	check("expired", shown(text, "of", now.Add(time.Hour)), now.Add(time.Hour), access.ErrToken)
	check("in clear, of an older program", wire.Shown{Token: text}, now, nil)

	it, _, err := tokens.Stored(t.Context(), made.ID)
	if err != nil {
		t.Fatal(err)
	}
	var kept struct{ Hash string }
	if err := json.Unmarshal(it.Value, &kept); err != nil {
		t.Fatal(err)
	}
	_, secret, _ := wire.ParseToken(text)
	if wire.TokenHash(secret) != kept.Hash {
		t.Fatal("the bucket has another hash")
	}
	reader := wire.Prove(text, "of", now) // whoever reads the bucket can make the MAC, and not the signature
	reader.Signature = make([]byte, 64)
	check("by who has read the bucket", wire.Shown{Proof: &reader, Of: "of"}, now, access.ErrToken)

	if err := tokens.Revoke(t.Context(), made.ID, now); err != nil {
		t.Fatal(err)
	}
	accesstest.Eventually(t, "it is revoked", func() bool { _, why, _ := tokens.Check(text, now); return why == "revoked" })
	check("revoked", shown(text, "of", now), now, access.ErrToken)
}

// TestATokenOfAnOlderProgram, of which no public key is kept, is proven with its hash.
func TestATokenOfAnOlderProgram(t *testing.T) {
	t.Parallel()
	b := bustest.Connect(t)
	tokens := accesstest.Open(t, b)
	secret := strings.Repeat("o", 43)
	text := wire.Token("00000000000000aa", secret)
	body, err := json.Marshal(map[string]any{"id": "00000000000000aa", "name": "old", "owner": "old", "role": "operator", "made": now, "hash": wire.TokenHash(secret)})
	if err != nil {
		t.Fatal(err)
	}
	bucket, err := b.Bucket(t.Context(), b.Names().AccessBucket(), "")
	if err != nil {
		t.Fatal(err)
	}
	if err := bucket.Put(t.Context(), "token.00000000000000aa", body, nil); err != nil {
		t.Fatal(err)
	}
	accesstest.Eventually(t, "it opens", func() bool { _, _, err := tokens.CheckShown(shown(text, "of", now), now); return err == nil })
	if _, _, err := tokens.CheckShown(shown(wire.Token("00000000000000aa", strings.Repeat("x", 43)), "of", now), now); !errors.Is(err, access.ErrToken) {
		t.Error(err)
	}
}

func TestACodeIsProven(t *testing.T) {
	t.Parallel()
	c := access.NewCode()
	s := shown(c.Text(), "of", now)
	if err := c.CheckShown(s, now); err != nil {
		t.Error(err)
	}
	if err := c.CheckShown(s, now); !errors.Is(err, access.ErrStale) {
		t.Errorf("again: %v", err)
	}
	if err := c.CheckShown(shown("x", "of", now), now); !errors.Is(err, access.ErrCode) {
		t.Errorf("another: %v", err)
	}
	if err := c.CheckShown(wire.Shown{Token: c.Text()}, now); err != nil {
		t.Errorf("in clear: %v", err)
	}
	if err := (*access.Code)(nil).CheckShown(s, now); err == nil {
		t.Error("no code opens")
	}
}

// TestNobodyHearsAToken: somebody hears every message of a server without permissions, sends what they heard again, and puts what
// they want in its place.
func TestNobodyHearsAToken(t *testing.T) {
	t.Parallel()
	b := bustest.Connect(t)
	tokens := accesstest.Open(t, b)
	text, _, err := tokens.Make(t.Context(), access.Token{Name: "mia", Role: people.Approver}, tokens.Now())
	if err != nil {
		t.Fatal(err)
	}
	accesstest.Eventually(t, "the token is known", func() bool { _, _, err := tokens.Check(text, tokens.Now()); return err == nil })
	var mu sync.Mutex
	var heard []*nats.Msg
	spy := b.JetStream().Conn()
	if _, err := spy.Subscribe("belay.people", func(m *nats.Msg) { mu.Lock(); heard = append(heard, m); mu.Unlock() }); err != nil {
		t.Fatal(err)
	}
	ready := make(chan struct{})
	go func() {
		_ = b.AnswerShown(t.Context(), "belay.people", func() { close(ready) }, func(_ context.Context, a bus.Asked) []byte {
			who, _, err := tokens.CheckShown(a.Shown, tokens.Now())
			if err != nil {
				return []byte(err.Error())
			}
			return []byte("done for " + who.Name)
		})
	}()
	<-ready
	if a, err := b.RequestAs(t.Context(), "belay.people", []byte("approve"), text); err != nil || string(a) != "done for mia" {
		t.Fatalf("%s, %v", a, err)
	}
	accesstest.Eventually(t, "it was heard", func() bool { mu.Lock(); defer mu.Unlock(); return len(heard) > 0 })
	mu.Lock()
	m := heard[0]
	mu.Unlock()
	_, secret, _ := wire.ParseToken(text)
	for key, values := range m.Header {
		if strings.Contains(strings.Join(values, " "), secret) {
			t.Errorf("%s has the secret: %s", key, values)
		}
	}
	for what, again := range map[string]*nats.Msg{
		"the same":        {Subject: "belay.people", Data: m.Data, Header: m.Header},
		"another request": {Subject: "belay.people", Data: []byte("approve all"), Header: m.Header},
		"without a proof": {Subject: "belay.people", Data: m.Data},
	} {
		a, err := spy.RequestMsg(again, 30*time.Second)
		if err != nil || strings.Contains(string(a.Data), "done") {
			t.Errorf("%s: %s, %v", what, a.Data, err)
		}
	}
}
