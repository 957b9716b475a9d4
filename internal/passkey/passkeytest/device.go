// Package passkeytest is a device that has passkeys, for tests.
package passkeytest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"net/url"
	"testing"
	"time"

	"belay/internal/passkey"
	"belay/internal/steps"
)

// The flags of what a device says: somebody touched it, and it has checked who.
const (
	Touched = 1
	Checked = 1 | 4
)

// Device has one passkey, and says whatever a test wants it to.
type Device struct {
	Origin string // of the page that asks it
	Host   string // that it signs for
	Kind   string // of what it is asked for
	Flags  byte
	key    *ecdsa.PrivateKey
	id     []byte
}

// New makes a device with a passkey for the pages of an origin.
func New(t *testing.T, origin string) *Device {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(origin)
	if err != nil {
		t.Fatal(err)
	}
	d := &Device{Origin: origin, Host: u.Hostname(), Kind: "webauthn.get", Flags: Checked, key: key, id: make([]byte, 16)}
	rand.Read(d.id) // never fails
	return d
}

func (d *Device) client(kind string, challenge []byte) []byte {
	b, err := json.Marshal(map[string]any{"type": kind, "challenge": base64.RawURLEncoding.EncodeToString(challenge), "origin": d.Origin, "crossOrigin": false})
	if err != nil {
		panic(err)
	}
	return b
}

func (d *Device) says(flags byte) []byte {
	host := sha256.Sum256([]byte(d.Host))
	return append(append(host[:], flags), 0, 0, 0, 0)
}

// Assert signs a challenge.
func (d *Device) Assert(t *testing.T, challenge []byte) *steps.Assertion {
	t.Helper()
	a := &steps.Assertion{Credential: base64.RawURLEncoding.EncodeToString(d.id), Client: d.client(d.Kind, challenge), Authenticator: d.says(d.Flags)}
	client := sha256.Sum256(a.Client)
	sum := sha256.Sum256(append(a.Authenticator[:len(a.Authenticator):len(a.Authenticator)], client[:]...))
	var err error
	if a.Signature, err = ecdsa.SignASN1(rand.Reader, d.key, sum[:]); err != nil {
		t.Fatal(err)
	}
	return a
}

// Registration is what a browser gives for the passkey.
func (d *Device) Registration(t *testing.T, person string, challenge []byte) passkey.Registration {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(&d.key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	data := append(d.says(d.Flags|1<<6), make([]byte, 16)...)
	data = binary.BigEndian.AppendUint16(data, uint16(len(d.id)))
	return passkey.Registration{
		Person: person, Name: "phone", Origin: d.Origin, Challenge: challenge,
		Client: d.client("webauthn.create", challenge), Authenticator: append(data, d.id...), Key: der,
	}
}

// Passkey is the device's passkey, as somebody has registered it.
func (d *Device) Passkey(t *testing.T, person string) passkey.Passkey {
	t.Helper()
	k, err := d.Registration(t, person, []byte("challenge")).New(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return k
}
