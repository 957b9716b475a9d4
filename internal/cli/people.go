package cli

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"belay/internal/access"
	"belay/internal/console"
	"belay/internal/engine"
	"belay/internal/handoff"
	"belay/internal/web"
)

// siteFlags say how people reach the pages of a dispatcher.
type siteFlags struct {
	publicURL   string
	environment string
	runbook     string

	issuer, clientID, clientSecret, claim string   // of a sign-in provider
	roles                                 []string // role=group
}

func (f *siteFlags) add(fl *pflag.FlagSet) {
	fl.StringVar(&f.publicURL, "public-url", "", "where people reach the console, like https://belay.example.com; without it only on a loopback address")
	fl.StringVar(&f.environment, "environment", "", "name on every page, with a colour: \"PROD eu-1:red\" (red, amber, green, blue, grey)")
	fl.StringVar(&f.runbook, "runbook", "", "page that cards lead to: https://wiki.example.com/{tool}#{class}; also {kind}, {workflow}, {step}")
	fl.StringVar(&f.issuer, "oidc-issuer", "", "OpenID Connect provider that people sign in with; its client's redirect is <public-url>/login/callback")
	fl.StringVar(&f.clientID, "oidc-client-id", "belay", "of this console at the provider")
	fl.StringVar(&f.clientSecret, "oidc-client-secret", "", "of this console at the provider (BELAY_OIDC_CLIENT_SECRET); empty for a public client")
	fl.StringVar(&f.claim, "oidc-groups-claim", "groups", "claim that lists somebody's groups")
	fl.StringSliceVar(&f.roles, "oidc-role", nil, "what a group may: role=group, as in approver=payments-leads,viewer=*")
}

// oidc is the provider; nil without one.
func (f siteFlags) oidc() (*access.OIDCOptions, error) {
	if f.issuer == "" {
		return nil, nil
	}
	if f.publicURL == "" {
		return nil, usage("--oidc-issuer needs --public-url: the provider sends people back there")
	}
	o := &access.OIDCOptions{Issuer: f.issuer, ClientID: f.clientID, ClientSecret: f.clientSecret, PublicURL: f.publicURL, Claim: f.claim, Roles: map[access.Role][]string{}}
	for _, text := range f.roles {
		role, group, ok := strings.Cut(text, "=")
		if !ok || group == "" || !slices.Contains(access.Roles(), access.Role(role)) {
			return nil, usage("--oidc-role %q: it is role=group, with the role viewer, operator, approver or admin", text)
		}
		o.Roles[access.Role(role)] = append(o.Roles[access.Role(role)], group)
	}
	if len(o.Roles) == 0 {
		return nil, usage("--oidc-issuer needs --oidc-role: else nobody who signs in may do anything")
	}
	return o, nil
}

// check finds mistakes before anything has begun.
func (f siteFlags) check() error {
	if _, _, err := f.hosts(""); err != nil {
		return err
	}
	if err := console.Runbook(f.runbook).Check(); err != nil {
		return usage("--runbook %v", err)
	}
	_, err := f.oidc()
	return err
}

// letIn asks everybody for a token.
func letIn(tokens *access.Tokens) handoff.LetIn {
	return func(_ context.Context, token, _ string) (handoff.Person, error) {
		who, _, err := tokens.Check(token, time.Now())
		if err != nil {
			return handoff.Person{}, fmt.Errorf("%w: set BELAY_API_TOKEN to one; an admin makes it with `dispatcher token create NAME --role approver`", err)
		}
		return handoff.Person{Name: who.Name, May: tokens.Rights(who, time.Now)}, nil
	}
}

// tokenGate is the gate as the pages see it.
type tokenGate struct{ *access.Gate }

// Who implements [web.Gate].
func (g tokenGate) Who(r *http.Request) web.Visitor {
	who := access.Who(r)
	return web.Visitor{Name: who.Name, Role: string(who.Role), May: g.Tokens.Rights(who, time.Now)}
}

// site is people's pages of `serve`, for whoever shows a token.
func (f siteFlags) site(ctx context.Context, e *watched, tokens *access.Tokens, log *slog.Logger) (http.Handler, error) {
	hosts, secure, err := f.hosts(e.url)
	if err != nil {
		return nil, err
	}
	provider, err := f.oidc()
	if err != nil {
		return nil, err
	}
	gate := access.NewGate(access.Options{Hosts: hosts, Secure: secure, Tokens: tokens, OIDC: provider, Page: signIn(environment(f.environment)), Now: time.Now, Log: log})
	return web.New(ctx, web.Options{
		Bus: e.Bus, Runs: e.Runs, Desk: e.Desk, Batches: e.Batches, Gate: tokenGate{gate}, Environment: environment(f.environment), Runbook: console.Runbook(f.runbook), Log: log,
	}), nil
}

// signIn is the console's page for whoever is not signed in.
func signIn(env console.Environment) access.SignInPage {
	show := console.NewSignIn(env)
	return func(w http.ResponseWriter, status int, next, problem string, provider bool) error {
		return show(w, status, console.SignIn{Next: next, Problem: problem, Provider: provider})
	}
}

// hosts are the names under which the pages are reached: the public one, and the address itself where it is loopback.
func (f siteFlags) hosts(listens string) (hosts []string, secure bool, err error) {
	own := strings.TrimPrefix(listens, "http://")
	if host, port, err := net.SplitHostPort(own); err == nil && net.ParseIP(host).IsLoopback() {
		hosts = append(hosts, own, "localhost:"+port)
	}
	if f.publicURL == "" {
		return hosts, false, nil
	}
	u, err := f.public()
	if err != nil {
		return nil, false, err
	}
	return append(hosts, u.Host), u.Scheme == "https", nil
}

// public is where people reach the pages: by https, since tokens cross the network.
func (f siteFlags) public() (*url.URL, error) {
	u, err := url.Parse(f.publicURL)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || strings.Trim(u.Path, "/") != "" {
		return nil, usage("--public-url %q: it is like https://belay.example.com, without a path", f.publicURL)
	}
	if ip := net.ParseIP(u.Hostname()); u.Scheme == "http" && u.Hostname() != "localhost" && !ip.IsLoopback() {
		return nil, usage("--public-url %s: tokens must not cross a network in the clear; put https in front, as in https://%s", f.publicURL, u.Host)
	}
	return u, nil
}

// environment is the name that every page bears, with a colour behind a colon.
func environment(text string) console.Environment {
	name, colour, _ := strings.Cut(text, ":")
	return console.Environment{Name: name, Colour: console.Colour(colour)}
}

// openTokens knows the tokens of the server for as long as ctx lasts.
func openTokens(ctx context.Context, e *engine.Engine, log *slog.Logger) (*access.Tokens, error) {
	tokens, err := access.OpenTokens(ctx, e.Bus)
	if err != nil {
		return nil, err
	}
	ready, failed := make(chan struct{}), make(chan error, 1)
	go func() {
		failed <- tokens.Watch(ctx, func() { close(ready) }, func(err error) {
			log.Warn("changes of tokens are not heard now: one that is revoked may open for a moment longer", "error", err)
		})
	}()
	select {
	case <-ready:
		return tokens, nil
	case err := <-failed:
		return nil, err
	}
}
