package engine

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"belay/internal/audit"
	"belay/internal/handoff"
	"belay/internal/passkey"
	"belay/internal/passkey/passkeytest"
	"belay/internal/people"
	"belay/internal/steps"
)

const (
	passkeyTools = `tools:
  pay:
    effects: unsafe
    approval: {proof: passkey}
    rungs: [{http: {method: POST, url: "%[1]s/pay"}}]
`
	passkeyConsole = "https://belay.example.com"
)

// vault is a bank whose tool asks for a passkey, and mia, who has one that its worker trusts.
type vault struct {
	*bank
	registry *passkey.Registry
	phone    *passkeytest.Device
	id       string // of mia's passkey
}

func openVault(t *testing.T) *vault {
	t.Helper()
	v := &vault{phone: passkeytest.New(t, passkeyConsole)}
	k := v.phone.Passkey(t, "mia")
	file := filepath.Join(t.TempDir(), "passkeys")
	if err := passkey.Keep(file, k); err != nil {
		t.Fatal(err)
	}
	v.bank = startBankOf(t, passkeyTools, file)
	v.registry, v.id = passkey.NewRegistry(v.Bus), k.ID
	if err := v.registry.Add(t.Context(), k); err != nil {
		t.Fatal(err)
	}
	return v
}

// grant is mia's approval of the last question of a run, not signed yet, and what her passkey is to sign for it.
func (v *vault) grant(t *testing.T, run string) (steps.Grant, []byte) {
	t.Helper()
	s, err := v.Runs.Load(t.Context(), run)
	if err != nil {
		t.Fatal(err)
	}
	n := len(s.Escalations) - 1
	g, ok, err := steps.GrantFor(s, n, steps.Decided{Escalation: s.Escalations[n].ID, Verb: steps.VerbApprove, By: "mia"})
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	return g, g.Challenge(s.Submitted)
}

// shown approves through the desk, with what a device has signed.
func (v *vault) shown(t *testing.T, id string, a *steps.Assertion) error {
	t.Helper()
	return v.act(t, "mia", id, people.Act{Verb: people.Approve, Passkey: a})
}

// TestAPasskeyIsAskedFor: the desk takes no approval without it, and says where there is one; an edit is asked about anew.
func TestAPasskeyIsAskedFor(t *testing.T) {
	t.Parallel()
	v := openVault(t)
	v.Desk.ReachedAt("http://127.0.0.1:8222")
	v.run(t, "r", heldPlan)
	err := v.shown(t, "r-1", nil)
	if !errors.Is(err, handoff.ErrPasskey) || !errors.Is(err, handoff.ErrNotAllowed) || !strings.HasSuffix(err.Error(), "that takes a browser: approve it at http://localhost:8222/e/r-1") {
		t.Fatal(err)
	}
	_, before := v.grant(t, "r")
	if err := v.shown(t, "r-1", v.phone.Assert(t, []byte("x"))); !errors.Is(err, handoff.ErrPasskey) || !strings.Contains(err.Error(), "something else than this was signed") {
		t.Fatal(err)
	}
	if err := v.act(t, "mia", "r-1", people.Act{Verb: people.Approve, Many: true, Passkey: v.phone.Assert(t, before)}); !errors.Is(err, handoff.ErrNotAllowed) {
		t.Fatal(err)
	}
	if err := v.act(t, "mia", "r-1", people.Act{Verb: people.Edit, Params: json.RawMessage(`{"amount":7}`)}); err != nil {
		t.Fatal(err)
	}
	v.rest(t, "r")
	if err := v.shown(t, "r-2", v.phone.Assert(t, before)); !errors.Is(err, handoff.ErrPasskey) {
		t.Fatal(err)
	}
	card, err := v.Desk.Question(t.Context(), "r-2")
	if err != nil || card.Dossier.Approval.Proof != steps.ProofPasskey {
		t.Fatal(err, card.Dossier.Approval)
	}
	after := v.Desk.Challenge(people.Trusted("mia", "test"), &card)
	if v.paid.Load() != 0 {
		t.Fatal("it was paid before anybody approved it")
	}
	if err := v.shown(t, "r-2", v.phone.Assert(t, after)); err != nil {
		t.Fatal(err)
	}
	if s := v.rest(t, "r"); s.Status() != steps.RunSucceeded || v.paid.Load() != 1 {
		t.Fatalf("%s, paid %d times", s.Status(), v.paid.Load())
	}
}

