package access

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"belay/internal/bus"
	"belay/internal/bus/bustest"
	"belay/internal/console"
	"belay/internal/handoff"
)

var now = time.Date(2026, 1, 1, 3, 0, 0, 0, time.UTC)

func TestRoles(t *testing.T) {
	for a, least := range map[handoff.Action]Role{"claim": Operator, "retry": Operator, "abort": Operator, Cancel: Operator, "approve": Approver, "reject": Approver, "whatever comes": Approver} {
		enough := false
		for _, r := range Roles() {
			enough = enough || r == least
			err := Identity{Name: "mia", Role: r}.May(a)
			if (err == nil) != enough {
				t.Errorf("%s may %s: %v", r, a, err)
			}
			if err != nil && !strings.Contains(err.Error(), "mia is "+string(r)) {
				t.Error(err)
			}
		}
	}
	for _, r := range []Role{"", "root", "Admin"} {
		if (Identity{Name: "eve", Role: r}).May("claim") == nil {
			t.Errorf("%q may something", r)
		}
	}
}

// signIn is the page that people get.
func signIn(w http.ResponseWriter, status int, next, problem string, provider bool) error {
	return console.NewSignIn(console.Environment{Name: "TEST"})(w, status, console.SignIn{Next: next, Problem: problem, Provider: provider})
}

// open gives tokens that know what another process does.
func open(t *testing.T, b *bus.Bus) *Tokens {
	t.Helper()
	tokens, err := OpenTokens(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ready, end := make(chan struct{}), make(chan error, 1)
	go func() { end <- tokens.Watch(ctx, func() { close(ready) }, func(error) {}) }()
	<-ready
	t.Cleanup(func() {
		cancel()
		if err := <-end; err != nil {
			t.Error(err)
		}
	})
	return tokens
}

// eventually waits for what another process has done to be known here.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); {
		if ok() {
			return
		}
	}
	t.Fatal("never: " + what)
}

func TestTokens(t *testing.T) {
	b := bustest.Connect(t)
	office, door := open(t, b), open(t, b)
	text, made, err := office.Make(t.Context(), Token{Name: "mia's phone", Owner: "mia", Role: Approver, By: "root", Expires: now.Add(time.Hour)}, now)
	if err != nil || !strings.HasPrefix(text, "belay_"+made.ID+"_") {
		t.Fatalf("%q, %+v, %v", text, made, err)
	}
	eventually(t, "the token opens", func() bool {
		who, _, err := door.Check(text, now)
		return err == nil && who.Name == "mia" && who.Role == Approver
	})
	if _, why, err := door.Check(text, now.Add(2*time.Hour)); !errors.Is(err, ErrToken) || why != "expired" {
		t.Errorf("%s, %v", why, err)
	}
	for _, forged := range []string{
		"", "belay_", text[:len(text)-1], text + "x", text[:len(text)-1] + "!", strings.ToUpper(text), "Belay" + text[5:],
		"belay_" + strings.Repeat("0", 16) + text[22:], "belay_" + made.ID + "_" + strings.Repeat("A", 43), strings.Replace(text, "_", ".", 2),
	} {
		if who, _, err := door.Check(forged, now); err == nil {
			t.Errorf("%q opens as %+v", forged, who)
		}
	}
	it, ok, err := office.bucket.Get(t.Context(), keyPrefix+made.ID)
	if err != nil || !ok || strings.Contains(string(it.Value), text[23:]) {
		t.Errorf("the secret is stored: %s", it.Value)
	}
	if list, err := office.List(t.Context()); err != nil || len(list) != 1 || list[0].Owner != "mia" {
		t.Errorf("%+v, %v", list, err)
	}
	for range 2 {
		if err := office.Revoke(t.Context(), made.ID, now); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "it is revoked everywhere", func() bool { _, why, _ := door.Check(text, now); return why == "revoked" })
	if err := office.Revoke(t.Context(), "0000000000000000", now); !errors.Is(err, ErrNoToken) {
		t.Error(err)
	}
	if list, _ := office.List(t.Context()); len(list) != 1 || list[0].Revoked.IsZero() {
		t.Errorf("%+v", list)
	}
}

