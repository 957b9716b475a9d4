package outbound_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"belay/internal/outbound"
)

// forms are spellings of hosts, with what is behind them: m metadata and link-local, p private, u no spelling of a host at all.
var forms = map[string]string{
	"169.254.169.254":                        "m",
	"169.254.169.254.":                       "m",
	"169.254.170.2":                          "m",
	"169.254.0.1":                            "m",
	"168.63.129.16":                          "m",
	"100.100.100.200":                        "m",
	"192.0.0.192":                            "m",
	"user:pw@169.254.169.254":                "m",
	"api.example.com@169.254.169.254":        "m",
	"[fe80::1]":                              "m",
	"[fe80::1%25eth0]":                       "m",
	"[FE80::A9FE:A9FE%25lo]":                 "m",
	"[fd00:ec2::254]":                        "m",
	"[fd00:0ec2:0:0:0:0:0:254]":              "m",
	"[fd20:ce::254]":                         "m",
	"[fd00:42::42]":                          "m",
	"[::ffff:169.254.169.254]":               "m",
	"[::ffff:a9fe:a9fe]":                     "m",
	"[0:0:0:0:0:ffff:a9fe:a9fe]":             "m",
	"[::169.254.169.254]":                    "m",
	"[::ffff:0:169.254.169.254]":             "m",
	"[64:ff9b::169.254.169.254]":             "m",
	"[64:ff9b::a9fe:a9fe]":                   "m",
	"[64:ff9b:1::a9fe:a9fe]":                 "m",
	"[64:ff9b:1:a9fe:a9:fe00::]":             "m",
	"[2002:a9fe:a9fe::1]":                    "m",
	"[2001:0:4136:e378:8000:63bf:5601:5601]": "m", // Teredo: the client with all bits turned
	"[2001:0:a9fe:a9fe::1]":                  "m", // Teredo: the server
	"[2606:4700::5efe:169.254.169.254]":      "m", // ISATAP
	"[2606:4700::200:5efe:a9fe:a9fe]":        "m",
	"metadata.google.internal":               "m",
	"Metadata.Google.Internal.":              "m",
	"instance-data":                          "m",
	"①⑥⑨.②⑤④.①⑥⑨.②⑤④":                        "m",
	"１６９.２５４.１６９.２５４":                        "m",
	"2852039166":                             "u",
	"0xa9fea9fe":                             "u",
	"0xA9.0xFE.0xA9.0xFE":                    "u",
	"0251.0376.0251.0376":                    "u",
	"169.254.43518":                          "u",
	"169.16689662":                           "u",
	"0177.0.0.1":                             "u",
	"127.1":                                  "u",
	"0":                                      "u",
	"0x7f.1":                                 "u",
	"127.0.0.1.":                             "p",
	"127.0.0.1":                              "p",
	"127.255.255.254":                        "p",
	"0.0.0.0":                                "p",
	"10.0.0.1":                               "p",
	"172.16.0.1":                             "p",
	"172.31.255.255":                         "p",
	"192.168.0.1":                            "p",
	"100.64.0.1":                             "p",
	"198.18.0.1":                             "p",
	"240.0.0.1":                              "p",
	"255.255.255.255":                        "p",
	"224.0.0.1":                              "p",
	"[::]":                                   "p",
	"[::1]":                                  "p",
	"[0:0:0:0:0:0:0:1]":                      "p",
	"[::1%25lo]":                             "p",
	"[::127.0.0.1]":                          "p",
	"[::ffff:127.0.0.1]":                     "p",
	"[::ffff:10.0.0.1]":                      "p",
	"[64:ff9b::7f00:1]":                      "p",
	"[64:ff9b::10.0.0.1]":                    "p",
	"[2002:7f00:1::]":                        "p",
	"[2002:c0a8:1::]":                        "p",
	"[fc00::1]":                              "p",
	"[fd12:3456::1]":                         "p",
	"[fec0::1]":                              "p",
	"[ff02::1]":                              "p",
	"[2001:db8::1]":                          "p",
	"[100::1]":                               "p",
	"[4000::1]":                              "p",
	"localhost":                              "p",
}

// TestForms dials each form that is refused for real: who has not written it out reaches none of them, and metadata nobody does.
func TestForms(t *testing.T) {
	t.Parallel()
	for form, behind := range forms {
		for _, by := range []outbound.Choice{outbound.Written, outbound.Chosen} {
			for _, p := range []outbound.Policy{{}, {Private: outbound.PrivateAlways}, {Private: outbound.PrivateNever}} {
				private := p.Private == outbound.PrivateAlways || p.Private == "" && by == outbound.Written
				if url := "http://" + form + ":1/"; behind == "p" && private {
					allowed(t, p, by, url)
				} else if refused := fetch(t, p, by, url); refused == nil {
					t.Errorf("%s, chosen by %d, private addresses %q: not refused", form, by, p.Private)
				}
			}
		}
	}
	if t.Logf("%d forms", len(forms)); len(forms) < 40 {
		t.Error("too few forms")
	}
}