// TestADispatcherAloneApprovesNothing: whoever has the dispatcher's signing key, and may write everything on NATS, makes approvals
// that the dispatcher and the run believe. The worker refuses every one that no passkey has signed that it trusts.
func TestADispatcherAloneApprovesNothing(t *testing.T) {
	t.Parallel()
	v := openVault(t)
	v.run(t, "other", heldPlan)
	_, other := v.grant(t, "other")
	for name, c := range map[string]struct {
		lie  func(t *testing.T, g *steps.Grant, challenge []byte)
		says string
	}{
		"another run's":    {func(t *testing.T, g *steps.Grant, _ []byte) { g.Passkey = v.phone.Assert(t, other) }, "something else than this was signed"},
		"made up":          {func(_ *testing.T, g *steps.Grant, _ []byte) { g.Passkey = &steps.Assertion{Credential: "AAAA"} }, "none of the passkeys that are in this worker's file"},
		"nobody checked":   {v.device(func(d *passkeytest.Device) { d.Flags = passkeytest.Touched }), "has not checked who holds it"},
		"a page of others": {v.device(func(d *passkeytest.Device) { d.Origin = "https://evil.example.com" }), "on the pages of"},
		"a host of others": {v.device(func(d *passkeytest.Device) { d.Host = "evil.example.com" }), "another host"},
		"put into the bucket": {func(t *testing.T, g *steps.Grant, challenge []byte) {
			evil := passkeytest.New(t, passkeyConsole)
			if err := v.registry.Add(t.Context(), evil.Passkey(t, "mia")); err != nil {
				t.Error(err)
			}
			g.Passkey = evil.Assert(t, challenge)
		}, "none of the passkeys that are in this worker's file"},
	} {
		run := strings.ReplaceAll(name, " ", "-")
		run = strings.ReplaceAll(run, "'", "")
		v.run(t, run, heldPlan)
		v.lie(t, run, c.lie)
		v.refuses(t, name, run, c.says)
	}
	v.run(t, "removed", heldPlan)
	if _, err := v.registry.Remove(t.Context(), v.id, "mia"); err != nil {
		t.Fatal(err)
	}
	v.lie(t, "removed", func(t *testing.T, g *steps.Grant, challenge []byte) { g.Passkey = v.phone.Assert(t, challenge) })
	v.refuses(t, "removed meanwhile", "removed", "was removed at")
	if n := v.paid.Load(); n != 0 {
		t.Errorf("%d payments that no passkey approved", n)
	}
}

// device has mia's own device sign in another way.
func (v *vault) device(change func(*passkeytest.Device)) func(*testing.T, *steps.Grant, []byte) {
	return func(t *testing.T, g *steps.Grant, challenge []byte) {
		d := *v.phone
		change(&d)
		g.Passkey = d.Assert(t, challenge)
	}
}

