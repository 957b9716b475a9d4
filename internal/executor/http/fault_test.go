package httpexec_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"belay/internal/executor"
	"belay/internal/executor/executortest"
	httpexec "belay/internal/executor/http"
	"belay/internal/outbound"
	"belay/internal/steps"
)

func TestEveryStatus(t *testing.T) {
	t.Parallel()
	named := map[int]steps.Class{
		400: steps.InvalidInput, 422: steps.InvalidInput, 401: steps.Unauthorized, 403: steps.Forbidden, 404: steps.NotFound,
		410: steps.NotFound, 409: steps.Conflict, 408: steps.Timeout, 425: steps.Unavailable, 429: steps.RateLimited, 501: steps.ToolError,
	}
	var code atomic.Int64
	x := get(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "/elsewhere?token=x")
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(int(code.Load()))
	})
	for status := 300; status < 700; status++ {
		class, ok := named[status]
		switch {
		case ok:
		case status >= 500 && status < 600:
			class = steps.Unavailable
		default:
			class = steps.ToolError
		}
		acted := steps.ActedMaybe
		if status >= 400 && status < 500 {
			acted = steps.ActedNo
		}
		wait := steps.Duration(0)
		if class.Reaction() == steps.Retry {
			wait = steps.Duration(7 * time.Second)
		}
		code.Store(int64(status))
		f := executortest.Fault(t.Context(), t, x, executortest.Request(`{}`))
		if f.Class != class || f.Acted != acted || f.Status != status || f.RetryAfter != wait || !strings.Contains(f.Message, fmt.Sprint(status)) {
			t.Errorf("%d: fault = %+v, want %s, acted %s, retry after %s", status, f, class, acted, wait)
		}
		if strings.ContainsAny(f.Message, "?") {
			t.Errorf("%d: message %q tells a query, which may hold a key", status, f.Message)
		}
	}
}

func TestRetryAfterAsADate(t *testing.T) {
	t.Parallel()
	now := time.Date(2031, 5, 4, 3, 2, 1, 0, time.UTC) // the service's clock is years ahead of ours
	for value, want := range map[string]time.Duration{
		now.Add(90 * time.Second).Format(http.TimeFormat): 90 * time.Second,
		now.Add(-time.Hour).Format(http.TimeFormat):       0,
		now.Add(time.Minute).Format(time.RFC850):          time.Minute,
		"120":                                             2 * time.Minute, " 1.5 ": 1500 * time.Millisecond, "-3": 0, "soon": 0, "": 0, "NaN": 0, "1e300": 365 * 24 * time.Hour,
	} {
		x := get(t, status(429, "Retry-After", value, "Date", now.Format(http.TimeFormat)))
		if f := executortest.Fault(t.Context(), t, x, executortest.Request(`{}`)); f.Class != steps.RateLimited || f.RetryAfter != steps.Duration(want) {
			t.Errorf("Retry-After %q: %s after %s, want %s", value, f.Class, f.RetryAfter, want)
		}
	}
}

func TestRefusalKeepsTheBody(t *testing.T) {
	t.Parallel()
	x := get(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(422)
		_, _ = io.WriteString(w, "no such \xff order"+strings.Repeat("ü", 100_000))
	})
	f := executortest.Fault(t.Context(), t, x, executortest.Request(`{}`))
	if !strings.HasPrefix(f.Detail, "no such \uFFFD order") || !strings.HasSuffix(f.Detail, "ü…") || len(f.Detail) > 2<<10+8 {
		t.Errorf("detail = %.40q with %d bytes, want the first 2 KiB as valid UTF-8", f.Detail, len(f.Detail))
	}
}

