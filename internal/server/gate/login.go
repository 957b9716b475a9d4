package gate

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"belay/internal/people"
)

// SignInPage shows the page on which people sign in: where they want to go then, what is wrong, and whether a provider
// vouches for people.
type SignInPage func(w http.ResponseWriter, status int, next, problem string, provider bool) error

type loginData struct{ Next, Problem string }

func (g *Gate) loginPage(w http.ResponseWriter, r *http.Request) {
	g.showLogin(w, http.StatusOK, loginData{Next: local(r.URL.Query().Get("next"))})
}

func (g *Gate) showLogin(w http.ResponseWriter, status int, d loginData) {
	if err := g.Page(w, status, d.Next, d.Problem, g.OIDC != nil); err != nil {
		g.Logger.Debug("the sign-in page was not sent", "error", err)
	}
}

// session is how long a browser stays signed in.
const session = 12 * time.Hour

func (g *Gate) login(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 4<<10)
	next, text := local(r.PostFormValue("next")), strings.TrimSpace(r.PostFormValue("token"))
	who, err := g.check(r, text)
	if err != nil {
		g.showLogin(w, http.StatusUnauthorized, loginData{Next: next, Problem: err.Error()})
		return
	}
	if err := who.May(people.Look); err != nil {
		g.showLogin(w, http.StatusForbidden, loginData{Next: next, Problem: err.Error()})
		return
	}
	// The token itself is the session: revoking it signs out. Lax, not Strict: a link from a chat must arrive signed in,
	// and nothing changes on a GET.
	g.cookie(w, g.cookieName(), text, session)
	http.Redirect(w, r, next, http.StatusSeeOther)
}

func (g *Gate) logout(w http.ResponseWriter, r *http.Request) {
	if c, err := r.Cookie(g.cookieName()); err == nil {
		g.Tokens.SignOut(r.Context(), c.Value, g.Now())
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

// cookie sets a cookie of this host alone; a negative time takes it away.
func (g *Gate) cookie(w http.ResponseWriter, name, value string, keep time.Duration) {
	http.SetCookie(w, &http.Cookie{Name: name, Value: value, Path: "/", MaxAge: int(keep.Seconds()), HttpOnly: true, Secure: g.Secure, SameSite: http.SameSiteLaxMode})
}
