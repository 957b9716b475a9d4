package remote

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// Guard passes only requests of programs on this machine that know the token to h. The Host header must name the loopback:
// a page in somebody's browser would use another name.
func Guard(h http.Handler, token string) http.Handler {
	want := sha256.Sum256([]byte(token))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !loopbackName(r.Host) {
			(&problem{status: http.StatusMisdirectedRequest, code: "wrong_host", title: "This is not the name of this worker",
				detail: "work is given out under 127.0.0.1, [::1] or localhost only, to programs of this machine"}).write(w)
			return
		}
		said, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		is := sha256.Sum256([]byte(strings.TrimSpace(said)))
		if !bearer || subtle.ConstantTimeCompare(is[:], want[:]) != 1 {
			w.Header().Set("WWW-Authenticate", `Bearer realm="belay work"`)
			(&problem{status: http.StatusUnauthorized, code: "unauthorized", title: "The token is missing or wrong",
				detail: "send the header Authorization: Bearer TOKEN, with the token of the worker's --work-token-file"}).write(w)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// loopbackName reports whether a Host header names the loopback.
func loopbackName(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