// TestRightsEndWithTheirToken: also those of something that was begun with it and goes on.
func TestRightsEndWithTheirToken(t *testing.T) {
	tokens := open(t, bustest.Connect(t))
	text, made, err := tokens.Make(t.Context(), Token{Name: "bo", Role: Operator, Expires: now.Add(time.Hour)}, now)
	if err != nil {
		t.Fatal(err)
	}
	var who Identity
	eventually(t, "the token opens", func() bool {
		who, _, err = tokens.Check(text, now)
		return err == nil
	})
	at := now
	may := tokens.Rights(who, func() time.Time { return at })
	if err := may("retry"); err != nil {
		t.Error(err)
	}
	if err := may("approve"); err == nil || errors.Is(err, ErrToken) {
		t.Errorf("an operator approves: %v", err)
	}
	if at = now.Add(2 * time.Hour); !errors.Is(may("retry"), ErrToken) {
		t.Error("it lasts longer than its token")
	}
	at = now
	if err := tokens.Revoke(t.Context(), made.ID, now); err != nil {
		t.Fatal(err)
	}
	eventually(t, "its rights end", func() bool { return errors.Is(may("retry"), ErrToken) })
}

// TestWhatWasDeletedWhileNobodyListened opens nothing once somebody listens again.
func TestWhatWasDeletedWhileNobodyListened(t *testing.T) {
	tokens, err := OpenTokens(t.Context(), bustest.Connect(t))
	if err != nil {
		t.Fatal(err)
	}
	text, made, err := tokens.Make(t.Context(), Token{Name: "bo", Role: Operator}, now)
	if err != nil {
		t.Fatal(err)
	}
	listen := func() {
		ctx, stop := context.WithCancel(t.Context())
		if err := tokens.listen(ctx, stop); err != nil {
			t.Fatal(err)
		}
	}
	listen()
	if _, why, err := tokens.Check(text, now); err != nil {
		t.Fatal(why)
	}
	if err := tokens.bucket.Delete(t.Context(), keyPrefix+made.ID); err != nil {
		t.Fatal(err)
	}
	listen()
	if _, _, err := tokens.Check(text, now); err == nil {
		t.Error("it still opens")
	}
}

func TestWrongTokensAreNotMade(t *testing.T) {
	tokens := open(t, bustest.Connect(t))
	for _, m := range []Token{{Name: "x", Role: "root"}, {Name: "x"}, {Name: " ", Role: Viewer}, {Name: strings.Repeat("x", 201), Role: Viewer}} {
		if text, _, err := tokens.Make(t.Context(), m, now); err == nil {
			t.Errorf("%+v is made: %s", m, text)
		}
	}
	if _, m, err := tokens.Make(t.Context(), Token{Name: "ci", Role: Viewer}, now); err != nil || m.Owner != "ci" {
		t.Errorf("%+v, %v", m, err)
	}
}

// house is a gate before pages that say who is there.
type house struct {
	*httptest.Server
	t      *testing.T
	tokens *Tokens
	gate   *Gate
	token  string // of an approver
	acts   int    // what was changed
	pages  http.Handler
}

func newHouse(t *testing.T, secure bool) *house {
	t.Helper()
	h := &house{t: t, tokens: open(t, bustest.Connect(t))}
	h.gate = NewGate(Options{Secure: secure, Tokens: h.tokens, Page: signIn, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	h.pages = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			h.acts++
		}
		_, _ = io.WriteString(w, Who(r).Name+" "+string(Who(r).Role))
	})
	h.Server = httptest.NewServer(h.gate.Wrap(h.pages))
	t.Cleanup(h.Close)
	h.gate.Hosts = []string{strings.TrimPrefix(h.URL, "http://")}
	var err error
	if h.token, _, err = h.tokens.Make(t.Context(), Token{Name: "phone", Owner: "mia", Role: Approver}, now); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the token opens", func() bool { _, _, err := h.tokens.Check(h.token, now); return err == nil })
	return h
}

