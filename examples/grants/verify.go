package main

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// approved returns who approved exactly this call. Header is the request's Belay-Grant, call its body as it came, tool the one that
// this service is behind, key the request's Idempotency-Key; keys are the lines of `dispatcher keys export` by their ids.
func approved(header string, call []byte, tool, key string, keys map[string]ed25519.PublicKey) (by map[string]bool, err error) {
	part := strings.Split(header, ".")
	if part[0] != "v1" || len(part) < 4 || len(part)%2 != 0 {
		return nil, errors.New("nobody has approved this")
	}
	raw := make([][]byte, len(part)) // the version, how the tool is defined, then a statement and its signature for each approval
	for i, p := range part[1:] {
		if raw[i+1], err = base64.RawURLEncoding.DecodeString(p); err != nil || i == 0 && strings.Contains(string(raw[1]), "\n") {
			return nil, errors.New("this is not an approval")
		}
	}
	digest := sha256.Sum256(fmt.Appendf(nil, "belay call v1\n%s\n%s\n%s\n", tool, raw[1], call))
	by = map[string]bool{}
	for i := 2; i < len(raw); i += 2 {
		var g struct {
			Tool, Digest, By, Key string
			CallKey               string `json:"call_key"`
			Expires               time.Time
		}
		text, is := strings.CutPrefix(string(raw[i]), "belay approval v1\n")
		if err := json.Unmarshal([]byte(text), &g); err != nil || !is || keys[g.Key] == nil || !ed25519.Verify(keys[g.Key], raw[i], raw[i+1]) {
			return nil, errors.New("this approval is not genuine")
		}
		if g.Tool != tool || g.Digest != hex.EncodeToString(digest[:]) || key == "" || g.CallKey != key || time.Since(g.Expires) > time.Minute {
			return nil, errors.New("the approval is of another call, or has expired")
		}
		by[g.By] = true
	}
	return by, nil
}
