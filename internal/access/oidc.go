package access

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// OIDCOptions say who vouches for people, and what their groups may do.
type OIDCOptions struct {
	Issuer       string            // URL of the provider
	ClientID     string            // of this console there
	ClientSecret string            // empty for a public client
	PublicURL    string            // where people reach the console; the provider sends them to <PublicURL>/login/callback
	Claim        string            // of the token that lists groups; default "groups"
	Roles        map[Role][]string // groups by role; "*" is everybody who can sign in
}

// oidcSignIn is the way to sign in through a provider: authorization code with PKCE. It is found when it is needed, so a
// provider that is down keeps nothing from starting.
type oidcSignIn struct {
	OIDCOptions
	mu       sync.Mutex
	provider *oidc.Provider
}

// find asks the provider who it is, once it answers.
func (s *oidcSignIn) find(ctx context.Context) (*oidc.Provider, *oauth2.Config, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.provider == nil {
		// The provider fetches keys later with the context that it is made with.
		p, err := oidc.NewProvider(context.WithoutCancel(ctx), s.Issuer)
		if err != nil {
			return nil, nil, fmt.Errorf("%s does not answer as a sign-in provider now: %w", s.Issuer, err)
		}
		s.provider = p
	}
	return s.provider, &oauth2.Config{
		ClientID: s.ClientID, ClientSecret: s.ClientSecret, Endpoint: s.provider.Endpoint(),
		RedirectURL: strings.TrimSuffix(s.PublicURL, "/") + callbackPath, Scopes: []string{oidc.ScopeOpenID, "email", "profile", "groups"},
	}, nil
}

const (
	startPath    = "/login/start"
	callbackPath = "/login/callback"
	signInTime   = 10 * time.Minute
)

// attempt is one way to the provider and back. It travels in a cookie, so that only the browser that began can end it.
type attempt struct {
	State    string `json:"s"`
	Nonce    string `json:"n"`
	Verifier string `json:"v"`
	Next     string `json:"x"`
}

func random() string {
	var b [24]byte
	rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// start sends a browser to the provider.
func (g *Gate) start(w http.ResponseWriter, r *http.Request) {
	_, config, err := g.oidc.find(r.Context())
	if err != nil {
		g.Log.Warn("nobody can sign in", "error", err)
		g.showLogin(w, http.StatusBadGateway, loginData{Next: local(r.FormValue("next")), Problem: "The sign-in provider does not answer now. Try again."})
		return
	}
	a := attempt{random(), random(), oauth2.GenerateVerifier(), local(r.FormValue("next"))}
	text, err := json.Marshal(a)
	if err != nil {
		g.showLogin(w, http.StatusInternalServerError, loginData{Problem: err.Error()})
		return
	}
	g.cookie(w, g.cookieName()+"-way", base64.RawURLEncoding.EncodeToString(text), signInTime)
	http.Redirect(w, r, config.AuthCodeURL(a.State, oidc.Nonce(a.Nonce), oauth2.S256ChallengeOption(a.Verifier)), http.StatusSeeOther)
}

// callback is where the provider sends people back to.
func (g *Gate) callback(w http.ResponseWriter, r *http.Request) {
	next, who, err := g.signedIn(r)
	g.cookie(w, g.cookieName()+"-way", "", -time.Second)
	if err != nil {
		g.Log.Warn("a sign-in was refused", "error", err)
		g.showLogin(w, http.StatusForbidden, loginData{Next: next, Problem: "You were not signed in: " + err.Error()})
		return
	}
	now := g.Now()
	g.Tokens.tidy(r.Context(), now)
	text, made, err := g.Tokens.Make(r.Context(), Token{Name: "sign-in", Owner: who.Name, Role: who.Role, By: g.oidc.Issuer, Expires: now.Add(session), SignIn: true}, now)
	if err == nil {
		err = g.Tokens.await(r.Context(), made.ID)
	}
	if err != nil {
		g.showLogin(w, http.StatusServiceUnavailable, loginData{Next: next, Problem: err.Error()})
		return
	}
	g.cookie(w, g.cookieName(), text, session)
	http.Redirect(w, r, next, http.StatusSeeOther)
}

// errWay is of a sign-in that did not begin in this browser, or too long ago.
var errWay = errors.New("it did not begin in this browser, or it took too long; begin again")

// signedIn checks what the provider says, and gives the person.
func (g *Gate) signedIn(r *http.Request) (next string, who Identity, err error) {
	var a attempt
	c, err := r.Cookie(g.cookieName() + "-way")
	if err != nil {
		return "/", who, errWay
	}
	text, err := base64.RawURLEncoding.DecodeString(c.Value)
	if err != nil || json.Unmarshal(text, &a) != nil || a.State == "" || a.State != r.FormValue("state") {
		return "/", who, errWay
	}
	next = local(a.Next)
	if denied := r.FormValue("error"); denied != "" {
		return next, who, fmt.Errorf("the provider says %.40q", denied)
	}
	claims, err := g.claims(r.Context(), r.FormValue("code"), a)
	if err != nil {
		return next, who, err
	}
	who, err = g.oidc.identity(claims)
	return next, who, err
}

// claims trades the code for a token and checks that.
func (g *Gate) claims(ctx context.Context, code string, a attempt) (map[string]any, error) {
	provider, config, err := g.oidc.find(ctx)
	if err != nil {
		return nil, err
	}
	tokens, err := config.Exchange(ctx, code, oauth2.VerifierOption(a.Verifier))
	if err != nil {
		return nil, errors.New("the provider does not take the code") // its words may hold secrets
	}
	raw, _ := tokens.Extra("id_token").(string)
	id, err := provider.Verifier(&oidc.Config{ClientID: g.oidc.ClientID, Now: g.Now}).Verify(ctx, raw)
	if err != nil {
		return nil, fmt.Errorf("the provider's token is not valid: %w", err)
	}
	if id.Nonce != a.Nonce {
		return nil, errWay
	}
	claims := map[string]any{}
	return claims, id.Claims(&claims)
}

// identity is the person that claims are about: by a verified address, and the highest role of their groups.
func (s *oidcSignIn) identity(claims map[string]any) (Identity, error) {
	name, _ := claims["email"].(string)
	if verified, _ := claims["email_verified"].(bool); !verified || name == "" {
		return Identity{}, errors.New("the provider has not verified your address")
	}
	key := s.Claim
	if key == "" {
		key = "groups"
	}
	groups := []string{"*"}
	list, _ := claims[key].([]any)
	for _, g := range list {
		if text, ok := g.(string); ok && text != "*" {
			groups = append(groups, text)
		}
	}
	for _, role := range slices.Backward(Roles()) {
		if slices.ContainsFunc(s.Roles[role], func(g string) bool { return slices.Contains(groups, g) }) {
			return Identity{Name: name, Role: role}, nil
		}
	}
	return Identity{}, fmt.Errorf("%s is in no group that may do anything here", name)
}

// cookie sets a cookie of this host alone; a negative time takes it away.
func (g *Gate) cookie(w http.ResponseWriter, name, value string, keep time.Duration) {
	http.SetCookie(w, &http.Cookie{Name: name, Value: value, Path: "/", MaxAge: int(keep.Seconds()), HttpOnly: true, Secure: g.Secure, SameSite: http.SameSiteLaxMode})
}
