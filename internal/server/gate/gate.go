package gate

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

	"belay/internal/access"
	"belay/internal/people"
)

// Options say whom a [Gate] lets in.
type Options struct {
	Hosts  []string         // host names, with the port where it is not the scheme's own, under which the pages are reached
	Secure bool             // they are reached by https, perhaps through a proxy: cookies say so
	Tokens *access.Tokens   // that it accepts
	OIDC   *access.OIDC     // nil: only tokens sign in
	Page   SignInPage       // shows who is not signed in how to
	Now    func() time.Time // the clock; required
	Logger *slog.Logger     // hears of refused requests
}

// Gate lets in who shows a token. It checks in this order: the Host header must be one of ours (a name of somebody
// else's may point here); a request that changes something must come from our own pages; whoever asks shows a token, as
// a bearer or in the cookie that the sign-in page sets.
type Gate struct {
	Options
	cross http.CrossOriginProtection
	tries *tries
}

// New makes a gate.
func New(o Options) *Gate {
	return &Gate{Options: o, tries: newTries()}
}

type identityKey struct{}

// Who is whom the gate has let in with a request.
func (g *Gate) Who(r *http.Request) people.Actor {
	who, _ := r.Context().Value(identityKey{}).(people.Actor)
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
	if g.OIDC != nil {
		mux.HandleFunc("GET /login/start", g.start) // a link: form-action keeps forms from being sent on to elsewhere
		mux.HandleFunc("GET "+access.CallbackPath, g.callback)
	}
	mux.HandleFunc("GET /static/", next.ServeHTTP) // looks and scripts tell nobody anything
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { g.letIn(w, r, next) })
	g.cross.SetDenyHandler(http.HandlerFunc(crossSite))
	inner := g.cross.Handler(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		Headers(w.Header())
		if !g.ours(r.Host) {
			misdirected(w, r, "these pages are not reached under this host name: set --public-url")
			return
		}
		inner.ServeHTTP(w, r)
	})
}

// misdirected refuses a request under a host name that is not ours.
func misdirected(w http.ResponseWriter, r *http.Request, detail string) {
	if strings.Contains(r.Header.Get("Accept"), "text/html") {
		http.Error(w, detail, http.StatusMisdirectedRequest)
		return
	}
	Problem(w, http.StatusMisdirectedRequest, "misdirected", "Another host name", detail)
}

// crossSite refuses a request that changes something and comes from another site's page.
func crossSite(w http.ResponseWriter, _ *http.Request) {
	Problem(w, http.StatusForbidden, "cross_site", "From another site", "a page of another site sent this request; programs send no Origin")
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

// bearer is the scheme under which tokens are shown, as [credentials] gives it.
const bearer = "bearer"

// credentials are what a request shows in its header: the scheme, in lower case because any spelling is meant, and the rest.
func credentials(r *http.Request) (scheme, text string) {
	scheme, text, _ = strings.Cut(strings.TrimSpace(r.Header.Get("Authorization")), " ")
	return strings.ToLower(scheme), strings.TrimSpace(text)
}

// letIn finds out who asks.
func (g *Gate) letIn(w http.ResponseWriter, r *http.Request, next http.Handler) {
	scheme, text := credentials(r)
	if scheme != bearer {
		text = "" // that of a proxy before this server, if there is one
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
func (g *Gate) check(r *http.Request, text string) (people.Actor, error) {
	who, why, err := g.Tokens.Check(text, g.Now())
	if err == nil {
		return who, nil
	}
	from, _, split := net.SplitHostPort(r.RemoteAddr)
	if split != nil {
		from = r.RemoteAddr
	}
	if g.tries.tooMany(from, g.Now()) {
		return people.Actor{}, &tooOften{}
	}
	g.tries.wrong(from, g.Now())
	g.Logger.Warn("a token was refused", "from", from, "why", why)
	return who, err
}

// turnAway sends people to the sign-in page, and tells programs.
func (g *Gate) turnAway(w http.ResponseWriter, r *http.Request, detail string) {
	if r.Method == http.MethodGet && strings.Contains(r.Header.Get("Accept"), "text/html") {
		http.Redirect(w, r, "/login?next="+url.QueryEscape(r.URL.RequestURI()), http.StatusSeeOther)
		return
	}
	unauthorized(w, detail)
}

func unauthorized(w http.ResponseWriter, detail string) {
	w.Header().Set("WWW-Authenticate", `Bearer realm="belay"`)
	Problem(w, http.StatusUnauthorized, "unauthorized", "Who are you?", detail)
}

// tooOften is of somebody who has shown too many wrong tokens.
type tooOften struct{}

func (*tooOften) Error() string { return "too many wrong tokens; wait a minute" }

// digest keeps addresses of equal length.
func digest(s string) [8]byte {
	sum := sha256.Sum256([]byte(s))
	return [8]byte(sum[:8])
}
