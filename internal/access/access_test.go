package access_test

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"belay/internal/access"
	"belay/internal/access/accesstest"
	"belay/internal/bus/bustest"
	"belay/internal/people"
)

var now = time.Date(2026, 1, 1, 3, 0, 0, 0, time.UTC)

func TestTokens(t *testing.T) {
	t.Parallel()
	b := bustest.Connect(t)
	office, door := accesstest.Open(t, b), accesstest.Open(t, b)
	text, made, err := office.Make(t.Context(), access.Token{Name: "mia's phone", Owner: "mia", Role: people.Approver, By: "root", Expires: now.Add(time.Hour)}, now)
	if err != nil || !strings.HasPrefix(text, "belay_"+made.ID+"_") {
		t.Fatalf("%q, %+v, %v", text, made, err)
	}
	accesstest.Eventually(t, "the token opens", func() bool {
		who, _, err := door.Check(text, now)
		return err == nil && who.Name == "mia" && who.Role == people.Approver
	})
	if _, why, err := door.Check(text, now.Add(2*time.Hour)); !errors.Is(err, access.ErrToken) || why != "expired" {
		t.Errorf("%s, %v", why, err)
	}
	for _, forged := range []string{
		"", "belay_", text[:len(text)-1], text + "x", text[:len(text)-1] + "!", strings.ToUpper(text), "Belay" + text[5:],
		"belay_" + strings.Repeat("0", 16) + text[22:], "belay_" + made.ID + "_" + strings.Repeat("A", 43), strings.Replace(text, "_", ".", 2),
	} {
		if who, _, err := door.Check(forged, now); err == nil {
			t.Errorf("%q opens as %+v", forged, who)
		}
	}
	it, ok, err := office.Stored(t.Context(), made.ID)
	if err != nil || !ok || strings.Contains(string(it.Value), text[23:]) {
		t.Errorf("the secret is stored: %s", it.Value)
	}
	if list, err := office.List(t.Context()); err != nil || len(list) != 1 || list[0].Owner != "mia" {
		t.Errorf("%+v, %v", list, err)
	}
	for range 2 {
		if err := office.Revoke(t.Context(), made.ID, now); err != nil {
			t.Fatal(err)
		}
	}
	accesstest.Eventually(t, "it is revoked everywhere", func() bool { _, why, _ := door.Check(text, now); return why == "revoked" })
	if err := office.Revoke(t.Context(), "0000000000000000", now); !errors.Is(err, access.ErrNoToken) {
		t.Error(err)
	}
	if list, _ := office.List(t.Context()); len(list) != 1 || list[0].Revoked.IsZero() {
		t.Errorf("%+v", list)
	}
}

// TestRightsEndWithTheirToken: also those of something that was begun with it and goes on.
func TestRightsEndWithTheirToken(t *testing.T) {
	t.Parallel()
	tokens := accesstest.Open(t, bustest.Connect(t))
	text, made, err := tokens.Make(t.Context(), access.Token{Name: "bo", Role: people.Operator, Expires: now.Add(time.Hour)}, now)
	if err != nil {
		t.Fatal(err)
	}
	var who people.Actor
	accesstest.Eventually(t, "the token opens", func() bool {
		who, _, err = tokens.Check(text, now)
		return err == nil
	})
	at := now
	tokens.SetNow(func() time.Time { return at })
	may := who.May
	if err := may("retry"); err != nil {
		t.Error(err)
	}
	if err := may("approve"); err == nil || errors.Is(err, access.ErrToken) {
		t.Errorf("an operator approves: %v", err)
	}
	if at = now.Add(2 * time.Hour); !errors.Is(may("retry"), access.ErrToken) {
		t.Error("it lasts longer than its token")
	}
	at = now
	if err := tokens.Revoke(t.Context(), made.ID, now); err != nil {
		t.Fatal(err)
	}
	accesstest.Eventually(t, "its rights end", func() bool { return errors.Is(may("retry"), access.ErrToken) })
}

