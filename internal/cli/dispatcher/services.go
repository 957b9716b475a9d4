package dispatcher

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"belay/internal/cli"
	"belay/internal/outbound"
	"belay/internal/plan"
)

// services are the programs that a tools file lists as its services, for examples and development. They are started,
// waited for, and stopped with everything that they have started.
//
// A port in use is never used silently. The program there is used if another dispatcher has started it as the same
// service of the same tools file, or if the tools file says that the service is shared. Two runs side by side share a
// service so; when the first run ends it, the other starts its own. Any other program on the port is an error that
// names it.
type services struct {
	all  []*service
	end  context.CancelFunc
	work sync.WaitGroup
}

// service is one of these programs.
type service struct {
	plan.Service
	mark  string // in the environment of the program, tells it from others
	say   func(format string, args ...any)
	child *child // nil while another dispatcher's is used
	pid   int    // of the other one; 0 = not known
}

// How long services are waited for.
const (
	startWait   = 2 * time.Minute // until it is ready: `go run` compiles first
	startTick   = 50 * time.Millisecond
	portWait    = time.Second // for the end of a child that lost its port to another program
	keepTick    = time.Second
	answersWait = 2 * time.Second // for one answer
)

func (a *app) startServices(ctx context.Context, t *plan.Tools) (*services, error) {
	keeping, end := context.WithCancel(context.WithoutCancel(ctx))
	s := &services{end: end}
	say := func(format string, args ...any) { fmt.Fprintf(a.Err, format+"\n", args...) }
	for _, def := range t.Services {
		svc := &service{Service: def, mark: serviceMark(t.File, def), say: say}
		s.all = append(s.all, svc)
		if err := svc.up(ctx); err != nil {
			s.stop()
			return nil, fmt.Errorf("service %q of %s: %w", svc, t.File, err)
		}
	}
	for _, svc := range s.all {
		s.work.Go(func() { svc.keep(keeping) })
	}
	return s, nil
}

// stop ends all services and their children.
func (s *services) stop() {
	if s == nil {
		return
	}
	s.end()
	s.work.Wait()
	for _, svc := range s.all {
		svc.child.terminate()
	}
	for _, svc := range s.all {
		svc.child.end()
	}
}

func (s *service) String() string { return strings.Join(s.Argv, " ") }

// serviceMark identifies a service of a tools file; it is the same in all processes.
func serviceMark(file string, def plan.Service) string {
	if abs, err := filepath.Abs(file); err == nil {
		file = abs
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %q", file, def.Argv, def.Dir, def.Ready))
	return hex.EncodeToString(sum[:12])
}

// up starts the service, or uses the program that has its port.
func (s *service) up(ctx context.Context) error {
	if s.Ready != "" && listens(ctx, s.Ready) {
		return s.use(ctx)
	}
	s.say("starting %s ...", s)
	var err error
	if s.child, err = startChild(s.Service, s.mark); err != nil || s.Ready == "" {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startWait)
	defer cancel()
	return s.awaitChild(ctx)
}

// use uses the program that has the service's port, if that is allowed.
func (s *service) use(ctx context.Context) error {
	o := ownerOf(portOfURL(s.Ready))
	s.child, s.pid = nil, o.pid
	switch {
	case o.mark == s.mark:
		s.say("not starting %s: another dispatcher has started it from this tools file, and it is used here too (%s)", s, o)
	case s.Shared:
		s.say("not starting %s: it is shared, according to the tools file, so the program on port %s is used (%s)", s, portOfURL(s.Ready), o)
	default:
		return cli.WithCode(cli.ExitTemporary, fmt.Errorf("port %s is in use by %s; stop that program, or set `shared: true` in the service to use it", portOfURL(s.Ready), o))
	}
	ctx, cancel := context.WithTimeout(ctx, startWait)
	defer cancel()
	for !answers(ctx, s.Ready) {
		if !pause(ctx, startTick) {
			return fmt.Errorf("%s does not answer (its port is in use by %s): %w", s.Ready, o, context.Cause(ctx))
		}
	}
	return nil
}

// awaitChild asks the ready URL until the child answers. If the child ended because another dispatcher was faster, that
// one's is used.
func (s *service) awaitChild(ctx context.Context) error {
	for {
		switch ready := answers(ctx, s.Ready); {
		case s.child.over():
			if listens(ctx, s.Ready) && ownerOf(portOfURL(s.Ready)).mark == s.mark {
				return s.use(ctx)
			}
			return fmt.Errorf("it ended before it was ready, with %s%s", s.child.how(), s.busyPort(ctx))
		case ready && s.childAnswers(ctx):
			return nil
		}
		if !pause(ctx, startTick) {
			return fmt.Errorf("%s does not answer: %w%s", s.Ready, context.Cause(ctx), s.child.said())
		}
	}
}

// childAnswers reports whether it is the child that answers. If another program has the port, the child gets a moment
// to end because of that; a child that does not end may have handed its work to that program.
func (s *service) childAnswers(ctx context.Context) bool {
	o := ownerOf(portOfURL(s.Ready))
	if o.pid == 0 || s.child.has(o.pid) {
		return true
	}
	select {
	case <-s.child.exited:
		return false
	case <-time.After(portWait):
	case <-ctx.Done():
		return false
	}
	s.say("%s is running, but another program answers at %s: %s", s, s.Ready, o)
	return true
}

// busyPort says which program has the port, after the child has ended.
func (s *service) busyPort(ctx context.Context) string {
	said := s.child.said()
	if s.Ready != "" && listens(ctx, s.Ready) {
		said = fmt.Sprintf("; port %s is in use by %s", portOfURL(s.Ready), ownerOf(portOfURL(s.Ready))) + said
	}
	return said
}

// keep reports when the service ends by itself. Another dispatcher's that has ended is started here.
func (s *service) keep(ctx context.Context) {
	for s.child == nil {
		if !pause(ctx, keepTick) {
			return
		}
		if s.there(ctx) {
			continue
		}
		s.say("the shared %s has ended; starting it here", s)
		if err := s.up(ctx); err != nil {
			if ctx.Err() == nil {
				s.say("service %q: %v; tools that need it fail until it runs", s.String(), err)
			}
			return
		}
	}
	select {
	case <-ctx.Done():
	case <-s.child.exited:
		s.say("service %q ended with %s; tools that need it fail until it runs%s", s.String(), s.child.how(), s.busyPort(ctx))
	}
}

// there reports whether another dispatcher's service still runs.
func (s *service) there(ctx context.Context) bool {
	if s.pid > 0 {
		return alive(s.pid)
	}
	return listens(ctx, s.Ready) || ctx.Err() != nil
}

func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// portOfURL is the port of a URL.
func portOfURL(text string) string {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return ""
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "https":
		return "443"
	}
	return "80"
}

// listens reports whether any program listens on the port of a URL.
func listens(ctx context.Context, text string) bool {
	u, err := url.Parse(text)
	if err != nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, answersWait)
	defer cancel()
	c, err := outbound.Policy{}.Dialer(outbound.Written).DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), portOfURL(text)))
	if err != nil {
		return false
	}
	_ = c.Close()
	return true
}

func answers(ctx context.Context, url string) bool {
	ctx, cancel := context.WithTimeout(ctx, answersWait)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	t := outbound.Policy{}.Transport(outbound.Written, answersWait)
	t.DisableKeepAlives = true
	res, err := (&http.Client{Transport: t}).Do(req)
	if err != nil {
		return false
	}
	res.Body.Close()
	return res.StatusCode/100 == 2
}
