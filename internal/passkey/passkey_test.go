package passkey_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"belay/internal/passkey"
	"belay/internal/passkey/passkeytest"
	"belay/internal/steps"
)

const console = "https://belay.example.com"

var challenge = []byte("what is approved")

func TestAnAssertionIsChecked(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		bend func(t *testing.T, d *passkeytest.Device, a **steps.Assertion)
		says string // part of why it does not count; empty = it counts
	}{
		"as it should be":     {func(*testing.T, *passkeytest.Device, **steps.Assertion) {}, ""},
		"not checked who":     {with(func(d *passkeytest.Device) { d.Flags = passkeytest.Touched }), "must ask for a finger"},
		"nobody touched it":   {with(func(d *passkeytest.Device) { d.Flags = 4 }), "must ask for a finger"},
		"other pages":         {with(func(d *passkeytest.Device) { d.Origin = "https://evil.example.com" }), "on the pages of"},
		"other port":          {with(func(d *passkeytest.Device) { d.Origin += ":8443" }), "on the pages of"},
		"without TLS":         {with(func(d *passkeytest.Device) { d.Origin = "http://belay.example.com" }), "on the pages of"},
		"other host":          {with(func(d *passkeytest.Device) { d.Host = "example.com" }), "another host"},
		"a registration":      {with(func(d *passkeytest.Device) { d.Kind = "webauthn.create" }), "not a webauthn.get"},
		"another credential":  {func(_ *testing.T, _ *passkeytest.Device, a **steps.Assertion) { (*a).Credential = "AAAA" }, "another passkey"},
		"somebody else's key": {another(console), "another passkey"},
		"something else": {func(t *testing.T, d *passkeytest.Device, a **steps.Assertion) {
			*a = d.Assert(t, []byte("what is not approved"))
		}, "something else"},
		"a later flag":     {func(_ *testing.T, _ *passkeytest.Device, a **steps.Assertion) { (*a).Authenticator[33]++ }, "signature"},
		"a bent signature": {func(_ *testing.T, _ *passkeytest.Device, a **steps.Assertion) { (*a).Signature[8] ^= 1 }, "signature"},
		"no signature":     {func(_ *testing.T, _ *passkeytest.Device, a **steps.Assertion) { (*a).Signature = nil }, "signature"},
		"cut off": {func(_ *testing.T, _ *passkeytest.Device, a **steps.Assertion) {
			(*a).Authenticator = (*a).Authenticator[:36]
		}, "cut off"},
		"what is not JSON": {func(_ *testing.T, _ *passkeytest.Device, a **steps.Assertion) { (*a).Client = []byte("{") }, "cannot be read"},
		"two challenges":   {twice, "cannot be read"},
		"in a page of others": {func(_ *testing.T, _ *passkeytest.Device, a **steps.Assertion) {
			(*a).Client = bytes.Replace((*a).Client, []byte("false"), []byte("true"), 1)
		}, "on the pages of"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := passkeytest.New(t, console)
			k := d.Passkey(t, "mia")
			a := d.Assert(t, challenge)
			c.bend(t, d, &a)
			err := k.Verify(*a, challenge)
			if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v", err)
			}
		})
	}
}

// with has the device sign once more, after something about it is changed.
func with(change func(*passkeytest.Device)) func(*testing.T, *passkeytest.Device, **steps.Assertion) {
	return func(t *testing.T, d *passkeytest.Device, a **steps.Assertion) {
		change(d)
		*a = d.Assert(t, challenge)
	}
}

func another(origin string) func(*testing.T, *passkeytest.Device, **steps.Assertion) {
	return func(t *testing.T, _ *passkeytest.Device, a **steps.Assertion) {
		*a = passkeytest.New(t, origin).Assert(t, challenge)
	}
}

// twice has what the browser says name two challenges: readers that take the last one see another than those that take the first.
func twice(_ *testing.T, _ *passkeytest.Device, a **steps.Assertion) {
	(*a).Client = bytes.Replace((*a).Client, []byte(`{`), []byte(`{"challenge":"AAAA",`), 1)
}

