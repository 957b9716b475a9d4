package cli

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

	"belay/internal/plan"
)

// services are the programs that a tools file wants beside it, for examples and development: started, waited for, and
// stopped with everything they have started.
//
// A port that is taken is never used silently. What runs there is used when it is the same service of the same tools
// file, which another dispatcher has started (two runs side by side share it, and the one that is left starts its own
// when the first one takes it away), or when the tools file says that it is shared. Anything else is an error that says
// whose port it is.
type services struct {
	all  []*service
	end  context.CancelFunc
	work sync.WaitGroup
}

// service is one of them.
type service struct {
	plan.Service
	mark  string // tells it from other programs, in whichever process it runs
	say   func(format string, args ...any)
	child *child // nil while what somebody else has started is used
	pid   int    // of that; 0 = not known
}

// How services are waited for. `go run` compiles first; one that loses its port to another program ends soon after.
const (
	startWait   = 2 * time.Minute
	startTick   = 50 * time.Millisecond
	settleWait  = time.Second
	keepTick    = time.Second
	answersWait = 2 * time.Second
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

// stop ends all services with their children.
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

// serviceMark is the same for a service of a tools file in whichever process it is started.
func serviceMark(file string, def plan.Service) string {
	if abs, err := filepath.Abs(file); err == nil {
		file = abs
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %q", file, def.Argv, def.Dir, def.Ready))
	return hex.EncodeToString(sum[:12])
}

// up starts the service, or uses what runs in its place.
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

// use takes what has the service's port, if that may be.
func (s *service) use(ctx context.Context) error {
	o := ownerOf(portOfURL(s.Ready))
	s.child, s.pid = nil, o.pid
	switch {
	case o.mark == s.mark:
		s.say("not starting %s: it runs already, started by another dispatcher with this tools file, and is used (%s)", s, o)
	case s.Shared:
		s.say("not starting %s: the tools file says that it is shared, so what has port %s is used (%s)", s, portOfURL(s.Ready), o)
	default:
		return &exitError{exitTryAgain, fmt.Errorf("port %s is taken by %s: stop that, or say `shared: true` of the service if it is to be used as it is", portOfURL(s.Ready), o)}
	}
	ctx, cancel := context.WithTimeout(ctx, startWait)
	defer cancel()
	for !answers(ctx, s.Ready) {
		if !pause(ctx, startTick) {
			return fmt.Errorf("%s does not answer (its port belongs to %s): %w", s.Ready, o, context.Cause(ctx))
		}
	}
	return nil
}

// awaitChild asks the ready URL until the child answers. One that ended because another dispatcher was faster is not
// needed.
func (s *service) awaitChild(ctx context.Context) error {
	for {
		switch ready := answers(ctx, s.Ready); {
		case s.child.over():
			if listens(ctx, s.Ready) && ownerOf(portOfURL(s.Ready)).mark == s.mark {
				return s.use(ctx)
			}
			return fmt.Errorf("it ended before it was ready, with %s%s", s.child.how(), s.taken(ctx))
		case ready && s.settled(ctx):
			return nil
		}
		if !pause(ctx, startTick) {
			return fmt.Errorf("%s does not answer: %w%s", s.Ready, context.Cause(ctx), s.child.said())
		}
	}
}

// settled reports whether it is the child that answers. Where another program has the port the child is given a moment
// to end because of that; one that goes on may have left its work to that program.
func (s *service) settled(ctx context.Context) bool {
	o := ownerOf(portOfURL(s.Ready))
	if o.pid == 0 || s.child.has(o.pid) {
		return true
	}
	select {
	case <-s.child.exited:
		return false
	case <-time.After(settleWait):
	case <-ctx.Done():
		return false
	}
	s.say("%s runs, and %s is answered by another program: %s", s, s.Ready, o)
	return true
}

// taken says who has the port, after the child has ended.
func (s *service) taken(ctx context.Context) string {
	said := s.child.said()
	if s.Ready != "" && listens(ctx, s.Ready) {
		said = fmt.Sprintf("; port %s is taken by %s", portOfURL(s.Ready), ownerOf(portOfURL(s.Ready))) + said
	}
	return said
}

// keep says when the service ends by itself. One that somebody else has taken away is started here.
func (s *service) keep(ctx context.Context) {
	for s.child == nil {
		if !pause(ctx, keepTick) {
			return
		}
		if s.there(ctx) {
			continue
		}
		s.say("what ran as %s has ended; starting it here", s)
		if err := s.up(ctx); err != nil {
			if ctx.Err() == nil {
				s.say("service %q: %v; what needs it fails until it runs", s.String(), err)
			}
			return
		}
	}
	select {
	case <-ctx.Done():
	case <-s.child.exited:
		s.say("service %q has ended with %s; what needs it fails until it runs again%s", s.String(), s.child.how(), s.taken(ctx))
	}
}

// there reports whether what somebody else has started still runs.
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

// portOfURL is the port that a URL leads to.
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

// listens reports whether anything has the port that a URL leads to.
func listens(ctx context.Context, text string) bool {
	u, err := url.Parse(text)
	if err != nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, answersWait)
	defer cancel()
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), portOfURL(text)))
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
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	res.Body.Close()
	return res.StatusCode/100 == 2
}
