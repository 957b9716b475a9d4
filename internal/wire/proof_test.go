package wire_test

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"belay/internal/wire"
)

// TestAProofIsOfOneRequest: of this subject and body, at this time, with this token; and it gives nothing away.
func TestAProofIsOfOneRequest(t *testing.T) {
	t.Parallel()
	secret := strings.Repeat("s", 43)
	token, of := wire.Token("0123456789abcdef", secret), wire.RequestDigest("belay.people", []byte("approve"))
	rapid.Check(t, func(t *rapid.T) {
		p := wire.Prove(token, of, time.UnixMilli(rapid.Int64Range(0, 1<<42).Draw(t, "at")))
		back, ok := wire.ReadProof(p.String())
		if !ok || !back.Signed(wire.TokenPublic(secret), of) || !back.Keyed(wire.TokenHash(secret), of) || back.Token != "0123456789abcdef" {
			t.Fatalf("%+v", back)
		}
		if strings.Contains(p.String(), secret) || strings.Contains(p.String(), wire.TokenHash(secret)) {
			t.Fatalf("%s tells the secret", p)
		}
		other, is := back, of
		switch rapid.IntRange(0, 6).Draw(t, "what") {
		case 0:
			other.Token = "0123456789abcdee"
		case 1:
			other.At = other.At.Add(time.Millisecond)
		case 2:
			other.Nonce += "0"
		case 3:
			is = wire.RequestDigest("belay.store", []byte("approve"))
		case 4:
			is = wire.RequestDigest("belay.people", []byte("approve "))
		case 5:
			other.Signature[rapid.IntRange(0, 63).Draw(t, "byte")] ^= 1
			other.MAC[0] ^= 1
		case 6:
			other = wire.Prove(wire.Token("0123456789abcdef", strings.Repeat("t", 43)), of, back.At)
		}
		if other.Signed(wire.TokenPublic(secret), is) || other.Keyed(wire.TokenHash(secret), is) {
			t.Fatalf("%+v counts for %s", other, is)
		}
	})
	if p := wire.Prove(token, of, time.Now()); p.Signed(nil, of) || p.Keyed("", of) {
		t.Error("it counts where nothing is known")
	}
}

func TestProofsThatAreNone(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "{", "[]", `{"nonce":1}`, `{"at":"yesterday"}`, `{"nonce":"` + strings.Repeat("n", 65) + `"}`, `{"x":"` + strings.Repeat("x", 5000) + `"}`} {
		if p, ok := wire.ReadProof(text); ok {
			t.Errorf("%.40q is %+v", text, p)
		}
	}
}
