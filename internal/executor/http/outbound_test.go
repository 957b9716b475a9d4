package httpexec_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"belay/internal/executor"
	"belay/internal/executor/executortest"
	httpexec "belay/internal/executor/http"
	"belay/internal/outbound"
	"belay/internal/steps"
)

// reaching is a client with a policy of its own.
func reaching(t *testing.T, p outbound.Policy) *httpexec.Client {
	t.Helper()
	c := httpexec.NewClient("1.2.3", p)
	t.Cleanup(c.Close)
	return c
}

// denied wants a call refused, and to know whether something may have been sent.
func denied(t *testing.T, x executor.Executor, acted bool, says string) {
	t.Helper()
	f := executortest.Fault(t.Context(), t, x, executortest.Request(`{}`))
	if f.Class != steps.PolicyDenied || f.MayHaveActed() != acted || !strings.Contains(f.Message, "not called: ") || !strings.Contains(f.Message, says) {
		t.Errorf("fault = %+v, want policy_denied, acted %t, about %q", f, acted, says)
	}
}

// TestMetadataIsNeverCalled: however private addresses are set, and whoever has written it.
func TestMetadataIsNeverCalled(t *testing.T) {
	t.Parallel()
	for _, p := range []outbound.Policy{{}, {Private: outbound.PrivateAlways}, {Private: outbound.PrivateNever}} {
		for _, url := range []string{"http://169.254.169.254/latest/meta-data", "http://[fd00:ec2::254]/", "http://[::ffff:a9fe:a9fe]/", "http://metadata.google.internal/"} {
			for _, chosen := range []bool{false, true} {
				denied(t, reaching(t, p).Executor(executor.HTTP{URL: text(url), ChosenHost: chosen, AllowHosts: outbound.Hosts{"*"}}), false, "always refused")
			}
		}
	}
}

func TestChosenHost(t *testing.T) {
	t.Parallel()
	s := service(t, tell)
	_, port, _ := strings.Cut(strings.TrimPrefix(s.URL, "http://"), ":")
	spec := executor.HTTP{URL: text(s.URL + "/there"), ChosenHost: true}
	denied(t, client(t).Executor(spec), false, "127.0.0.1:"+port+", which allow_hosts does not name")
	spec.AllowHosts = outbound.Hosts{"127.0.0.1"}
	denied(t, client(t).Executor(spec), false, "which allow_hosts does not name") // on another port
	spec.AllowHosts = outbound.Hosts{"127.0.0.1:" + port}
	denied(t, client(t).Executor(spec), false, "127.0.0.1, a private address, and a parameter or a redirect has chosen it")
	spec.URL, spec.AllowHosts = text("http://localhost:"+port), outbound.Hosts{"localhost:*"}
	denied(t, client(t).Executor(spec), false, "localhost is ")
	spec.URL, spec.AllowHosts = text(s.URL+"/there"), outbound.Hosts{"127.0.0.1:*"}
	if got := ask(t, reaching(t, outbound.Policy{Private: outbound.PrivateAlways}).Executor(spec), executortest.Request(`{}`)); got.URI != "/there" {
		t.Errorf("got to %+v", got)
	}
	spec.ChosenHost = false
	denied(t, reaching(t, outbound.Policy{Private: outbound.PrivateNever}).Executor(spec), false, "private_addresses is never")
}

// TestKeptConnectionIsNotShared: a host that is written out opens connections that one who merely chooses it may not use.
func TestKeptConnectionIsNotShared(t *testing.T) {
	t.Parallel()
	s := service(t, tell)
	c := client(t)
	ask(t, c.Executor(executor.HTTP{URL: text(s.URL)}), executortest.Request(`{}`))
	denied(t, c.Executor(executor.HTTP{URL: text(s.URL), ChosenHost: true, AllowHosts: outbound.Hosts{"*:*"}}), false, "a private address")
}

// redirecting is a server that leads elsewhere.
func redirecting(t *testing.T, to string) *httptest.Server {
	t.Helper()
	return service(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, http.StatusTemporaryRedirect) })
}

// TestRedirectsAreChecked: each hop is one that somebody else has chosen. The first call was made, so something may have happened.
func TestRedirectsAreChecked(t *testing.T) {
	t.Parallel()
	there := service(t, tell)
	_, port, _ := strings.Cut(strings.TrimPrefix(there.URL, "http://"), ":")
	elsewhere := "http://localhost:" + port + "/there"
	for to, says := range map[string]string{
		"http://169.254.169.254/latest":           "169.254.169.254, where a machine gives its credentials away",
		"http://[::ffff:169.254.169.254]/":        "where a machine gives its credentials away",
		"http://2852039166/":                      "no usual spelling",
		elsewhere:                                 "localhost is ",
		redirecting(t, elsewhere).URL:             "localhost is ",
		redirecting(t, "http://[fe80::1]/").URL:   "fe80::1, where",
		"http://user@169.254.169.254:1/":          "169.254.169.254, where",
		"http://127.0.0.1.nip.example.invalid:1/": "",
	} {
		spec := executor.HTTP{Method: "POST", URL: text(redirecting(t, to).URL), FollowRedirects: true}
		if says != "" {
			denied(t, client(t).Executor(spec), true, says)
		}
		spec.AllowHosts = outbound.Hosts{"api.example.com"}
		denied(t, client(t).Executor(spec), true, "which allow_hosts does not name")
	}
	spec := executor.HTTP{Method: "POST", URL: text(redirecting(t, elsewhere).URL), FollowRedirects: true, AllowHosts: outbound.Hosts{"localhost:" + port}}
	if got := ask(t, reaching(t, outbound.Policy{Private: outbound.PrivateAlways}).Executor(spec), executortest.Request(`{}`)); got.URI != "/there" {
		t.Errorf("followed to %+v", got)
	}
}

// TestRedirectElsewhereTakesNoSecret: headers, credentials and the query of the first URL stay with its host.
func TestRedirectElsewhereTakesNoSecret(t *testing.T) {
	t.Setenv("REDIRECTED_KEY", "secret:token-123456")
	there := service(t, tell)
	spec := executor.HTTP{
		URL: text(redirecting(t, there.URL+"/there").URL), Query: map[string]executor.Text{"api_key": text("k-123456")}, FollowRedirects: true, BasicEnv: "REDIRECTED_KEY",
		Headers: map[string]executor.Text{"X-Api-Key": text("k-123456"), "Cookie": text("session=k-123456")},
	}
	req := executortest.Request(`{}`)
	req.Grant = "v1.123456"
	got := ask(t, client(t).Executor(spec), req)
	if got.URI != "/there" {
		t.Fatalf("followed to %+v", got)
	}
	if got.Header.Get(executor.GrantParams) != "" {
		t.Error("what was approved went to another host")
	}
	for name, values := range got.Header {
		if all := strings.Join(values, " "); strings.Contains(all, "123456") || strings.Contains(all, "c2VjcmV0") {
			t.Errorf("%s: %s went to another host", name, all)
		}
	}
}
