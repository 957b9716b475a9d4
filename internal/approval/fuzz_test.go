package approval

import (
	"bytes"
	"crypto/ed25519"
	"testing"

	"belay/internal/exactjson"
	"belay/internal/exactjson/exactjsontest"
)

// FuzzPublished is about a key in the bucket.
func FuzzPublished(f *testing.F) {
	exactjsontest.Fuzz(f, func(body []byte) (k PublicKey, err error) { return k, exactjson.Unmarshal(body, &k) }, newPublic(bytes.Repeat([]byte{7}, ed25519.PublicKeySize)))
}

// FuzzPinned: a line that is a key is written as that line.
func FuzzPinned(f *testing.F) {
	f.Add(newPublic(bytes.Repeat([]byte{7}, ed25519.PublicKeySize)).String())
	f.Fuzz(func(t *testing.T, line string) {
		k, err := parsePublic(line)
		if err != nil {
			exactjsontest.Message(t, err)
			return
		}
		if back, err := parsePublic(k.String()); err != nil || back.ID != k.ID || !back.Key.Equal(k.Key) {
			t.Fatalf("%q is %q (%v)", line, k, err)
		}
	})
}
