package access

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"belay/internal/outbound"
	"belay/internal/people"
)

// OIDCOptions say who vouches for people, and what their groups may do.
type OIDCOptions struct {
	Issuer       string                   // URL of the provider
	ClientID     string                   // of this console there
	ClientSecret string                   // empty for a public client
	PublicURL    string                   // where people reach the console; the provider sends them to <PublicURL>/login/callback
	Outbound     outbound.Policy          // how the provider is reached
	Claim        string                   // of the token that lists groups; default "groups"
	Roles        map[people.Role][]string // groups by role, but for submitter; "*" is everybody who can sign in
}

// OIDC is the way to sign in through a provider: authorization code with PKCE. The provider is looked up when it is first
// needed: one that is down keeps nothing from starting.
type OIDC struct {
	OIDCOptions
	client   *http.Client
	mu       sync.Mutex
	provider *oidc.Provider
}

// NewOIDC makes one that has not asked the provider anything yet.
func NewOIDC(o OIDCOptions) *OIDC {
	return &OIDC{OIDCOptions: o, client: &http.Client{Transport: o.Outbound.Transport(outbound.Written, providerWait)}}
}

// providerWait is how long it may take to connect to the provider.
const providerWait = 10 * time.Second

// find asks the provider who it is, once it answers.
func (s *OIDC) find(ctx context.Context) (*oidc.Provider, *oauth2.Config, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.provider == nil {
		// The provider fetches keys later with the context that it is made with.
		p, err := oidc.NewProvider(oidc.ClientContext(context.WithoutCancel(ctx), s.client), s.Issuer)
		if err != nil {
			return nil, nil, fmt.Errorf("%s does not answer as a sign-in provider now: %w", s.Issuer, err)
		}
		s.provider = p
	}
	return s.provider, &oauth2.Config{
		ClientID: s.ClientID, ClientSecret: s.ClientSecret, Endpoint: s.provider.Endpoint(),
		RedirectURL: strings.TrimSuffix(s.PublicURL, "/") + CallbackPath, Scopes: []string{oidc.ScopeOpenID, "email", "profile", "groups"},
	}, nil
}

// CallbackPath is where the provider sends people back to, below the public URL.
const CallbackPath = "/login/callback"

// ErrAttempt says that a sign-in did not begin in this browser, or too long ago.
var ErrAttempt = errors.New("it did not begin in this browser, or it took too long; begin again")

// Attempt is one way to the provider and back. It travels in a cookie, so that only the browser that began can end it.
type Attempt struct {
	State    string `json:"s"` // comes back with the browser
	Nonce    string `json:"n"` // comes back in the provider's token
	Verifier string `json:"v"` // proves to the provider that whoever ends it began it (PKCE)
	Next     string `json:"x"` // the path that is shown afterwards
	URL      string `json:"-"` // where the browser is sent
}

func random() string {
	var b [24]byte
	rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// Begin begins a sign-in: the browser goes to the attempt's URL, and comes back to [CallbackPath] with a code.
func (s *OIDC) Begin(ctx context.Context, next string) (Attempt, error) {
	_, config, err := s.find(ctx)
	if err != nil {
		return Attempt{}, err
	}
	a := Attempt{State: random(), Nonce: random(), Verifier: oauth2.GenerateVerifier(), Next: next}
	a.URL = config.AuthCodeURL(a.State, oidc.Nonce(a.Nonce), oauth2.S256ChallengeOption(a.Verifier))
	return a, nil
}

// Finish ends a sign-in with the code that the browser brought, and returns whom the provider vouches for.
func (s *OIDC) Finish(ctx context.Context, code string, a Attempt, now func() time.Time) (people.Actor, error) {
	claims, err := s.claims(ctx, code, a, now)
	if err != nil {
		return people.Actor{}, err
	}
	return s.identity(claims)
}

// claims trades the code for a token and checks that.
func (s *OIDC) claims(ctx context.Context, code string, a Attempt, now func() time.Time) (map[string]any, error) {
	provider, config, err := s.find(ctx)
	if err != nil {
		return nil, err
	}
	tokens, err := config.Exchange(oidc.ClientContext(ctx, s.client), code, oauth2.VerifierOption(a.Verifier))
	if err != nil {
		return nil, errors.New("the provider does not take the code") // its words may hold secrets
	}
	raw, _ := tokens.Extra("id_token").(string)
	id, err := provider.Verifier(&oidc.Config{ClientID: s.ClientID, Now: now}).Verify(ctx, raw)
	if err != nil {
		return nil, fmt.Errorf("the provider's token is not valid: %w", err)
	}
	if id.Nonce != a.Nonce {
		return nil, ErrAttempt
	}
	claims := map[string]any{}
	return claims, id.Claims(&claims)
}

// identity is the person that claims are about: by a verified address, and the highest role of their groups.
func (s *OIDC) identity(claims map[string]any) (people.Actor, error) {
	name, _ := claims["email"].(string)
	if verified, _ := claims["email_verified"].(bool); !verified || name == "" {
		return people.Actor{}, errors.New("the provider has not verified your address")
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
	for _, role := range slices.Backward(people.Roles()) {
		if slices.ContainsFunc(s.Roles[role], func(g string) bool { return slices.Contains(groups, g) }) {
			return people.Actor{Name: name, Role: role}, nil
		}
	}
	return people.Actor{}, fmt.Errorf("%s is in no group that may do anything here", name)
}