func TestRedirects(t *testing.T) {
	t.Parallel()
	reached := service(t, tell)
	for _, code := range []int{301, 302, 303, 307, 308} {
		from := service(t, status(code, "Location", reached.URL+"/there"))
		spec := executor.HTTP{Method: "POST", URL: text(from.URL), Headers: map[string]executor.Text{"X-Api-Key": text("k-1"), "Belay-Tool-Call": text("")}}
		f := executortest.Fault(t.Context(), t, client(t).Executor(spec), executortest.Request(`{}`))
		if f.Class != steps.ToolError || !f.MayHaveActed() || !strings.Contains(f.Message, reached.URL+"/there") {
			t.Errorf("%d: fault = %+v, want a tool_error that may have acted and says where to", code, f)
		}
		for _, method := range []string{"GET", "POST"} {
			spec.Method, spec.FollowRedirects = method, true
			got := ask(t, client(t).Executor(spec), executortest.Request(`{}`))
			if got.URI != "/there" || got.Header.Get("X-Api-Key") != "" || got.Header.Get(executor.ToolCall) != "1" {
				t.Errorf("%d %s: followed to %+v, want /there without the rung's headers, as a tool's call", code, method, got)
			}
		}
	}
}

func TestRedirectOnTheSameHostKeepsHeaders(t *testing.T) {
	t.Parallel()
	x := service(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			http.Redirect(w, r, "/there", http.StatusTemporaryRedirect)
			return
		}
		tell(w, r)
	})
	spec := executor.HTTP{Method: "POST", URL: text(x.URL), FollowRedirects: true, Headers: map[string]executor.Text{"X-Api-Key": text("k-1")}}
	got := ask(t, client(t).Executor(spec), executortest.Request(`{"a":1}`))
	if got.URI != "/there" || got.Body != `{"a":1}` || got.Header.Get("X-Api-Key") != "k-1" || got.Header.Get("Idempotency-Key") == "" {
		t.Errorf("followed to %+v, want the same request", got)
	}
}

// TestRedirectElsewhereTakesNoKey: another port of the same name is another server, and so is a subdomain.
func TestRedirectElsewhereTakesNoKey(t *testing.T) {
	t.Setenv("REDIRECTED_TOKEN", "secret:token-123456")
	there := service(t, tell)
	here := service(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, there.URL+"/there", http.StatusTemporaryRedirect)
	})
	for _, spec := range []executor.HTTP{{BearerEnv: "REDIRECTED_TOKEN"}, {BasicEnv: "REDIRECTED_TOKEN"}} {
		spec.Method, spec.URL, spec.FollowRedirects = "POST", text(here.URL), true
		spec.Headers = map[string]executor.Text{"X-Api-Key": text("k-1")}
		got := ask(t, client(t).Executor(spec), executortest.Request(`{"a":1}`))
		if got.URI != "/there" || got.Header.Get("Authorization") != "" || got.Header.Get("X-Api-Key") != "" || got.Header.Get(executor.ToolCall) != "1" {
			t.Errorf("followed to %+v", got)
		}
	}
}

func TestEndlessRedirectEnds(t *testing.T) {
	t.Parallel()
	x := client(t).Executor(executor.HTTP{URL: text(service(t, status(302, "Location", "/")).URL), FollowRedirects: true})
	if f := executortest.Fault(t.Context(), t, x, executortest.Request(`{}`)); f.Class != steps.ToolError || f.Status != 302 {
		t.Errorf("fault = %+v, want tool_error", f)
	}
}

func TestNeverSent(t *testing.T) {
	t.Parallel()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	plain := service(t, tell)
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = log.New(io.Discard, "", 0) // it would tell of every refused handshake
	secure.StartTLS()                                   // with a certificate that nobody trusts
	t.Cleanup(secure.Close)
	for name, url := range map[string]string{
		"refused": gone.URL, "no such host": "http://no-such-host.invalid/", "no TLS there": strings.Replace(plain.URL, "http:", "https:", 1),
		"untrusted": secure.URL,
	} {
		f := executortest.Fault(t.Context(), t, client(t).Executor(executor.HTTP{Method: "POST", URL: text(url)}), executortest.Request(`{}`))
		if f.Class != steps.Connection || f.Acted != steps.ActedNo {
			t.Errorf("%s: fault = %+v, want connection that did not act", name, f)
		}
	}
}

func TestTimeoutBeforeTheConnectionDidNotAct(t *testing.T) {
	t.Parallel()
	deaf, err := net.Listen("tcp", "127.0.0.1:0") // its kernel accepts, and TLS never begins
	if err != nil {
		t.Fatal(err)
	}
	defer deaf.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	f := executortest.Fault(ctx, t, client(t).Executor(executor.HTTP{URL: text("https://" + deaf.Addr().String())}), executortest.Request(`{}`))
	if f.Class != steps.Timeout || f.Acted != steps.ActedNo {
		t.Errorf("fault = %+v, want a timeout that did not act", f)
	}
}

