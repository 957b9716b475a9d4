package dispatcher

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"

	"belay/internal/access"
	"belay/internal/catalog"
	"belay/internal/cli"
	"belay/internal/engine"
	"belay/internal/handoff"
	"belay/internal/outbound"
	"belay/internal/people"
	"belay/internal/server"
	"belay/internal/server/gate"
	"belay/internal/server/pages"
	"belay/internal/wire"
)

// siteFlags are the flags of `serve` that say how people reach its pages.
type siteFlags struct {
	cli.ServeFlags
	outbound outbound.Policy
	trace    func(ctx context.Context, traceparent, run, workflow string) (parent string, end func(error)) // makes spans of what is submitted
}

// oidc is the provider that people sign in with; nil without one.
func (f siteFlags) oidc() (*access.OIDC, error) {
	if f.Issuer == "" {
		return nil, nil
	}
	if f.PublicURL == "" {
		return nil, cli.Usage("--oidc-issuer needs --public-url, because the provider sends people back there")
	}
	o := access.NewOIDC(access.OIDCOptions{Issuer: f.Issuer, ClientID: f.ClientID, ClientSecret: f.ClientSecret, PublicURL: f.PublicURL, Outbound: f.outbound, Claim: f.Claim, Roles: map[people.Role][]string{}})
	for _, text := range f.Roles {
		role, group, ok := strings.Cut(text, "=")
		if !ok || group == "" || !people.Role(role).Includes(people.Viewer) {
			return nil, cli.Usage("--oidc-role %q: must be role=group, and the role viewer, operator, approver or admin%s", text, forPrograms(role))
		}
		o.Roles[people.Role(role)] = append(o.Roles[people.Role(role)], group)
	}
	if len(o.Roles) == 0 {
		return nil, cli.Usage("--oidc-issuer needs --oidc-role; without it, people who sign in may do nothing")
	}
	return o, nil
}

// forPrograms explains why nobody signs in as a submitter.
func forPrograms(role string) string {
	if people.Role(role) != people.Submitter {
		return ""
	}
	return "; a submitter is a program with a token (dispatcher token create NAME --role submitter --plan PLAN)"
}

// check finds mistakes in the flags before anything starts.
func (f siteFlags) check() error {
	if _, _, err := f.hosts(""); err != nil {
		return err
	}
	if err := pages.Runbook(f.Runbook).Check(); err != nil {
		return cli.Usage("--runbook %v", err)
	}
	for _, host := range f.Scraped {
		if u, err := url.Parse("http://" + host); host != "*" && (err != nil || host == "" || u.Host != host) {
			return cli.Usage("--metrics-host %q: must be the name of a host, with its port or without, or * for any", host)
		}
	}
	_, err := f.oidc()
	return err
}

// letIn lets in who shows a token.
func letIn(tokens *access.Tokens, logger *slog.Logger) handoff.LetIn {
	return func(_ context.Context, shown wire.Shown, _ string) (people.Actor, error) {
		who, _, err := tokens.CheckShown(shown, tokens.Now())
		if err == nil && shown.Proof == nil {
			logger.Warn("a program of an older version has sent a token over NATS in clear; upgrade it, and make a new token", "token", who.Token, "owner", who.Name)
		}
		if errors.Is(err, access.ErrStale) {
			return people.Actor{}, err
		}
		if err != nil {
			return people.Actor{}, fmt.Errorf("%w; set BELAY_API_TOKEN to a valid one, which an admin makes with `dispatcher token create NAME --role ROLE`", err)
		}
		return who, nil
	}
}

// site is the pages and the API of `serve`, for people who show a token or sign in.
func (f siteFlags) site(ctx context.Context, e *watched, tokens *access.Tokens, submitted *catalog.Catalog, logger *slog.Logger) (http.Handler, error) {
	hosts, secure, err := f.hosts(e.url)
	if err != nil {
		return nil, err
	}
	provider, err := f.oidc()
	if err != nil {
		return nil, err
	}
	door := gate.New(gate.Options{Hosts: hosts, Secure: secure, Tokens: tokens, OIDC: provider, Page: pages.NewSignIn(environment(f.Environment)), Now: tokens.Now, Logger: logger})
	return server.New(ctx, server.Options{
		Bus: e.Bus, Runs: e.Runs, Desk: e.Desk, Redrives: e.Redrives, Gates: e, Schedules: e, Gate: door, Environment: environment(f.Environment), Runbook: pages.Runbook(f.Runbook), Logger: logger, Catalog: submitted, Trace: f.trace, Prove: e.Prove,
		Passkeys: e.Passkeys(), PublicURL: cmp.Or(strings.TrimSuffix(f.PublicURL, "/"), e.url), Version: cli.Version, Doctor: e.doctor,
	}), nil
}

// hosts are the host names under which the pages answer: the public one, and the address itself if it is a loopback
// one.
func (f siteFlags) hosts(listens string) (hosts []string, secure bool, err error) {
	own := strings.TrimPrefix(listens, "http://")
	if host, port, err := net.SplitHostPort(own); err == nil && net.ParseIP(host).IsLoopback() {
		hosts = append(hosts, own, "localhost:"+port)
	}
	if f.PublicURL == "" {
		return hosts, false, nil
	}
	u, err := f.public()
	if err != nil {
		return nil, false, err
	}
	return append(hosts, u.Host), u.Scheme == "https", nil
}

// public is the URL at which people reach the pages: https, because tokens cross the network.
func (f siteFlags) public() (*url.URL, error) {
	u, err := url.Parse(f.PublicURL)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || strings.Trim(u.Path, "/") != "" {
		return nil, cli.Usage("--public-url %q: must be like https://belay.example.com, without a path", f.PublicURL)
	}
	if ip := net.ParseIP(u.Hostname()); u.Scheme == "http" && u.Hostname() != "localhost" && !ip.IsLoopback() {
		return nil, cli.Usage("--public-url %s: tokens must not cross a network unencrypted; put TLS in front and give https://%s", f.PublicURL, u.Host)
	}
	return u, nil
}

// environment is the name on every page, with a color behind a colon.
func environment(text string) pages.Environment {
	name, colour, _ := strings.Cut(text, ":")
	return pages.Environment{Name: name, Colour: pages.Colour(colour)}
}

// openTokens opens the server's tokens and follows their changes until ctx ends.
func openTokens(ctx context.Context, e *engine.Engine, logger *slog.Logger) (*access.Tokens, error) {
	tokens, err := access.OpenTokens(ctx, e.Bus)
	if err != nil {
		return nil, err
	}
	ready, failed := make(chan struct{}), make(chan error, 1)
	go func() {
		failed <- tokens.Watch(ctx, func() { close(ready) }, func(err error) {
			logger.Warn("changes of tokens do not arrive: a revoked token may stay valid for a moment", "error", err)
		})
	}()
	select {
	case <-ready:
		return tokens, nil
	case err := <-failed:
		return nil, err
	}
}
