package web

import (
	"net"
	"net/http"
	"strings"

	"belay/internal/access"
)

// Local lets in whoever reaches the loopback address of `dispatcher dev`: the person at this machine, who may do
// everything. Pages of other sites that the same browser shows must not get in with them: a request under another host
// name is refused (a name of theirs may point here), and so is a post from another page.
type Local struct {
	Name string // of the person
	Port string // that the pages are served on

	cross http.CrossOriginProtection
}

// Who implements [Gate].
func (l *Local) Who(*http.Request) Visitor { return Visitor{Name: l.Name, Role: "admin, local only"} }

// Wrap implements [Gate].
func (l *Local) Wrap(next http.Handler) http.Handler {
	inner := l.cross.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		access.Headers(w.Header())
		if !l.known(r.Host) {
			http.Error(w, "this is "+l.Port+" of the loopback; "+r.Host+" is not its name", http.StatusMisdirectedRequest)
			return
		}
		inner.ServeHTTP(w, r)
	})
}

func (l *Local) known(host string) bool {
	name, port, err := net.SplitHostPort(host)
	if err != nil || port != l.Port {
		return false
	}
	ip := net.ParseIP(name)
	return strings.EqualFold(name, "localhost") || ip != nil && ip.IsLoopback()
}