func (h *house) ask(c *http.Client, method, path string, form url.Values, header ...string) (*http.Response, string) {
	h.t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), method, h.URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		h.t.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
		}
		r.Header.Set(header[i], header[i+1])
	}
	res, err := c.Do(r)
	if err != nil {
		h.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, _ := io.ReadAll(res.Body)
	return res, string(body)
}

// still does not follow redirects.
func still() *http.Client {
	jar, _ := cookiejar.New(nil)
	return &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func TestTheGate(t *testing.T) {
	h := newHouse(t, false)
	bearer := "Bearer " + h.token
	for name, c := range map[string]struct {
		method string
		header []string
		want   int
	}{
		"nobody, a program":        {"GET", nil, 401},
		"nobody, a browser":        {"GET", []string{"Accept", "text/html"}, 303},
		"nobody posts":             {"POST", []string{"Accept", "text/html"}, 401},
		"a token":                  {"GET", []string{"Authorization", bearer}, 200},
		"a token posts":            {"POST", []string{"Authorization", bearer}, 200},
		"another host":             {"GET", []string{"Authorization", bearer, "Host", "evil.example"}, 421},
		"a host like ours":         {"GET", []string{"Authorization", bearer, "Host", "localhost"}, 421},
		"from another page":        {"POST", []string{"Authorization", bearer, "Origin", "https://evil.example"}, 403},
		"from another site":        {"POST", []string{"Authorization", bearer, "Sec-Fetch-Site", "cross-site"}, 403},
		"from our page":            {"POST", []string{"Authorization", bearer, "Sec-Fetch-Site", "same-origin"}, 200},
		"another page looks":       {"GET", []string{"Authorization", bearer, "Origin", "https://evil.example"}, 200},
		"a wrong token":            {"GET", []string{"Authorization", "Bearer belay_x"}, 401},
		"a token in another place": {"GET", []string{"Authorization", "Basic " + h.token}, 401},
	} {
		before := h.acts
		res, body := h.ask(still(), c.method, "/e/run-1", nil, c.header...)
		if res.StatusCode != c.want || (h.acts > before) != (c.method == "POST" && c.want == 200) {
			t.Errorf("%s: %d %s; want %d", name, res.StatusCode, body, c.want)
		}
		if res.StatusCode == 200 && body != "mia approver" {
			t.Errorf("%s: %s is there", name, body)
		}
		if res.Header.Get("Content-Security-Policy") == "" || res.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: without security headers: %v", name, res.Header)
		}
		if res.StatusCode == 401 && (res.Header.Get("WWW-Authenticate") == "" || res.Header.Get("Content-Type") != "application/problem+json") {
			t.Errorf("%s: %v %s", name, res.Header, body)
		}
	}
}

