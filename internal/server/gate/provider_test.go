package gate

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/coreos/go-oidc/v3/oidc/oidctest"

	"belay/internal/access"
	"belay/internal/people"
)

// provider vouches for people, with whatever claims a test likes.
type provider struct {
	*oidctest.Server
	url    string
	key    *rsa.PrivateKey
	claims map[string]any    // laid over the sound ones
	signed *rsa.PrivateKey   // who signs; nil = key
	asked  map[string]string // challenge and nonce by code
	down   bool
}

func newProvider(t *testing.T) *provider {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p := &provider{key: key, asked: map[string]string{}}
	p.Server = &oidctest.Server{PublicKeys: []oidctest.PublicKey{{PublicKey: key.Public(), KeyID: "k", Algorithm: oidc.RS256}}}
	srv := httptest.NewServer(http.HandlerFunc(p.serve))
	t.Cleanup(srv.Close)
	p.url = srv.URL
	p.SetIssuer(srv.URL)
	return p
}

func (p *provider) serve(w http.ResponseWriter, r *http.Request) {
	switch {
	case p.down:
		w.WriteHeader(http.StatusServiceUnavailable)
	case r.URL.Path == "/token":
		p.token(w, r)
	default:
		p.ServeHTTP(w, r)
	}
}

// authorize is what a person does at the provider: it gives the way back.
func (p *provider) authorize(location string) url.Values {
	u, err := url.Parse(location)
	if err != nil {
		panic(err)
	}
	q := u.Query()
	code := rand.Text()
	p.asked[code] = q.Get("code_challenge") + " " + q.Get("nonce")
	return url.Values{"state": {q.Get("state")}, "code": {code}}
}

func (p *provider) token(w http.ResponseWriter, r *http.Request) {
	asked, ok := p.asked[r.FormValue("code")]
	delete(p.asked, r.FormValue("code"))
	challenge, nonce, _ := strings.Cut(asked, " ")
	sum := sha256.Sum256([]byte(r.FormValue("code_verifier")))
	if !ok || base64.RawURLEncoding.EncodeToString(sum[:]) != challenge {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	claims := map[string]any{
		"iss": p.url, "aud": "belay", "sub": "1", "exp": time.Now().Add(time.Hour).Unix(), "nonce": nonce,
		"email": "mia@example.com", "email_verified": true, "groups": []string{"staff", "payments-leads"},
	}
	for k, v := range p.claims {
		claims[k] = v
	}
	raw, _ := json.Marshal(claims)
	signer := p.key
	if p.signed != nil {
		signer = p.signed
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"access_token": "a", "token_type": "Bearer", "id_token": oidctest.SignIDToken(signer, "k", oidc.RS256, string(raw))})
}

// vouched is a house that people enter through a provider.
func vouched(t *testing.T) (*house, *provider) {
	t.Helper()
	p := newProvider(t)
	h := newHouse(t, false)
	h.gate.OIDC = access.NewOIDC(access.OIDCOptions{
		Issuer: p.url, ClientID: "belay", PublicURL: h.URL, Roles: map[people.Role][]string{people.Approver: {"payments-leads"}, people.Viewer: {"*"}},
	})
	h.Config.Handler = h.gate.Wrap(h.pages)
	return h, p
}

// begin goes to the provider and gives the way back.
func (h *house) begin(c *http.Client, p *provider) url.Values {
	h.t.Helper()
	res, _ := h.ask(c, "GET", "/login/start?next=/e/run-1", nil)
	if res.StatusCode != http.StatusSeeOther || !strings.HasPrefix(res.Header.Get("Location"), p.url+"/auth?") {
		h.t.Fatalf("%d %s", res.StatusCode, res.Header.Get("Location"))
	}
	return p.authorize(res.Header.Get("Location"))
}