func TestBrokenConnections(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]http.HandlerFunc{
		"closed":                 func(w http.ResponseWriter, _ *http.Request) { hangUp(t, w, false) },
		"reset":                  func(w http.ResponseWriter, _ *http.Request) { hangUp(t, w, true) },
		"reset within the body":  func(w http.ResponseWriter, _ *http.Request) { begin(w); hangUp(t, w, true) },
		"closed within the body": func(w http.ResponseWriter, _ *http.Request) { begin(w); hangUp(t, w, false) },
		"no HTTP": func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				_, _ = io.WriteString(conn, "SSH-2.0-OpenSSH\r\n\r\n")
				_ = conn.Close()
			}
		},
	} {
		f := executortest.Fault(t.Context(), t, post(t, h), executortest.Request(`{}`))
		if f.Class != steps.Connection || !f.MayHaveActed() {
			t.Errorf("%s: fault = %+v, want connection that may have acted", name, f)
		}
	}
}

// begin sends the head and a part of an answer.
func begin(w http.ResponseWriter) {
	w.Header().Set("Content-Length", "100")
	_, _ = io.WriteString(w, `{"a":`)
	_ = http.NewResponseController(w).Flush()
}

// The second request on a kept connection gets no answer. net/http would send it again by itself.
func TestNothingIsSentTwice(t *testing.T) {
	t.Parallel()
	for _, spec := range []executor.HTTP{
		{Method: "GET"}, {Method: "HEAD", Response: executor.FormatText}, {Method: "POST"}, {Method: "DELETE"}, {Method: "POST", FollowRedirects: true},
		{Method: "GET", FollowRedirects: true}, {Method: "PUT", Headers: map[string]executor.Text{"X-Idempotency-Key": text("1")}},
	} {
		var asked atomic.Int64
		s := service(t, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			if asked.Add(1) > 1 {
				hangUp(t, w, false)
				return
			}
			_, _ = io.WriteString(w, "{}")
		})
		spec.URL = text(s.URL)
		x := client(t).Executor(spec)
		executortest.Output(t.Context(), t, x, executortest.Request(`{}`))
		f := executortest.Fault(t.Context(), t, x, executortest.Request(`{}`))
		if f.Class != steps.Connection || !f.MayHaveActed() || asked.Load() != 2 {
			t.Errorf("%s: asked %d times, fault %+v, want 2 times and a connection fault that may have acted", spec.Method, asked.Load(), f)
		}
	}
}

func TestConnectionsAreKept(t *testing.T) {
	t.Parallel()
	var opened atomic.Int64
	s := httptest.NewUnstartedServer(http.HandlerFunc(echo))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	x := client(t).Executor(executor.HTTP{Method: "POST", URL: text(s.URL)})
	for range 20 {
		executortest.Output(t.Context(), t, x, executortest.Request(`{}`))
	}
	if n := opened.Load(); n != 1 {
		t.Errorf("%d connections for 20 calls in turn, want 1", n)
	}
}

func TestCausesAreNotWrapped(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	x := httpexec.NewClient("1", outbound.Policy{}).Executor(executor.HTTP{URL: text("http://127.0.0.1:1/a?token=secret")})
	cancel(errors.New("the run is cancelled"))
	if f := executortest.Fault(ctx, t, x, executortest.Request(`{}`)); strings.Contains(f.Message, "secret") || !strings.Contains(f.Message, "the run is cancelled") {
		t.Errorf("message = %q, want the cause and no query", f.Message)
	}
}

// TestAMessageNamesWhatWasCalled: with its path as it was sent, so that a value with a slash is no other path.
func TestAMessageNamesWhatWasCalled(t *testing.T) {
	t.Parallel()
	s := service(t, status(404))
	x := client(t).Executor(executor.HTTP{Method: "POST", URL: text(s.URL + "/charge/a%2Fb%20c")})
	f := executortest.Fault(t.Context(), t, x, executortest.Request(`{}`))
	if !strings.HasPrefix(f.Message, "POST "+s.URL+"/charge/a%2Fb%20c: ") {
		t.Error(f.Message)
	}
}
