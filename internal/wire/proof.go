package wire

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"belay/internal/exactjson"
)

// HeaderProof is on a request to a dispatcher: a [Proof] of who asks.
const HeaderProof = "Belay-Proof"

// Proof shows that whoever makes a request has a token, or the sign-in code of `dispatcher dev`, without sending either. It is of
// this request alone, on this subject, at this time.
type Proof struct {
	Token     string    `json:"token,omitempty"` // id of the token; empty: it is the sign-in code
	At        time.Time `json:"at"`              // by the server's clock
	Nonce     string    `json:"nonce"`           // so that it counts once
	Signature []byte    `json:"sig,omitempty"`   // with the key that follows from the token's secret
	MAC       []byte    `json:"mac"`             // with the hash of the secret: for codes, and tokens of which no public key is kept
}

// Shown is what whoever makes a request has shown.
type Shown struct {
	Token string // itself, in clear: by a program of an older version; empty = none
	Proof *Proof // nil = none
	Of    string // what the proof must be of, see [RequestDigest]
}

// Nothing reports whether nothing was shown.
func (s Shown) Nothing() bool { return s.Token == "" && s.Proof == nil }

// RequestDigest is the digest of a request on a subject.
func RequestDigest(subject string, body []byte) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%s", subject, body))
	return hex.EncodeToString(sum[:])
}

// tokenPrefix is what every token begins with.
const tokenPrefix = "belay_"

// IsToken reports whether a text looks like a token, and not like something else that is shown in its place.
func IsToken(text string) bool { return strings.HasPrefix(text, tokenPrefix) }

// Token is a token as people have it: belay_<16 hex digits>_<43 letters>.
func Token(id, secret string) string { return tokenPrefix + id + "_" + secret }

// ParseToken takes a [Token] apart.
func ParseToken(text string) (id, secret string, ok bool) {
	rest, ok := strings.CutPrefix(text, tokenPrefix)
	if !ok || len(rest) != 16+1+43 || rest[16] != '_' || strings.Trim(rest[:16], "0123456789abcdef") != "" {
		return "", "", false
	}
	return rest[:16], rest[17:], true
}

// TokenHash is what is kept of a token's secret: 256 random bits need no slow hash.
func TokenHash(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// tokenKey is the key that signs what a token's owner asks for. It does not follow from [TokenHash].
func tokenKey(secret string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("belay proof key v1\n" + secret))
	return ed25519.NewKeyFromSeed(seed[:])
}

// TokenPublic is the public half of the key that signs what a token's owner asks for.
func TokenPublic(secret string) ed25519.PublicKey {
	return tokenKey(secret).Public().(ed25519.PublicKey)
}

// Prove proves with a token or a sign-in code who makes a request with this digest, at a time of the server.
func Prove(shown, of string, at time.Time) Proof {
	var nonce [16]byte
	rand.Read(nonce[:]) // never fails
	p := Proof{At: at.UTC().Truncate(time.Millisecond), Nonce: hex.EncodeToString(nonce[:])}
	id, secret, ok := ParseToken(shown)
	if !ok {
		secret = shown
	}
	if p.Token = id; ok {
		p.Signature = ed25519.Sign(tokenKey(secret), p.statement(of))
	}
	p.MAC = p.mac(TokenHash(secret), of)
	return p
}

func (p Proof) statement(of string) []byte {
	return fmt.Appendf(nil, "belay request v1\n%s\n%s\n%s\n%s\n", p.Token, p.At.UTC().Format(time.RFC3339Nano), p.Nonce, of)
}

func (p Proof) mac(hash, of string) []byte {
	m := hmac.New(sha256.New, []byte(hash))
	m.Write(p.statement(of))
	return m.Sum(nil)
}

// Signed reports whether p was made with the token that has a public key, for a request with this digest.
func (p Proof) Signed(public ed25519.PublicKey, of string) bool {
	return len(public) == ed25519.PublicKeySize && ed25519.Verify(public, p.statement(of), p.Signature)
}

// Keyed reports whether p was made with a secret of this [TokenHash], or by somebody who knows that hash.
func (p Proof) Keyed(hash, of string) bool {
	return hash != "" && subtle.ConstantTimeCompare(p.MAC, p.mac(hash, of)) == 1
}

// String is p as a header.
func (p Proof) String() string {
	b, err := json.Marshal(p)
	if err != nil {
		panic("wire: a proof cannot be written: " + err.Error()) // strings, bytes and times always can
	}
	return string(b)
}

// ReadProof reads a header.
func ReadProof(header string) (p Proof, ok bool) {
	return p, len(header) < 4096 && exactjson.Unmarshal([]byte(header), &p) == nil && len(p.Nonce) <= 64
}
