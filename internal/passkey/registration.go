package passkey

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"belay/internal/text"
)

// Registration is what a browser gives for a new passkey.
type Registration struct {
	Person, Name  string
	Origin        string // of the page
	Challenge     []byte // that the page was given
	Client        []byte // what the browser says it asked for, JSON
	Authenticator []byte // what the device says of the new credential
	Key           []byte // its public key, as the browser gives it
}

// longestName is how long the name of a passkey may be, in characters.
const longestName = 60

// longestCredential is how long the id of a credential may be, in bytes; the standard says so.
const longestCredential = 1023

// New makes the passkey that a browser has registered. It is as good as the session of whoever is signed in: no device says
// of itself what it is.
func (r Registration) New(now time.Time) (Passkey, error) {
	k := Passkey{Person: r.Person, Name: strings.TrimSpace(text.Line(r.Name)), Origin: r.Origin, Key: r.Key, Made: now.UTC().Truncate(time.Second)}
	if err := Usable(r.Origin); err != nil {
		return k, err
	}
	if utf8.RuneCountInString(k.Name) > longestName {
		return k, fmt.Errorf("the name has more than %d characters", longestName)
	}
	if err := k.asked(r.Client, "webauthn.create", r.Challenge); err != nil {
		return k, err
	}
	if err := k.present(r.Authenticator); err != nil {
		return k, err
	}
	if _, err := publicKey(r.Key); err != nil {
		return k, err
	}
	var err error
	if k.Credential, err = credentialIn(r.Authenticator); err != nil {
		return k, err
	}
	k.identify()
	return k, nil
}

// credentialIn finds the id of a new credential behind the host, the flags, the counter and the kind of the device.
func credentialIn(data []byte) ([]byte, error) {
	const before = 32 + 1 + 4 + 16
	if data[32]&attested == 0 || len(data) < before+2 {
		return nil, errors.New("the device has made no passkey")
	}
	n := int(binary.BigEndian.Uint16(data[before:]))
	if n == 0 || n > longestCredential || len(data) < before+2+n {
		return nil, errors.New("what the device says is cut off")
	}
	return bytes.Clone(data[before+2 : before+2+n]), nil
}
