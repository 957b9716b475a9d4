package gate

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"belay/internal/access"
	"belay/internal/access/accesstest"
	"belay/internal/bus/bustest"
	"belay/internal/people"
	"belay/internal/server/pages"
)

var now = time.Date(2026, 1, 1, 3, 0, 0, 0, time.UTC)

// house is a gate before pages that say who is there.
type house struct {
	*httptest.Server
	t      *testing.T
	tokens *access.Tokens
	gate   *Gate
	token  string // of an approver
	acts   int    // what was changed
	pages  http.Handler
}

func newHouse(t *testing.T, secure bool) *house {
	t.Helper()
	h := &house{t: t, tokens: accesstest.Open(t, bustest.Connect(t))}
	h.gate = New(Options{Secure: secure, Tokens: h.tokens, Page: pages.NewSignIn(pages.Environment{Name: "TEST"}), Now: time.Now, Logger: slog.New(slog.DiscardHandler)})
	h.pages = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			h.acts++
		}
		_, _ = io.WriteString(w, h.gate.Who(r).Name+" "+string(h.gate.Who(r).Role))
	})
	h.Server = httptest.NewServer(h.gate.Wrap(h.pages))
	t.Cleanup(h.Close)
	h.gate.Hosts = []string{strings.TrimPrefix(h.URL, "http://")}
	var err error
	if h.token, _, err = h.tokens.Make(t.Context(), access.Token{Name: "phone", Owner: "mia", Role: people.Approver}, now); err != nil {
		t.Fatal(err)
	}
	accesstest.Eventually(t, "the token opens", func() bool { _, _, err := h.tokens.Check(h.token, now); return err == nil })
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
	t.Parallel()
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
	t.Parallel()
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
	accesstest.Eventually(t, "a revoked token signs out", func() bool {
		res, _ := h.ask(c, "GET", "/", nil, "Accept", "text/html")
		return res.StatusCode == 303
	})
	if res, _ := h.ask(c, "POST", "/logout", nil); res.Cookies()[0].MaxAge != -1 {
		t.Error(res.Cookies())
	}
}

func TestCookiesBehindHTTPS(t *testing.T) {
	t.Parallel()
	h := newHouse(t, true)
	res, _ := h.ask(still(), "POST", "/login", url.Values{"token": {h.token}})
	if c := res.Cookies()[0]; c.Name != "__Host-belay" || !c.Secure || c.Path != "/" || c.Domain != "" {
		t.Errorf("%+v", c)
	}
}

// TestNextStaysHere: a link to the sign-in page must not lead elsewhere afterwards.
func TestNextStaysHere(t *testing.T) {
	t.Parallel()
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
	t.Parallel()
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
	t.Parallel()
	tries := newTries()
	for i := range 3 * mostSeen {
		tries.wrong(strings.Repeat("x", i%7)+string(rune(i)), now)
	}
	if len(tries.seen) > mostSeen {
		t.Errorf("%d addresses are remembered", len(tries.seen))
	}
}
