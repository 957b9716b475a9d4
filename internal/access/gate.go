package access

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Options say whom a [Gate] lets in.
type Options struct {
	Hosts  []string // host names, with the port where it is not the scheme's own, under which the pages are reached
	Secure bool     // they are reached by https, perhaps through a proxy: cookies say so
	Tokens *Tokens
	OIDC   *OIDCOptions // nil: only tokens sign in
	Page   SignInPage   // shows who is not signed in how to
	Now    func() time.Time
	Log    *slog.Logger
}

// Gate stands in front of console and API. In this order: the Host header must be one of ours (a name of somebody
// else's may point here); a request that changes something must come from our own pages; whoever asks shows a token, as
// a bearer or in the cookie that the sign-in page sets.
type Gate struct {
	Options
	cross http.CrossOriginProtection
	tries *tries
	oidc  *oidcSignIn
}

// NewGate makes one.
func NewGate(o Options) *Gate {
	g := &Gate{Options: o, tries: newTries()}
	if o.OIDC != nil {
		g.oidc = &oidcSignIn{OIDCOptions: *o.OIDC}
	}
	return g
}

type identityKey struct{}

// Who is whom the gate has let in with a request.
func Who(r *http.Request) Identity {
	who, _ := r.Context().Value(identityKey{}).(Identity)
	return who
}

// cookieName: with the __Host- prefix a browser takes it only from this very host, over https.
func (g *Gate) cookieName() string {
	if g.Secure {
		return "__Host-belay"
	}
	return "belay"
}

// Wrap puts the gate in front of pages.
func (g *Gate) Wrap(next http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /login", g.loginPage)
	mux.HandleFunc("POST /login", g.login)
	mux.HandleFunc("POST /logout", g.logout)
	if g.oidc != nil {
		mux.HandleFunc("GET "+startPath, g.start) // a link: form-action keeps forms from being sent on to elsewhere
		mux.HandleFunc("GET "+callbackPath, g.callback)
	}
	mux.HandleFunc("GET /static/", next.ServeHTTP) // looks and scripts tell nobody anything
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { g.letIn(w, r, next) })
	inner := g.cross.Handler(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		Headers(w.Header())
		if !g.ours(r.Host) {
			http.Error(w, "these pages are not reached under this host name: set --public-url", http.StatusMisdirectedRequest)
			return
		}
		inner.ServeHTTP(w, r)
	})
}

func (g *Gate) ours(host string) bool {
	for _, h := range g.Hosts {
		if strings.EqualFold(h, host) {
			return true
		}
	}
	return false
}

// Headers are on every answer: a page loads and sends nothing elsewhere, and is shown in no other page.
func Headers(h http.Header) {
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
}

// letIn finds out who asks.
func (g *Gate) letIn(w http.ResponseWriter, r *http.Request, next http.Handler) {
	text, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !bearer {
		if c, err := r.Cookie(g.cookieName()); err == nil {
			text = c.Value
		}
	}
	if text == "" {
		g.turnAway(w, r, "show an API token: Authorization: Bearer belay_...")
		return
	}
	who, err := g.check(r, text)
	var busy *tooOften
	switch {
	case errors.As(err, &busy):
		w.Header().Set("Retry-After", "60")
		Problem(w, http.StatusTooManyRequests, "rate_limited", "Too many wrong tokens", "wait a minute")
	case err != nil:
		g.turnAway(w, r, err.Error())
	default:
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), identityKey{}, who)))
	}
}

// check finds out whose token it is. Wrong ones are counted by where they come from, which may be a proxy that many come
// through: so a good one is let in however many wrong ones came before it.
func (g *Gate) check(r *http.Request, text string) (Identity, error) {
	who, why, err := g.Tokens.Check(text, g.Now())
	if err == nil {
		return who, nil
	}
	from, _, split := net.SplitHostPort(r.RemoteAddr)
	if split != nil {
		from = r.RemoteAddr
	}
	if g.tries.tooMany(from, g.Now()) {
		return Identity{}, &tooOften{}
	}
	g.tries.wrong(from, g.Now())
	g.Log.Warn("a token was refused", "from", from, "why", why)
	return who, err
}

// turnAway sends people to the sign-in page, and tells programs.
func (g *Gate) turnAway(w http.ResponseWriter, r *http.Request, detail string) {
	if r.Method == http.MethodGet && strings.Contains(r.Header.Get("Accept"), "text/html") {
		http.Redirect(w, r, "/login?next="+url.QueryEscape(r.URL.RequestURI()), http.StatusSeeOther)
		return
	}
	w.Header().Set("WWW-Authenticate", `Bearer realm="belay"`)
	Problem(w, http.StatusUnauthorized, "unauthorized", "Who are you?", detail)
}

// SignInPage shows the page on which people sign in: where they want to go then, what is wrong, and whether a provider
// vouches for people.
type SignInPage func(w http.ResponseWriter, status int, next, problem string, provider bool) error

type loginData struct{ Next, Problem string }

func (g *Gate) loginPage(w http.ResponseWriter, r *http.Request) {
	g.showLogin(w, http.StatusOK, loginData{Next: local(r.URL.Query().Get("next"))})
}

func (g *Gate) showLogin(w http.ResponseWriter, status int, d loginData) {
	if err := g.Page(w, status, d.Next, d.Problem, g.oidc != nil); err != nil {
		g.Log.Debug("the sign-in page was not sent", "error", err)
	}
}

// session is how long a browser stays signed in.
const session = 12 * time.Hour

func (g *Gate) login(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 4<<10)
	next, text := local(r.PostFormValue("next")), strings.TrimSpace(r.PostFormValue("token"))
	if _, err := g.check(r, text); err != nil {
		g.showLogin(w, http.StatusUnauthorized, loginData{Next: next, Problem: err.Error()})
		return
	}
	// The token itself is the session: revoking it signs out. Lax, not Strict: a link from a chat must arrive signed in,
	// and nothing changes on a GET.
	g.cookie(w, g.cookieName(), text, session)
	http.Redirect(w, r, next, http.StatusSeeOther)
}

func (g *Gate) logout(w http.ResponseWriter, r *http.Request) {
	if c, err := r.Cookie(g.cookieName()); err == nil {
		g.Tokens.signOut(r.Context(), c.Value, g.Now())
	}
	g.cookie(w, g.cookieName(), "", -time.Second)
	http.Redirect(w, r, "/login", http.StatusSeeOther)
}

// local is a path on these pages, whatever somebody has put into a link.
func local(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.ContainsAny(next, "\\\x00\r\n\t") {
		return "/"
	}
	return next
}

// tooOften is of somebody who has shown too many wrong tokens.
type tooOften struct{}

func (*tooOften) Error() string { return "too many wrong tokens; wait a minute" }

// digest keeps addresses of equal length.
func digest(s string) [8]byte {
	sum := sha256.Sum256([]byte(s))
	return [8]byte(sum[:8])
}