func TestSigningIn(t *testing.T) {
	h := newHouse(t, false)
	c := still()
	res, _ := h.ask(c, "GET", "/e/run-1?x=1", nil, "Accept", "text/html")
	if res.Header.Get("Location") != "/login?next=%2Fe%2Frun-1%3Fx%3D1" {
		t.Fatal(res.Header)
	}
	_, page := h.ask(c, "GET", res.Header.Get("Location"), nil)
	if !strings.Contains(page, `value="/e/run-1?x=1"`) || !strings.Contains(page, `name="token"`) {
		t.Error(page)
	}
	if res, page := h.ask(c, "POST", "/login", url.Values{"token": {"wrong"}, "next": {"/e/run-1"}}); res.StatusCode != 401 || !strings.Contains(page, "not valid") || !strings.Contains(page, "/e/run-1") {
		t.Errorf("%d %s", res.StatusCode, page)
	}
	if res, _ := h.ask(c, "POST", "/login", url.Values{"token": {h.token}}, "Origin", "https://evil.example"); res.StatusCode != 403 {
		t.Errorf("another page signs somebody in: %d", res.StatusCode)
	}
	res, _ = h.ask(c, "POST", "/login", url.Values{"token": {h.token}, "next": {"/e/run-1"}})
	set := res.Cookies()
	if res.StatusCode != 303 || res.Header.Get("Location") != "/e/run-1" || len(set) != 1 || !set[0].HttpOnly || set[0].SameSite != http.SameSiteLaxMode || set[0].Secure {
		t.Fatalf("%d %v %v", res.StatusCode, res.Header, set)
	}
	if _, body := h.ask(c, "GET", "/", nil, "Accept", "text/html"); body != "mia approver" {
		t.Error(body)
	}
	if err := h.tokens.Revoke(t.Context(), h.token[6:22], now); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a revoked token signs out", func() bool {
		res, _ := h.ask(c, "GET", "/", nil, "Accept", "text/html")
		return res.StatusCode == 303
	})
	if res, _ := h.ask(c, "POST", "/logout", nil); res.Cookies()[0].MaxAge != -1 {
		t.Error(res.Cookies())
	}
}

func TestCookiesBehindHTTPS(t *testing.T) {
	h := newHouse(t, true)
	res, _ := h.ask(still(), "POST", "/login", url.Values{"token": {h.token}})
	if c := res.Cookies()[0]; c.Name != "__Host-belay" || !c.Secure || c.Path != "/" || c.Domain != "" {
		t.Errorf("%+v", c)
	}
}

// TestNextStaysHere: a link to the sign-in page must not lead elsewhere afterwards.
func TestNextStaysHere(t *testing.T) {
	for _, evil := range []string{"", "https://evil.example", "//evil.example", "/\\evil.example", "\\\\evil", "javascript:alert(1)", "/\r\nSet-Cookie: x=1", "evil", "http:/x", "/\x00", "///evil"} {
		if got := local(evil); got != "/" {
			t.Errorf("%q leads to %q", evil, got)
		}
	}
	for _, fine := range []string{"/", "/e/run-1", "/?q=a&b=c", "/e/run-1/approve#x"} {
		if got := local(fine); got != fine {
			t.Errorf("%q leads to %q", fine, got)
		}
	}
}

func TestGuessing(t *testing.T) {
	h := newHouse(t, false)
	guess := func() int {
		res, _ := h.ask(still(), "GET", "/", nil, "Authorization", "Bearer belay_x")
		return res.StatusCode
	}
	for range mostWrong {
		if got := guess(); got != 401 {
			t.Fatal(got)
		}
	}
	res, _ := h.ask(still(), "GET", "/", nil, "Authorization", "Bearer belay_y")
	if guess() != 429 || res.StatusCode != 429 || res.Header.Get("Retry-After") == "" {
		t.Error("guessing goes on")
	}
	if res, body := h.ask(still(), "GET", "/", nil, "Authorization", "Bearer "+h.token); res.StatusCode != 200 {
		t.Errorf("a guesser behind the same proxy keeps mia out: %d %s", res.StatusCode, body)
	}
	h.gate.Now = func() time.Time { return time.Now().Add(2 * window) }
	if got := guess(); got != 401 {
		t.Errorf("a minute later: %d", got)
	}
}

func TestGuessersTakeBoundedRoom(t *testing.T) {
	tries := newTries()
	for i := range 3 * mostSeen {
		tries.wrong(strings.Repeat("x", i%7)+string(rune(i)), now)
	}
	if len(tries.seen) > mostSeen {
		t.Errorf("%d addresses are remembered", len(tries.seen))
	}
}

func FuzzParse(f *testing.F) {
	f.Add("belay_0123456789abcdef_0123456789012345678901234567890123456789012")
	f.Fuzz(func(t *testing.T, text string) {
		if id, secret, ok := parse(text); ok && "belay_"+id+"_"+secret != text {
			t.Errorf("%q is %q and %q", text, id, secret)
		}
	})
}