// lie appends an approval of a run's last question as the dispatcher would, without its checks.
func (v *vault) lie(t *testing.T, run string, how func(*testing.T, *steps.Grant, []byte)) {
	t.Helper()
	g, challenge := v.grant(t, run)
	how(t, &g, challenge)
	g, err := v.signer.Sign(g, v.Bus.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Runs.AppendSurely(t.Context(), run, steps.Decided{Escalation: g.Escalation, Verb: steps.VerbApprove, By: "mia", Grant: &g}); err != nil {
		t.Fatal(err)
	}
}

// refuses waits until the worker has refused the call of a run, and looks why.
func (v *vault) refuses(t *testing.T, name, run, says string) {
	t.Helper()
	s := v.until(t, run, "refused", func(s *steps.State) bool { return len(s.Escalations) > 1 })
	if f := s.Escalations[1].Fault; f.Class != steps.PolicyDenied || !strings.Contains(f.Message, says) {
		t.Errorf("%s: %s %s", name, f.Class, f.Message)
	}
}

// TestAPasskeyRegisteredHere: a worker in the dispatcher's own process trusts the passkeys that are registered at it, once there are any.
func TestAPasskeyRegisteredHere(t *testing.T) {
	t.Parallel()
	b := startBankOf(t, passkeyTools, "")
	v := &vault{bank: b, registry: passkey.NewRegistry(b.Bus), phone: passkeytest.New(t, passkeyConsole)}
	k := v.phone.Passkey(t, "mia")
	v.run(t, "r", heldPlan)
	if err := v.registry.Add(t.Context(), k); err != nil {
		t.Fatal(err)
	}
	_, challenge := v.grant(t, "r")
	if err := v.shown(t, "r-1", v.phone.Assert(t, challenge)); err != nil {
		t.Fatal(err)
	}
	v.refuses(t, "in the bucket alone", "r", "nobody has registered one here")
	if err := passkey.Keep(v.Desk.PasskeyFile, k); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(v.Desk.PasskeyFile); err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info, err)
	}
	v.run(t, "q", heldPlan)
	_, challenge = v.grant(t, "q")
	if err := v.shown(t, "q-1", v.phone.Assert(t, challenge)); err != nil {
		t.Fatal(err)
	}
	if s := v.rest(t, "q"); s.Status() != steps.RunSucceeded || v.paid.Load() != 1 {
		t.Fatalf("%s, paid %d times", s.Status(), v.paid.Load())
	}
}

// TestWhoRegistersAPasskeyIsKnown: the trail has it before the passkey counts; what cannot be kept for workers of this process is not registered,
// and what is registered already is not once more.
func TestWhoRegistersAPasskeyIsKnown(t *testing.T) {
	t.Parallel()
	v := openVault(t)
	keys := v.Engine.Passkeys()
	k := passkeytest.New(t, passkeyConsole).Passkey(t, "bo")
	file := v.Desk.PasskeyFile
	v.Desk.PasskeyFile = filepath.Join(file, "not a folder", "passkeys")
	if err := keys.Add(t.Context(), k); err == nil {
		t.Fatal("a file that cannot be written is no error")
	}
	if _, err := keys.Get(t.Context(), k.ID); !errors.Is(err, passkey.ErrNone) {
		t.Errorf("it is registered although it could not be kept: %v", err)
	}
	v.Desk.PasskeyFile = file
	if err := keys.Add(t.Context(), k); err != nil {
		t.Fatal(err)
	}
	if err := keys.Add(t.Context(), k); !errors.Is(err, passkey.ErrExists) {
		t.Errorf("twice: %v", err)
	}
	for name, theirs := range map[string]int{"eve": 0, "bo": 1} {
		if list, err := keys.Seen(t.Context(), people.Actor{Name: name, Role: people.Viewer}); err != nil || len(list) != theirs {
			t.Errorf("%s sees %v, %v", name, list, err)
		}
	}
	if _, err := keys.Remove(t.Context(), people.Actor{Name: "eve", Role: people.Approver}, k.ID); !errors.Is(err, passkey.ErrNone) {
		t.Errorf("somebody else's: %v", err)
	}
	if _, err := keys.Remove(t.Context(), people.Trusted("ann", "api"), k.ID); err != nil {
		t.Fatal(err)
	}
	records, _, err := audit.New(v.Bus).Newest(t.Context(), 10, func(r *audit.Record) bool { return r.On == k.ID })
	if err != nil {
		t.Fatal(err)
	}
	var did []string
	for _, r := range records {
		did = append(did, r.Who+" "+r.Action+" "+r.Via)
	}
	if got := strings.Join(did, ", "); got != "bo passkey register console, bo passkey register console, ann passkey remove api" { // the first one came to nothing
		t.Error(got)
	}
}
