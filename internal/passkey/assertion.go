package passkey

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"belay/internal/exactjson"
	"belay/internal/steps"
)

// The flags of what an authenticator says.
const (
	userPresent  = 1 << 0 // somebody touched it
	userVerified = 1 << 2 // it has checked who: by a finger, a face or a PIN
	attested     = 1 << 6 // a new credential follows
)

// clientData is what the browser says it asked for.
type clientData struct {
	Type        string `json:"type"`
	Challenge   string `json:"challenge"`
	Origin      string `json:"origin"`
	CrossOrigin bool   `json:"crossOrigin"`
}

// Verify returns an error if k has not signed a challenge, at its own console, for somebody whom the device has checked. The
// counter of signatures is not compared: what is signed is good for one call alone, and passkeys that people have on
// several devices count nothing.
func (k Passkey) Verify(a steps.Assertion, challenge []byte) error {
	if a.Credential != k.CredentialText() {
		return errors.New("another passkey has signed it")
	}
	if err := k.asked(a.Client, "webauthn.get", challenge); err != nil {
		return err
	}
	if err := k.present(a.Authenticator); err != nil {
		return err
	}
	key, err := publicKey(k.Key)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(a.Client)
	if !signed(key, append(bytes.Clone(a.Authenticator), sum[:]...), a.Signature) {
		return fmt.Errorf("its signature was not made with passkey %s", k.ID)
	}
	return nil
}

// asked compares what the browser has asked for with what it should.
func (k Passkey) asked(client []byte, kind string, challenge []byte) error {
	var c clientData
	err := exactjson.Unmarshal(client, &c)
	switch {
	case err != nil:
		return fmt.Errorf("what the browser says cannot be read: %w", err)
	case c.Type != kind:
		return fmt.Errorf("it is a %.40q, not a %s", c.Type, kind)
	case strings.TrimRight(c.Challenge, "=") != base64.RawURLEncoding.EncodeToString(challenge):
		return errors.New("something else than this was signed")
	case c.Origin != k.Origin || c.CrossOrigin:
		return fmt.Errorf("it was made on the pages of %.100q, not of %s", c.Origin, k.Origin)
	}
	return nil
}

// present checks whom the authenticator signs for, and that it has checked who is there.
func (k Passkey) present(data []byte) error {
	host := sha256.Sum256([]byte(k.relyingParty()))
	switch {
	case len(data) < 37:
		return errors.New("what the device says is cut off")
	case !bytes.Equal(data[:32], host[:]):
		return fmt.Errorf("it was made for another host than %s", k.relyingParty())
	case data[32]&userPresent == 0 || data[32]&userVerified == 0:
		return errors.New("the device has not checked who holds it: it must ask for a finger, a face or a PIN")
	}
	return nil
}

// publicKey reads a key of one of the kinds that passkeys have: ES256, EdDSA and RS256.
func publicKey(der []byte) (crypto.PublicKey, error) {
	key, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, fmt.Errorf("its public key cannot be read: %w", err)
	}
	switch key := key.(type) {
	case *ecdsa.PublicKey:
		if key.Curve == elliptic.P256() {
			return key, nil
		}
	case ed25519.PublicKey:
		return key, nil
	case *rsa.PublicKey:
		if key.N.BitLen() >= 2048 {
			return key, nil
		}
	}
	return nil, errors.New("its public key is of a kind that is not taken: it must be ES256 (P-256), EdDSA (Ed25519), or RS256 of 2048 bits or more")
}

func signed(key crypto.PublicKey, text, signature []byte) bool {
	sum := sha256.Sum256(text)
	switch key := key.(type) {
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(key, sum[:], signature)
	case ed25519.PublicKey:
		return ed25519.Verify(key, text, signature)
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], signature) == nil
	}
	return false
}