func TestSigningInThroughAProvider(t *testing.T) {
	t.Parallel()
	h, p := vouched(t)
	c := still()
	if _, page := h.ask(c, "GET", "/login?next=/e/run-1", nil); !strings.Contains(page, `href="/login/start?next=%2fe%2frun-1"`) {
		t.Error(page)
	}
	back := h.begin(c, p)
	res, body := h.ask(c, "GET", "/login/callback?"+back.Encode(), nil)
	if res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != "/e/run-1" {
		t.Fatalf("%d %s", res.StatusCode, body)
	}
	if _, body := h.ask(c, "GET", "/", nil, "Accept", "text/html"); body != "mia@example.com approver" {
		t.Error(body)
	}
	if res, _ := h.ask(c, "GET", "/login/callback?"+back.Encode(), nil); res.StatusCode != http.StatusForbidden {
		t.Errorf("a code is taken twice: %d", res.StatusCode)
	}
	if list, _ := h.tokens.List(t.Context()); len(list) != 1 {
		t.Errorf("sign-ins are among the tokens: %+v", list)
	}
	h.ask(c, "POST", "/logout", nil)
	if res, _ := h.ask(c, "GET", "/", nil, "Accept", "text/html"); res.StatusCode != http.StatusSeeOther {
		t.Errorf("signed out, and still in: %d", res.StatusCode)
	}
}

func TestSignInsThatAreRefused(t *testing.T) {
	t.Parallel()
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		claims map[string]any
		change func(p *provider, back url.Values)
		says   string
	}{
		"another state":      {nil, func(_ *provider, b url.Values) { b.Set("state", "x") }, "begin again"},
		"no state":           {nil, func(_ *provider, b url.Values) { b.Del("state") }, "begin again"},
		"another nonce":      {map[string]any{"nonce": "x"}, nil, "begin again"},
		"a made-up code":     {nil, func(_ *provider, b url.Values) { b.Set("code", "x") }, "does not take the code"},
		"the person said no": {nil, func(_ *provider, b url.Values) { b.Set("error", "access_denied") }, "access_denied"},
		"expired":            {map[string]any{"exp": time.Now().Add(-time.Hour).Unix()}, nil, "not valid"},
		"for somebody else":  {map[string]any{"aud": "other"}, nil, "not valid"},
		"another issuer":     {map[string]any{"iss": "https://evil.example"}, nil, "not valid"},
		"another signature":  {nil, func(p *provider, _ url.Values) { p.signed = other }, "not valid"},
		"address not sure":   {map[string]any{"email_verified": false}, nil, "not verified"},
		"no address":         {map[string]any{"email": ""}, nil, "not verified"},
	} {
		t.Run(name, func(t *testing.T) {
			h, p := vouched(t)
			p.claims = c.claims
			client := still()
			back := h.begin(client, p)
			if c.change != nil {
				c.change(p, back)
			}
			res, page := h.ask(client, "GET", "/login/callback?"+back.Encode(), nil)
			if res.StatusCode != http.StatusForbidden || !strings.Contains(page, c.says) {
				t.Errorf("%d %s; want %q", res.StatusCode, page, c.says)
			}
			if res, _ := h.ask(client, "GET", "/", nil, "Accept", "text/html"); res.StatusCode != http.StatusSeeOther {
				t.Errorf("in all the same: %d", res.StatusCode)
			}
		})
	}
}

func TestASignInEndsWhereItBegan(t *testing.T) {
	t.Parallel()
	h, p := vouched(t)
	back := h.begin(still(), p)
	if res, page := h.ask(still(), "GET", "/login/callback?"+back.Encode(), nil); res.StatusCode != http.StatusForbidden || !strings.Contains(page, "begin again") {
		t.Errorf("another browser is signed in: %d %s", res.StatusCode, page)
	}
}

func TestAProviderThatIsDown(t *testing.T) {
	t.Parallel()
	h, p := vouched(t)
	p.down = true
	if res, page := h.ask(still(), "GET", "/login/start", nil); res.StatusCode != http.StatusBadGateway || !strings.Contains(page, "does not answer now") {
		t.Errorf("%d %s", res.StatusCode, page)
	}
	if res, body := h.ask(still(), "GET", "/", nil, "Authorization", "Bearer "+h.token); res.StatusCode != 200 {
		t.Errorf("tokens open all the same: %d %s", res.StatusCode, body)
	}
	p.down = false
	h.begin(still(), p)
}
