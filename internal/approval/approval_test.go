package approval

import (
	"crypto/ed25519"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"belay/internal/bus/bustest"
	"belay/internal/steps"
	"belay/internal/wire"
)

var now = time.Date(2026, 1, 1, 3, 0, 0, 0, time.UTC)

func open(t *testing.T, dir string) *Signer {
	t.Helper()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func signed(t *testing.T, s *Signer) steps.Grant {
	t.Helper()
	g, err := s.Sign(steps.Grant{Run: "r", Step: "s", Tool: "t", Digest: "d", Escalation: "r-1", By: "mia"}, now, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func public(t *testing.T, s *Signer) PublicKey {
	t.Helper()
	k, err := s.Public()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestAGrantIsCheckedByItsKey(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	g := signed(t, s)
	if err := public(t, s).check(g); err != nil {
		t.Fatal(err)
	}
	if !g.Expires.Equal(now.Add(time.Hour)) || g.Nonce == signed(t, s).Nonce {
		t.Errorf("%+v", g)
	}
	if err := public(t, open(t, dir)).check(g); err != nil {
		t.Errorf("after a restart: %v", err)
	}
	if err := public(t, open(t, t.TempDir())).check(g); err == nil {
		t.Error("another key checks it")
	}
}

// TestNothingOfAGrantCanBeChanged flips one byte of what is signed, of the signature, or of the key.
func TestNothingOfAGrantCanBeChanged(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	k, g := public(t, s), signed(t, s)
	rapid.Check(t, func(t *rapid.T) {
		other, key := g, k
		other.Signature, key.Key = append([]byte{}, g.Signature...), append(ed25519.PublicKey{}, k.Key...)
		flip := func(b []byte) {
			b[rapid.IntRange(0, len(b)-1).Draw(t, "byte")] ^= byte(rapid.IntRange(1, 255).Draw(t, "bits"))
		}
		switch rapid.IntRange(0, 5).Draw(t, "what") {
		case 0:
			flip(other.Signature)
		case 1:
			flip(key.Key)
		case 2:
			other.Digest += "x"
		case 3:
			other.By = "eve"
		case 4:
			other.Expires = other.Expires.Add(time.Millisecond)
		case 5:
			other.Signature = other.Signature[:rapid.IntRange(0, 63).Draw(t, "length")]
		}
		if key.check(other) == nil {
			t.Fatalf("%+v is taken", other)
		}
	})
}

// submitted is a submission as an API has it.
func submitted() steps.Submitted {
	return steps.Submitted{
		Document: []byte(`{ "plan": {"name": "p"} }`), Input: []byte(`{"n": 1}`), Labels: map[string]string{"a": "b"}, ToolsFile: "/t", By: "shop", Via: "api", Request: "5f1c", Token: "0001",
		RetryOf: "r-0", KeyRun: "r-0", Reason: "again",
		Carried: []steps.Carried{{Step: "s", State: "succeeded", Output: []byte(`{"a": 1}`), Degraded: &steps.Degraded{Rung: "cache", Age: 1234567891}}},
	}
}

// TestNothingOfASubmissionCanBeChanged: one that its log gives back is proven; one that differs in anything is not, nor is
// another run's, nor what a key has signed that nobody has published, or that is revoked.
func TestNothingOfASubmissionCanBeChanged(t *testing.T) {
	ring, s := NewPublished(bustest.Connect(t)), open(t, t.TempDir())
	key, err := s.PublishTo(t.Context(), ring)
	if err != nil {
		t.Fatal(err)
	}
	e := submitted()
	if err := s.Prove("r", &e, now); err != nil {
		t.Fatal(err)
	}
	genuine := func(run string, e steps.Submitted) bool {
		t.Helper()
		of := e.Submission(run)
		of.Key, of.At = e.Proof.Key, e.Proof.At
		ok, err := ring.Genuine(t.Context(), of, *e.Proof)
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	kind, body, err := wire.EncodeEvent(e)
	if err != nil {
		t.Fatal(err)
	}
	read, err := wire.DecodeEvent(kind, body)
	if err != nil || !genuine("r", read.(steps.Submitted)) {
		t.Fatalf("%v: what the log has is not genuine: %s", err, body)
	}
	if genuine("r2", e) {
		t.Error("it proves another run")
	}
	for what, change := range map[string]func(*steps.Submitted){
		"epoch": func(e *steps.Submitted) { e.Epoch = 1 }, "document": func(e *steps.Submitted) { e.Document = []byte(`{"plan":{"name":"q"}}`) },
		"input": func(e *steps.Submitted) { e.Input = []byte(`{"n":2}`) }, "labels": func(e *steps.Submitted) { e.Labels = map[string]string{"a": "c"} },
		"tools file": func(e *steps.Submitted) { e.ToolsFile = "/u" }, "by": func(e *steps.Submitted) { e.By = "anna" }, "via": func(e *steps.Submitted) { e.Via = "cli" },
		"request": func(e *steps.Submitted) { e.Request = "5f1d" }, "token": func(e *steps.Submitted) { e.Token = "0002" }, "no token": func(e *steps.Submitted) { e.Token = "" },
		"retry of": func(e *steps.Submitted) { e.RetryOf = "" }, "key run": func(e *steps.Submitted) { e.KeyRun = "r-1" }, "reason": func(e *steps.Submitted) { e.Reason = "" },
		"carried":   func(e *steps.Submitted) { e.Carried = []steps.Carried{{Step: "s", State: "skipped"}} },
		"time":      func(e *steps.Submitted) { e.Proof.At = e.Proof.At.Add(time.Millisecond) },
		"key":       func(e *steps.Submitted) { e.Proof.Key = "0123456789abcdef" },
		"strange":   func(e *steps.Submitted) { e.Proof.Key = "a.b" },
		"signature": func(e *steps.Submitted) { e.Proof.Signature[7] ^= 1 },
		"empty":     func(e *steps.Submitted) { e.Proof.Signature = nil },
	} {
		other := e
		other.Proof = &steps.Proof{Key: e.Proof.Key, At: e.Proof.At, Signature: append([]byte{}, e.Proof.Signature...)}
		if change(&other); genuine("r", other) {
			t.Errorf("another %s is taken", what)
		}
	}
	foreign := submitted()
	if err := open(t, t.TempDir()).Prove("r", &foreign, now); err != nil || genuine("r", foreign) {
		t.Errorf("%v: what a stranger signed is taken", err)
	}
	if foreign.Proof.Key = key.ID; genuine("r", foreign) {
		t.Error("what a stranger signed in our name is taken")
	}
	if err := ring.Revoke(t.Context(), key.ID); err != nil || genuine("r", e) {
		t.Errorf("%v: what a revoked key signed is taken", err)
	}
}

// TestAnApprovalIsNoSubmission, and the other way round: what was signed for one purpose says nothing for another.
func TestAnApprovalIsNoSubmission(t *testing.T) {
	s := open(t, t.TempDir())
	k, g := public(t, s), signed(t, s)
	e := submitted()
	if err := s.Prove("r", &e, now); err != nil {
		t.Fatal(err)
	}
	of := e.Submission("r")
	of.Key, of.At = e.Proof.Key, e.Proof.At
	if k.signed(of.Key, of.Statement(), g.Signature) || k.signed(g.Key, g.Statement(), e.Proof.Signature) || !k.signed(of.Key, of.Statement(), e.Proof.Signature) {
		t.Error("one passes for the other")
	}
}

func TestRotation(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, other := open(t, dir), open(t, dir)
	before := public(t, s)
	old := signed(t, s)
	if err := other.Rotate(); err != nil {
		t.Fatal(err)
	}
	after := public(t, s)
	if before.ID == after.ID || after.ID != public(t, other).ID {
		t.Error("a rotated key is not taken by the running process")
	}
	if err := before.check(old); err != nil {
		t.Errorf("what the old key signed: %v", err)
	}
	if after.check(old) == nil || after.check(signed(t, s)) != nil {
		t.Error("the new key checks what the old one signed, or not what it signs itself")
	}
}

func TestOneKeyIsMadeBySeveralAtOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ids := make(chan string, 16)
	var wg sync.WaitGroup
	for range cap(ids) {
		wg.Go(func() {
			s, err := Open(dir)
			if err != nil {
				t.Error(err)
				return
			}
			k, err := s.Public()
			if err != nil {
				t.Error(err)
			}
			ids <- k.ID
		})
	}
	wg.Wait()
	first := <-ids
	for len(ids) > 0 {
		if id := <-ids; id != first {
			t.Errorf("%s and %s", first, id)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("%v, %v", left, err)
	}
}

func TestAKeyThatOthersCanReadIsRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text string
		mode os.FileMode
		says string
	}{
		"readable": {"", 0o644, "chmod 600"},
		"no PEM":   {"hello", 0o600, "not a PEM"},
		"rubbish":  {"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", 0o600, "signing key"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			open(t, dir)
			path := filepath.Join(dir, fileName)
			if c.text != "" {
				if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Chmod(path, c.mode); err != nil {
				t.Fatal(err)
			}
			if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), path) {
				t.Errorf("%v; want one that says %q", err, c.says)
			}
		})
	}
}

func TestPinnedKeys(t *testing.T) {
	t.Parallel()
	s, foreign := open(t, t.TempDir()), open(t, t.TempDir())
	path := filepath.Join(t.TempDir(), "keys")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	line := public(t, s).String()
	write("# our dispatchers\n\n" + line + "\n")
	keys, err := Pinned(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := keys.Check(t.Context(), signed(t, s)); err != nil {
		t.Error(err)
	}
	if err := keys.Check(t.Context(), signed(t, foreign)); !errors.Is(err, errUnknownKey) {
		t.Errorf("%v; the key is not pinned", err)
	}
	_, text, _ := strings.Cut(line, " ")
	for says, bad := range map[string]string{"has none": "# none\n", ":1: a line must be": "hello", ":2: the key is": line + "\nbelay-0000000000000000 " + text} {
		write(bad)
		if _, err := Pinned(path); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v; want one that says %q", err, says)
		}
	}
	if _, err := Pinned(path + "x"); err == nil {
		t.Error("a file that is not there is read")
	}
}

func TestPublishedKeys(t *testing.T) {
	t.Parallel()
	b := bustest.Connect(t)
	ring, s := NewPublished(b), open(t, t.TempDir())
	g := signed(t, s)
	if err := ring.Check(t.Context(), g); !errors.Is(err, errUnknownKey) {
		t.Errorf("%v; nobody has published the key", err)
	}
	for range 2 {
		if err := ring.Publish(t.Context(), public(t, s)); err != nil {
			t.Fatal(err)
		}
	}
	if err := NewPublished(b).Check(t.Context(), g); err != nil {
		t.Error(err)
	}
	evil := open(t, t.TempDir())
	forged := signed(t, evil)
	forged.Key = g.Key
	if ring.Check(t.Context(), forged) == nil {
		t.Error("a signature of another key is taken")
	}
	for _, id := range []string{"", "*", ">", "a.b", "ABC"} {
		forged.Key = id
		if ring.Check(t.Context(), forged) == nil {
			t.Errorf("key %q is known", id)
		}
	}
	if all, err := ring.List(t.Context()); err != nil || len(all) != 1 || all[0].ID != g.Key {
		t.Errorf("%v, %v", all, err)
	}
	if err := ring.Revoke(t.Context(), g.Key); err != nil {
		t.Fatal(err)
	}
	if err := ring.Check(t.Context(), g); !errors.Is(err, errUnknownKey) {
		t.Errorf("%v; the key is revoked", err)
	}
	if err := ring.Revoke(t.Context(), g.Key); err != nil {
		t.Errorf("again: %v", err)
	}
	if err := ring.Publish(t.Context(), public(t, s)); err != nil || ring.Check(t.Context(), g) == nil {
		t.Errorf("a restart makes a revoked key good again: %v", err)
	}
	if all, _ := ring.List(t.Context()); len(all) != 1 || all[0].Revoked.IsZero() {
		t.Errorf("%+v; it is kept for what it signed of the past", all)
	}
	if err := ring.Revoke(t.Context(), "0123456789abcdef"); err == nil || !strings.Contains(err.Error(), "keys ls") {
		t.Error(err)
	}
}

// TestAKeyUnderAnothersIdChecksNothing: whoever can write the bucket still cannot sign in another's name.
func TestAKeyUnderAnothersIdChecksNothing(t *testing.T) {
	t.Parallel()
	b := bustest.Connect(t)
	ring, s, evil := NewPublished(b), open(t, t.TempDir()), open(t, t.TempDir())
	k := public(t, evil)
	k.ID = public(t, s).ID
	if err := ring.Publish(t.Context(), k); err != nil {
		t.Fatal(err)
	}
	g := signed(t, evil)
	g.Key = k.ID
	if ring.Check(t.Context(), g) == nil {
		t.Error("it is taken")
	}
	if all, err := ring.List(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("%v, %v", all, err)
	}
}