// allowed asks whoever judges, and connects to nothing: some private addresses never answer.
func allowed(t *testing.T, p outbound.Policy, by outbound.Choice, url string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Transport(by, time.Second).Proxy(req); err != nil {
		t.Errorf("%s: %v", url, err)
	}
	host := strings.TrimSuffix(req.URL.Hostname(), ".")
	if _, err := netip.ParseAddr(host); err != nil {
		return
	}
	if err := p.Dialer(by).Control("tcp", net.JoinHostPort(host, "1"), nil); err != nil {
		t.Errorf("%s: %v", url, err)
	}
}

// fetch asks for a URL, and gives the refusal where the policy forbids it.
func fetch(t *testing.T, p outbound.Policy, by outbound.Choice, url string) *outbound.Refusal {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := p.Transport(by, 30*time.Second)
	defer transport.CloseIdleConnections()
	res, err := transport.RoundTrip(req)
	if err == nil {
		_ = res.Body.Close()
		return nil
	}
	r, _ := errors.AsType[*outbound.Refusal](err)
	return r
}

// TestPublic is what a check must not stop: addresses of the Internet, also behind NAT64 and in other clothes.
func TestPublic(t *testing.T) {
	t.Parallel()
	for _, form := range []string{"1.1.1.1", "172.32.0.1", "169.253.255.255", "[2606:4700::1111]", "[::ffff:1.1.1.1]", "[64:ff9b::101:101]", "[2002:101:101::1]", "api.example.com", "1.example.com", "0x7f.com"} {
		at, err := url.Parse("http://" + form + "/")
		if err != nil {
			t.Fatal(err)
		}
		// The proxy function has the last word before anything is resolved or dialled.
		if _, err := (outbound.Policy{Private: outbound.PrivateNever}).Transport(outbound.Chosen, time.Second).Proxy(&http.Request{URL: at}); err != nil {
			t.Errorf("%s: %v", form, err)
		}
	}
}

// TestRebinding asks a real server for the name: its first answer is the test's own server, the second one is metadata's, the
// third one private.
func TestRebinding(t *testing.T) {
	t.Parallel()
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }))
	defer service.Close()
	_, port, _ := net.SplitHostPort(service.Listener.Addr().String())
	answers := &names{say: [4]byte{127, 0, 0, 1}}
	p := outbound.Policy{Resolver: answers.serve(t)}
	url := "http://rebound.example.com:" + port + "/"
	if refused := fetch(t, p, outbound.Written, url); refused != nil {
		t.Fatalf("the first time: %v", refused)
	}
	if refused := fetch(t, p, outbound.Chosen, url); refused == nil || !strings.Contains(refused.Error(), "rebound.example.com is 127.0.0.1, a private address") {
		t.Errorf("a private address by a chosen name: %v", refused)
	}
	answers.set([4]byte{169, 254, 169, 254})
	for _, by := range []outbound.Choice{outbound.Written, outbound.Chosen} {
		if refused := fetch(t, p, by, url); refused == nil || !strings.Contains(refused.Error(), "rebound.example.com is 169.254.169.254") {
			t.Errorf("the second time: %v", refused)
		}
	}
	if answers.count() < 4 {
		t.Errorf("the name was asked for %d times", answers.count())
	}
}

// TestProxy goes through the proxy of the environment only where it is asked to, and refuses what it can without resolving names.
func TestProxy(t *testing.T) {
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.URL.String()) }))
	defer proxy.Close()
	t.Setenv("HTTP_PROXY", proxy.URL) // net/http reads it once for each process, so here is the only test that may have it read
	t.Setenv("NO_PROXY", "")
	answers := &names{say: [4]byte{169, 254, 169, 254}}
	through := outbound.Policy{Proxy: true, Resolver: answers.serve(t)}
	if refused := fetch(t, through, outbound.Chosen, "http://rebound.example.com/"); refused != nil {
		t.Errorf("the proxy at a private address: %v", refused)
	}
	for _, url := range []string{"http://169.254.169.254/", "http://metadata.google.internal/", "http://[::ffff:a9fe:a9fe]/", "http://2852039166/"} {
		if refused := fetch(t, through, outbound.Chosen, url); refused == nil {
			t.Errorf("%s went through the proxy", url)
		}
	}
	if answers.count() != 0 {
		t.Error("names are resolved beside the proxy")
	}
	direct := outbound.Policy{Resolver: through.Resolver}
	if refused := fetch(t, direct, outbound.Written, "http://rebound.example.com/"); refused == nil || answers.count() == 0 {
		t.Errorf("an environment with a proxy that nobody asked for: %v", refused)
	}
}
