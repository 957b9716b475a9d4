package gate

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"testing"

	"belay/internal/access"
	"belay/internal/exactjson/exactjsontest"
)

// FuzzLocal: where a browser is sent after it was signed in is a page of this server.
func FuzzLocal(f *testing.F) {
	for _, s := range []string{"/", "/runs?x=1#y", "//evil.example", "/\\evil.example", "https://evil.example", "/\t/evil.example", "/%2f/x", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, next string) {
		to := local(next)
		u, err := url.Parse(to)
		if err != nil || u.Host != "" || u.Scheme != "" || to[0] != '/' || len(to) > 1 && (to[1] == '/' || to[1] == '\\') {
			t.Fatalf("%q leads to %q", next, to)
		}
	})
}

// FuzzSignIn: what a browser brings back of an attempt to sign in is either that attempt or refused.
func FuzzSignIn(f *testing.F) {
	body, err := json.Marshal(access.Attempt{State: "s", Nonce: "n", Verifier: "v", Next: "/"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(body, "x")
	f.Add([]byte(`{"S":"s"}`), "s")
	g := &Gate{}
	f.Fuzz(func(t *testing.T, attempt []byte, state string) {
		r := &http.Request{Method: http.MethodGet, URL: &url.URL{RawQuery: url.Values{"state": {state}, "error": {"denied"}}.Encode()}, Header: http.Header{}}
		r.AddCookie(&http.Cookie{Name: g.cookieName() + "-way", Value: base64.RawURLEncoding.EncodeToString(attempt)})
		next, who, err := g.signedIn(r)
		if err == nil || who.Name != "" || next == "" || next[0] != '/' {
			t.Fatalf("%q, %+v, %v", next, who, err)
		}
		var a map[string]any
		if !errors.Is(err, access.ErrAttempt) && (json.Unmarshal(attempt, &a) != nil || a["s"] != state) {
			t.Fatalf("%s counts as %q: %v", attempt, state, err)
		}
		exactjsontest.Message(t, err)
	})
}
