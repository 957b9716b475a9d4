package cli

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

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
}

// letIn asks everybody for a token.
func letIn(tokens *access.Tokens) handoff.LetIn {
	return func(_ context.Context, token, _ string) (handoff.Person, error) {
		who, _, err := tokens.Check(token, time.Now())
		if err != nil {
			return handoff.Person{}, fmt.Errorf("%w: set BELAY_API_TOKEN to one; an admin makes it with `dispatcher token create NAME --role approver`", err)
		}
		return handoff.Person{Name: who.Name, May: who.May}, nil
	}
}

// tokenGate is the gate as the pages see it.
type tokenGate struct{ *access.Gate }

// Who implements [web.Gate].
func (tokenGate) Who(r *http.Request) web.Visitor {
	who := access.Who(r)
	return web.Visitor{Name: who.Name, Role: string(who.Role), May: who.May}
}

// site is people's pages of `serve`, for whoever shows a token.
func (f siteFlags) site(ctx context.Context, e *watched, tokens *access.Tokens, log *slog.Logger) (http.Handler, error) {
	hosts, secure, err := f.hosts(e.url)
	if err != nil {
		return nil, err
	}
	gate := access.NewGate(access.Options{Hosts: hosts, Secure: secure, Tokens: tokens, Now: time.Now, Log: log})
	return web.New(ctx, web.Options{
		Bus: e.Bus, Runs: e.Runs, Desk: e.Desk, Gate: tokenGate{gate}, Environment: environment(f.environment), Log: log,
	}), nil
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
	u, err := url.Parse(f.publicURL)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || strings.Trim(u.Path, "/") != "" {
		return nil, false, usage("--public-url %q: it is like https://belay.example.com, without a path", f.publicURL)
	}
	return append(hosts, u.Host), u.Scheme == "https", nil
}

// environment is the name that every page bears, with a colour behind a colon.
func environment(text string) console.Environment {
	name, colour, _ := strings.Cut(text, ":")
	return console.Environment{Name: name, Colour: console.Colour(colour)}
}

// openTokens knows the tokens of the server for as long as ctx lasts.
func openTokens(ctx context.Context, e *engine.Engine) (*access.Tokens, error) {
	tokens, err := access.OpenTokens(ctx, e.Bus)
	if err != nil {
		return nil, err
	}
	ready, failed := make(chan struct{}), make(chan error, 1)
	go func() { failed <- tokens.Watch(ctx, func() { close(ready) }) }()
	select {
	case <-ready:
		return tokens, nil
	case err := <-failed:
		return nil, err
	}
}
