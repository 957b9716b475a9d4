package passkey

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"time"
)

// Passkey is the public part of one: what it signs is checked with it.
type Passkey struct {
	ID         string    `json:"id"`                   // made from all that is checked, so that nobody can put another one under a known id
	Person     string    `json:"person"`               // whose it is
	Name       string    `json:"name,omitempty"`       // what they call it
	Origin     string    `json:"origin"`               // the console where it was registered, like https://belay.example.com; it signs nowhere else
	Credential []byte    `json:"credential"`           // its id among those of the device
	Key        []byte    `json:"key"`                  // the public key: SubjectPublicKeyInfo, DER
	Made       time.Time `json:"made,omitzero"`        // when it was registered
	Removed    time.Time `json:"removed,omitzero"`     // when it was removed: it approves nothing any more
	RemovedBy  string    `json:"removed_by,omitempty"` // who did that
}

// identify sets the id.
func (k *Passkey) identify() {
	h := sha256.New()
	for _, part := range [][]byte{[]byte(k.Person), []byte(k.Origin), k.Credential, k.Key} {
		sum := sha256.Sum256(part)
		h.Write(sum[:])
	}
	k.ID = hex.EncodeToString(h.Sum(nil)[:8])
}

// genuine reports whether the id is the one that k must have.
func (k Passkey) genuine() bool {
	id := k.ID
	k.identify()
	return k.ID == id
}

// CredentialText is the id among those of the device, as browsers and assertions name it.
func (k Passkey) CredentialText() string { return base64.RawURLEncoding.EncodeToString(k.Credential) }

// relyingParty is the host that the passkey was made for.
func (k Passkey) relyingParty() string {
	u, err := url.Parse(k.Origin)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// linePrefix begins a line of a file of passkeys.
const linePrefix = "passkey-"

// String returns k as a line of a file of passkeys.
func (k Passkey) String() string {
	return strings.Join([]string{linePrefix + k.ID, url.QueryEscape(k.Person), k.Origin, k.CredentialText(), base64.StdEncoding.EncodeToString(k.Key)}, " ")
}

// parse reads a line of a file of passkeys.
func parse(line string) (k Passkey, err error) {
	f := strings.Fields(line)
	if len(f) != 5 || !strings.HasPrefix(f[0], linePrefix) {
		return k, errors.New("a line must be passkey-<id>, a person, an address, a credential and a public key, as `dispatcher passkeys export` writes it")
	}
	k.ID, k.Origin = strings.TrimPrefix(f[0], linePrefix), f[2]
	if k.Person, err = url.QueryUnescape(f[1]); err == nil {
		if k.Credential, err = base64.RawURLEncoding.DecodeString(f[3]); err == nil {
			k.Key, err = base64.StdEncoding.DecodeString(f[4])
		}
	}
	if err == nil {
		_, err = publicKey(k.Key)
	}
	if err == nil && !k.genuine() {
		err = fmt.Errorf("%s is not the id of what follows it", f[0])
	}
	return k, err
}

// ReadFile reads a file of passkeys, as `dispatcher passkeys export` writes it. Lines that begin with # are comments.
func ReadFile(file string) (list []Passkey, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("trusted passkeys: %w", err)
	}
	for n, line := range strings.Split(string(text), "\n") {
		if line = strings.TrimSpace(strings.TrimPrefix(line, "\ufeff")); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		k, err := parse(line)
		if err != nil {
			return nil, fmt.Errorf("trusted passkeys: %s:%d: %w", file, n+1, err)
		}
		list = append(list, k)
	}
	return list, nil
}

// Usable says why browsers use no passkeys on pages of this origin; nil = they do.
func Usable(origin string) error {
	u, err := url.Parse(origin)
	switch {
	case err != nil || u.Host == "" || u.Path != "":
		return errors.New("it is not known under which address the console is reached")
	case net.ParseIP(u.Hostname()) != nil && net.ParseIP(u.Hostname()).IsLoopback():
		return fmt.Errorf("browsers have no passkeys for addresses that are numbers: open http://localhost:%s", u.Port())
	case net.ParseIP(u.Hostname()) != nil:
		return errors.New("browsers have no passkeys for addresses that are numbers: give the console a name (--public-url)")
	case u.Scheme != "https" && u.Hostname() != "localhost":
		return errors.New("browsers have passkeys only over https, and on localhost: put TLS in front of the console (--public-url)")
	}
	return nil
}
