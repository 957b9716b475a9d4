package outbound

import (
	"errors"
	"net/netip"
	"net/url"
	"strings"
)

// Hosts are the hosts that a parameter or a redirect may choose: "api.example.com", "*.example.com" for all below it, "*" for
// all, each with ":8443" behind it for a port, or ":*" for any. Without one it is the usual port of http or https.
type Hosts []string

var errHost = errors.New(`not a host like api.example.com, *.example.com or api.example.com:8443`)

// CheckHost reports what is not an entry of [Hosts].
func CheckHost(entry string) error {
	host, port := cut(entry)
	if strings.Trim(port, "0123456789") != "" && port != "*" || strings.HasSuffix(entry, ":") || strings.HasSuffix(entry, ".") {
		return errHost
	}
	if _, err := netip.ParseAddr(host); err == nil || host == "*" {
		return nil
	}
	name := strings.TrimPrefix(host, "*.")
	const chars = "abcdefghijklmnopqrstuvwxyz0123456789-_."
	if name == "" || strings.Trim(name, chars) != "" || strings.Contains("."+name+".", "..") || endsInNumber(name) {
		return errHost
	}
	return nil
}

// Allow reports whether a URL leads to one of the hosts.
func (h Hosts) Allow(u *url.URL) bool {
	host, port := plain(u.Hostname()), u.Port()
	if port == "" {
		port = usual(u.Scheme)
	}
	for _, entry := range h {
		if name, at := cut(entry); matches(name, host) && (at == "*" || at == port || at == "" && port == usual(u.Scheme)) {
			return true
		}
	}
	return false
}

func usual(scheme string) string {
	if scheme == "https" {
		return "443"
	}
	return "80"
}

// cut splits an entry into its host and its port, which may be empty.
func cut(entry string) (host, port string) {
	if _, err := netip.ParseAddr(entry); err == nil {
		return plain(entry), ""
	}
	host = entry
	if i := strings.LastIndexByte(entry, ':'); i >= 0 && !strings.HasSuffix(entry, "]") {
		host, port = entry[:i], entry[i+1:]
	}
	return plain(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")), port
}

// plain is one spelling of a host. Names with letters beyond ASCII stay as they are, and no entry is like them.
func plain(host string) string {
	if a, err := netip.ParseAddr(host); err == nil {
		return a.String()
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

func matches(name, host string) bool {
	below, wild := strings.CutPrefix(name, "*.")
	switch {
	case name == "*":
		return true
	case wild:
		return len(host) > len(below)+1 && strings.HasSuffix(host, "."+below)
	}
	return name == host
}
