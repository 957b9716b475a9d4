package gate

import (
	"context"
	"net"
	"net/http"
	"strings"
	"time"

	"belay/internal/access"
	"belay/internal/people"
)

// Local lets in whoever reaches the loopback address of `dispatcher dev`: the person at this machine, who may do
// everything. Pages of other sites that the same browser shows must not get in with them: a request under another host
// name is refused (a name of theirs may point here), and so is a post from another page.
type Local struct {
	Name   string         // of the person
	Port   string         // that the pages are served on
	Tokens *access.Tokens // whoever shows one of them is who it says, and may do no more than it; nil = none is asked about

	cross http.CrossOriginProtection
}

// Who implements server.Gate.
func (l *Local) Who(r *http.Request) people.Actor {
	if who, shown := r.Context().Value(identityKey{}).(people.Actor); shown {
		return who
	}
	return people.Trusted(l.Name, "")
}

// known finds out whose token a request shows, if it shows one; a wrong one is an error: whoever shows a token wants to be
// its owner.
func (l *Local) known(r *http.Request) (*http.Request, error) {
	scheme, text := credentials(r)
	if scheme != bearer || l.Tokens == nil {
		return r, nil
	}
	who, _, err := l.Tokens.Check(text, time.Now())
	if err != nil {
		return r, err
	}
	return r.WithContext(context.WithValue(r.Context(), identityKey{}, who)), nil
}

// Wrap implements server.Gate.
func (l *Local) Wrap(next http.Handler) http.Handler {
	l.cross.SetDenyHandler(http.HandlerFunc(crossSite))
	inner := l.cross.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		Headers(w.Header())
		if !l.ours(r.Host) {
			misdirected(w, r, "this is "+l.Port+" of the loopback; "+r.Host+" is not its name")
			return
		}
		r, err := l.known(r)
		if err != nil {
			unauthorized(w, err.Error())
			return
		}
		inner.ServeHTTP(w, r)
	})
}

func (l *Local) ours(host string) bool {
	name, port, err := net.SplitHostPort(host)
	if err != nil || port != l.Port {
		return false
	}
	ip := net.ParseIP(name)
	return strings.EqualFold(name, "localhost") || ip != nil && ip.IsLoopback()
}