// TestWhatWasDeletedWhileNobodyListened opens nothing once somebody listens again.
func TestWhatWasDeletedWhileNobodyListened(t *testing.T) {
	t.Parallel()
	tokens, err := access.OpenTokens(t.Context(), bustest.Connect(t))
	if err != nil {
		t.Fatal(err)
	}
	text, made, err := tokens.Make(t.Context(), access.Token{Name: "bo", Role: people.Operator}, now)
	if err != nil {
		t.Fatal(err)
	}
	listen := func() {
		ctx, stop := context.WithCancel(t.Context())
		if err := tokens.Listen(ctx, stop); err != nil {
			t.Fatal(err)
		}
	}
	listen()
	if _, why, err := tokens.Check(text, now); err != nil {
		t.Fatal(why)
	}
	if err := tokens.Delete(t.Context(), made.ID); err != nil {
		t.Fatal(err)
	}
	listen()
	if _, _, err := tokens.Check(text, now); err == nil {
		t.Error("it still opens")
	}
}

func TestWrongTokensAreNotMade(t *testing.T) {
	t.Parallel()
	tokens := accesstest.Open(t, bustest.Connect(t))
	plans, tools := people.Limits{Plans: []string{"a"}}, people.Limits{Tools: []string{"a"}}
	for says, m := range map[string]access.Token{
		"use one of submitter, viewer, operator, approver, admin": {Name: "x", Role: "root"},
		`unknown role ""`:               {Name: "x"},
		"needs a name":                  {Name: " ", Role: people.Viewer},
		"of 200 bytes at most":          {Name: strings.Repeat("x", 201), Role: people.Viewer},
		"could start nothing":           {Name: "x", Role: people.Submitter},
		"limits are for the role":       {Name: "x", Role: people.Operator, Limits: plans},
		"unsafe alone could start":      {Name: "x", Role: people.Submitter, Limits: people.Limits{Unsafe: true}},
		"whole plans need tools":        {Name: "x", Role: people.Submitter, Limits: people.Limits{Plans: plans.Plans, WholePlans: true}},
		`"[" is not a pattern of names`: {Name: "x", Role: people.Submitter, Limits: people.Limits{Tools: []string{"["}}},
		`"" is not a pattern of names`:  {Name: "x", Role: people.Submitter, Limits: people.Limits{Plans: []string{""}}},
		"for the role submitter; admin": {Name: "x", Role: people.Admin, Limits: tools},
	} {
		text, _, err := tokens.Make(t.Context(), m, now)
		if err == nil || !strings.Contains(err.Error(), strings.TrimPrefix(says, "unsafe alone ")) {
			t.Errorf("%+v is made: %s, %v; want %s", m, text, err, says)
		}
	}
	if _, m, err := tokens.Make(t.Context(), access.Token{Name: "ci", Role: people.Viewer}, now); err != nil || m.Owner != "ci" {
		t.Errorf("%+v, %v", m, err)
	}
}

// TestASubmittersLimitsComeWithItsToken: whoever shows it is known with them.
func TestASubmittersLimitsComeWithItsToken(t *testing.T) {
	t.Parallel()
	tokens := accesstest.Open(t, bustest.Connect(t))
	limits := people.Limits{Plans: []string{"refund", "mail-*"}, Tools: []string{"orders.*"}, WholePlans: true}
	text, _, err := tokens.Make(t.Context(), access.Token{Name: "shop", Role: people.Submitter, Limits: limits}, now)
	if err != nil {
		t.Fatal(err)
	}
	var who people.Actor
	accesstest.Eventually(t, "the token opens", func() bool { who, _, err = tokens.Check(text, now); return err == nil })
	tokens.SetNow(func() time.Time { return now })
	if who.Role != people.Submitter || !reflect.DeepEqual(who.Limits, limits) || who.May(people.Submit) != nil || who.MayStart("mail-1", "") != nil {
		t.Errorf("%+v", who)
	}
	if who.MayStart("mai", "") == nil || who.MayStart("", "order.pay") == nil || who.MayUseUnsafe("orders.pay") == nil || who.May(people.Look) == nil {
		t.Error("it may more than its limits say")
	}
	if list, err := tokens.List(t.Context()); err != nil || len(list) != 1 || !reflect.DeepEqual(list[0].Limits, limits) {
		t.Errorf("%+v, %v", list, err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("belay_0123456789abcdef_0123456789012345678901234567890123456789012")
	f.Fuzz(func(t *testing.T, text string) {
		if id, secret, ok := access.Parse(text); ok && "belay_"+id+"_"+secret != text {
			t.Errorf("%q is %q and %q", text, id, secret)
		}
	})
}
