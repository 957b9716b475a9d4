package gate

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"time"

	"belay/internal/access"
	"belay/internal/people"
)

// Local lets in whoever reaches the loopback address of `dispatcher dev`: the person at this machine, who may do
// everything. An agent may be at this machine too, so whoever has not shown the sign-in code is marked as local, and decides
// nothing about what agents do. Pages of other sites that the same browser shows must not get in with them: a request under
// another host name is refused (a name of theirs may point here), and so is a post from another page.
type Local struct {
	Name   string         // of the person
	Port   string         // that the pages are served on
	Tokens *access.Tokens // whoever shows one of them is who it says, and may do no more than it; nil = none is asked about
	Code   *access.Code   // whoever shows it is the person; nil = nobody can show it
	Page   SignInPage     // where a browser shows the code; needed with Code

	cross http.CrossOriginProtection
}

// Who implements server.Gate.
func (l *Local) Who(r *http.Request) people.Actor {
	if who, shown := r.Context().Value(identityKey{}).(people.Actor); shown {
		return who
	}
	who := people.Trusted(l.Name, "")
	who.Local = true
	return who
}

// known finds out whose token or code a request shows, if it shows one; a wrong one is an error: whoever shows a token
// wants to be its owner. A cookie that opens nothing is one of an earlier process.
func (l *Local) known(r *http.Request) (*http.Request, error) {
	scheme, text := credentials(r)
	switch {
	case scheme == bearer && l.Tokens != nil && (l.Code == nil || access.IsToken(text)):
		who, _, err := l.Tokens.Check(text, l.Tokens.Now())
		if err != nil {
			return r, err
		}
		return as(r, who), nil
	case scheme == bearer && l.Code != nil:
		if err := l.Code.Check(text, time.Now()); err != nil {
			return r, err
		}
		return as(r, people.Trusted(l.Name, "")), nil
	}
	if c, err := r.Cookie(l.cookieName()); err == nil && l.Code.IsSession(c.Value) {
		return as(r, people.Trusted(l.Name, "")), nil
	}
	return r, nil
}

func as(r *http.Request, who people.Actor) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), identityKey{}, who))
}

// cookieName has the port, because browsers send a cookie to every port of a host.
func (l *Local) cookieName() string { return "belay-dev-" + l.Port }

// Wrap implements server.Gate.
func (l *Local) Wrap(next http.Handler) http.Handler {
	l.cross.SetDenyHandler(http.HandlerFunc(crossSite))
	inner := l.cross.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case l.Code == nil || r.URL.Path != "/login":
			next.ServeHTTP(w, r)
		case r.Method == http.MethodPost:
			l.login(w, r)
		default:
			l.show(w, http.StatusOK, loginData{Next: local(r.URL.Query().Get("next"))})
		}
	}))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		Headers(w.Header())
		if !l.ours(r.Host) {
			misdirected(w, r, "this is "+l.Port+" of the loopback; "+r.Host+" is not its name")
			return
		}
		r, err := l.known(r)
		if errors.Is(err, access.ErrTooMany) {
			w.Header().Set("Retry-After", "60")
			Problem(w, http.StatusTooManyRequests, "rate_limited", "Too many wrong codes", "wait a minute")
			return
		}
		if err != nil {
			unauthorized(w, err.Error())
			return
		}
		inner.ServeHTTP(w, r)
	})
}

func (l *Local) show(w http.ResponseWriter, status int, d loginData) {
	_ = l.Page(w, status, d.Next, d.Problem, false) // the reader is gone
}

// login takes the code from a browser, and gives it a cookie that is worth as much until this process ends.
func (l *Local) login(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 4<<10)
	next, text := local(r.PostFormValue("next")), strings.TrimSpace(r.PostFormValue("token"))
	if err := l.Code.Check(text, time.Now()); err != nil {
		status := http.StatusUnauthorized
		if errors.Is(err, access.ErrTooMany) {
			status = http.StatusTooManyRequests
		}
		l.show(w, status, loginData{Next: next, Problem: err.Error()})
		return
	}
	http.SetCookie(w, &http.Cookie{Name: l.cookieName(), Value: l.Code.Session(), Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode})
	http.Redirect(w, r, next, http.StatusSeeOther)
}

func (l *Local) ours(host string) bool {
	name, port, err := net.SplitHostPort(host)
	if err != nil || port != l.Port {
		return false
	}
	ip := net.ParseIP(name)
	return strings.EqualFold(name, "localhost") || ip != nil && ip.IsLoopback()
}
