package httpexec_test

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"belay/internal/executor"
	"belay/internal/executor/executortest"
	httpexec "belay/internal/executor/http"
	"belay/internal/outbound"
)

func text(s string) executor.Text { return func(any) (string, error) { return s, nil } }

// service is a real HTTP server on the loopback that ends with the test.
func service(t testing.TB, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

func client(t testing.TB) *httpexec.Client {
	t.Helper()
	c := httpexec.NewClient("1.2.3", outbound.Policy{})
	t.Cleanup(c.Close)
	return c
}

// post is an executor that posts its parameters to a service with this handler.
func post(t testing.TB, h http.HandlerFunc) executor.Executor {
	t.Helper()
	return client(t).Executor(executor.HTTP{Method: "POST", URL: text(service(t, h).URL), MaxBytes: executortest.Limit})
}

func get(t testing.TB, h http.HandlerFunc) executor.Executor {
	t.Helper()
	return client(t).Executor(executor.HTTP{URL: text(service(t, h).URL + "/orders?key=v")})
}

func write(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }
}

func status(code int, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
	}
}

func answering(body string) executortest.Make {
	return func(t *testing.T) executor.Executor { return post(t, write(body)) }
}

// echo answers with what it was sent.
func echo(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }

// hangUp breaks the connection under the request; with linger 0 by a reset.
func hangUp(t testing.TB, w http.ResponseWriter, reset bool) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		t.Error(err)
		return
	}
	if reset {
		_ = conn.(*net.TCPConn).SetLinger(0)
	}
	_ = conn.Close()
}

// seen is what a service was asked, as it is told by its answer.
type seen struct {
	Method, URI, Host, Body string
	Header                  http.Header
	Length                  int64
	Chunked                 []string
}

func tell(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	_ = json.NewEncoder(w).Encode(seen{r.Method, r.RequestURI, r.Host, string(body), r.Header, r.ContentLength, r.TransferEncoding})
}

func ask(t *testing.T, x executor.Executor, req executor.Request) seen {
	t.Helper()
	var s seen
	if err := json.Unmarshal(executortest.Output(t.Context(), t, x, req), &s); err != nil {
		t.Fatal(err)
	}
	return s
}
