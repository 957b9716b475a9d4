package gate

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"belay/internal/access"
	"belay/internal/exactjson"
	"belay/internal/people"
)

// signInTime is how long a sign-in through the provider may take.
const signInTime = 10 * time.Minute

// start sends a browser to the provider.
func (g *Gate) start(w http.ResponseWriter, r *http.Request) {
	a, err := g.OIDC.Begin(r.Context(), local(r.FormValue("next")))
	if err != nil {
		g.Logger.Warn("nobody can sign in", "error", err)
		g.showLogin(w, http.StatusBadGateway, loginData{Next: local(r.FormValue("next")), Problem: "The sign-in provider does not answer now. Try again."})
		return
	}
	text, err := json.Marshal(a)
	if err != nil {
		g.showLogin(w, http.StatusInternalServerError, loginData{Problem: err.Error()})
		return
	}
	g.cookie(w, g.cookieName()+"-way", base64.RawURLEncoding.EncodeToString(text), signInTime)
	http.Redirect(w, r, a.URL, http.StatusSeeOther)
}

// callback is where the provider sends people back to.
func (g *Gate) callback(w http.ResponseWriter, r *http.Request) {
	next, who, err := g.signedIn(r)
	g.cookie(w, g.cookieName()+"-way", "", -time.Second)
	if err != nil {
		g.Logger.Warn("a sign-in was refused", "error", err)
		g.showLogin(w, http.StatusForbidden, loginData{Next: next, Problem: "You were not signed in: " + err.Error()})
		return
	}
	text, err := g.Tokens.SignIn(r.Context(), who, g.OIDC.Issuer, session, g.Now())
	if err != nil {
		g.showLogin(w, http.StatusServiceUnavailable, loginData{Next: next, Problem: err.Error()})
		return
	}
	g.cookie(w, g.cookieName(), text, session)
	http.Redirect(w, r, next, http.StatusSeeOther)
}

// signedIn checks what the provider says, and gives the person.
func (g *Gate) signedIn(r *http.Request) (next string, who people.Actor, err error) {
	var a access.Attempt
	c, err := r.Cookie(g.cookieName() + "-way")
	if err != nil {
		return "/", who, access.ErrAttempt
	}
	text, err := base64.RawURLEncoding.DecodeString(c.Value)
	if err != nil || exactjson.Unmarshal(text, &a) != nil || a.State == "" || a.State != r.FormValue("state") {
		return "/", who, access.ErrAttempt
	}
	next = local(a.Next)
	if denied := r.FormValue("error"); denied != "" {
		return next, who, fmt.Errorf("the provider says %.40q", denied)
	}
	who, err = g.OIDC.Finish(r.Context(), r.FormValue("code"), a, g.Now)
	return next, who, err
}