// TestKindsOfKeys: ES256, EdDSA and RS256 count, and no weaker ones.
func TestKindsOfKeys(t *testing.T) {
	t.Parallel()
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	long, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		key   crypto.Signer
		hash  crypto.Hash
		takes bool
	}{"EdDSA": {ed, 0, true}, "RS256": {long, crypto.SHA256, true}, "P-384": {p384, crypto.SHA256, false}} {
		der, err := x509.MarshalPKIXPublicKey(c.key.Public())
		if err != nil {
			t.Fatal(err)
		}
		d := passkeytest.New(t, console)
		k := d.Passkey(t, "mia")
		k.Key = der
		a := d.Assert(t, challenge)
		client := sha256.Sum256(a.Client)
		text := append(bytes.Clone(a.Authenticator), client[:]...)
		if c.hash != 0 {
			sum := sha256.Sum256(text)
			text = sum[:]
		}
		if a.Signature, err = c.key.Sign(rand.Reader, text, c.hash); err != nil {
			t.Fatal(err)
		}
		if err := k.Verify(*a, challenge); (err == nil) != c.takes {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestARegistrationIsChecked(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		bend func(*passkey.Registration)
		says string
	}{
		"as it should be":   {func(*passkey.Registration) {}, ""},
		"another page":      {func(r *passkey.Registration) { r.Challenge = []byte("x") }, "something else"},
		"another origin":    {func(r *passkey.Registration) { r.Origin = "https://b.example.com" }, "on the pages of"},
		"over http":         {func(r *passkey.Registration) { r.Origin = "http://belay.example.com" }, "put TLS in front"},
		"a number":          {func(r *passkey.Registration) { r.Origin = "http://127.0.0.1:8222" }, "open http://localhost:8222"},
		"no key":            {func(r *passkey.Registration) { r.Key = nil }, "public key"},
		"a long name":       {func(r *passkey.Registration) { r.Name = strings.Repeat("x", 61) }, "more than 60"},
		"no credential":     {func(r *passkey.Registration) { r.Authenticator[32] = passkeytest.Checked }, "has made no passkey"},
		"a cut credential":  {func(r *passkey.Registration) { r.Authenticator = r.Authenticator[:60] }, "cut off"},
		"nobody was there":  {func(r *passkey.Registration) { r.Authenticator[32] = 1 << 6 }, "must ask for a finger"},
		"an assertion":      {func(r *passkey.Registration) { r.Client = bytes.Replace(r.Client, []byte("create"), []byte("get"), 1) }, "not a webauthn.create"},
		"what is cut early": {func(r *passkey.Registration) { r.Authenticator = r.Authenticator[:40] }, "has made no passkey"},
	} {
		r := passkeytest.New(t, console).Registration(t, "mia", challenge)
		c.bend(&r)
		_, err := r.New(time.Now())
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestLines: what is exported is read as it was, and what somebody has changed in it is not read.
func TestLines(t *testing.T) {
	t.Parallel()
	k := passkeytest.New(t, console).Passkey(t, "Mia Müller <mia@example.com>")
	read := func(text string) ([]passkey.Passkey, error) {
		file := filepath.Join(t.TempDir(), "passkeys.txt")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return passkey.ReadFile(file)
	}
	list, err := read("# of mia\n\n" + k.String() + "\r\n")
	if err != nil || len(list) != 1 || list[0].ID != k.ID || list[0].Person != k.Person || !bytes.Equal(list[0].Key, k.Key) {
		t.Fatal(list, err)
	}
	f := strings.Fields(k.String())
	for name, line := range map[string]string{
		"another person":     strings.Replace(k.String(), f[1], "eve", 1),
		"another console":    strings.Replace(k.String(), f[2], "https://evil.example.com", 1),
		"another credential": strings.Replace(k.String(), f[3], base64.RawURLEncoding.EncodeToString([]byte("x")), 1),
		"another id":         strings.Replace(k.String(), f[0], "passkey-0123456789abcdef", 1),
		"no key":             strings.TrimSuffix(k.String(), f[4]),
		"a signing key":      "belay-0123456789abcdef AAAA",
	} {
		if _, err := read(line); err == nil || !strings.Contains(err.Error(), "passkeys.txt:1: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
