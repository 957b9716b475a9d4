package outbound_test

import (
	"net/url"
	"testing"

	"belay/internal/outbound"
)

func TestHosts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		entry, url string
		want       bool
	}{
		{"api.example.com", "https://api.example.com/x", true},
		{"api.example.com", "https://API.example.COM./x", true},
		{"API.example.com", "https://api.example.com:443/x", true},
		{"api.example.com", "http://api.example.com:80/", true},
		{"api.example.com", "http://api.example.com:443/", false},
		{"api.example.com", "https://api.example.com:8443/", false},
		{"api.example.com:8443", "https://api.example.com:8443/", true},
		{"api.example.com:*", "https://api.example.com:1/", true},
		{"api.example.com", "https://api.example.com.evil.org/", false},
		{"api.example.com", "https://evil.org/api.example.com", false},
		{"api.example.com", "https://api.example.com@evil.org/", false},
		{"api.example.com", "https://evil.org#@api.example.com/", false},
		{"api.example.com", "https://xapi.example.com/", false},
		{"*.example.com", "https://a.example.com/", true},
		{"*.example.com", "https://a.b.example.com/", true},
		{"*.example.com", "https://example.com/", false},
		{"*.example.com", "https://.example.com/", false},
		{"*.example.com", "https://aexample.com/", false},
		{"*", "https://anything.org/", true},
		{"*", "https://anything.org:8443/", false},
		{"*:*", "https://anything.org:8443/", true},
		{"127.0.0.1:*", "http://127.0.0.1:9/", true},
		{"[::1]:9", "http://[::1]:9/", true},
		{"::1", "http://[0:0:0:0:0:0:0:1]/", true},
		{"127.0.0.1", "http://2130706433/", false},
		{"example.com", "https://ｅxample.com/", false}, // net/http would call example.com
	} {
		u, err := url.Parse(c.url)
		if err != nil {
			t.Fatal(err)
		}
		h := outbound.Hosts{"other.example.net", c.entry}
		if got := h.Allow(u); got != c.want || outbound.CheckHost(c.entry) != nil {
			t.Errorf("%s for %s: %t, want %t; %v", c.entry, c.url, got, c.want, outbound.CheckHost(c.entry))
		}
	}
	for _, entry := range []string{"", "https://api.example.com", "api.example.com/x", "a b", "*example.com", "a.*.com", "api.example.com:", "api.example.com:x", "user@host", "2130706433", "127.1", "..", "a..b", "münchen.de", "*."} {
		if outbound.CheckHost(entry) == nil {
			t.Errorf("%q counts as a host", entry)
		}
	}
}
