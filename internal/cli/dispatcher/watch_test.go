package dispatcher

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"belay/internal/bus/embedded"
	"belay/internal/engine"
	"belay/internal/observe"
)

// TestReadyIsReadyForTheAPI: a dispatcher is not ready before its API is.
func TestReadyIsReadyForTheAPI(t *testing.T) {
	t.Parallel()
	e, err := engine.Start(t.Context(), engine.Options{Embedded: &embedded.Options{StoreDir: t.TempDir(), Durability: embedded.Interval}})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Stop()
	w := &watched{stopping: &atomic.Bool{}}
	all := w.pages(observe.Pages(observe.NewRegistry("test"), func() error { return w.ready(e) }))
	status := func(path string) int {
		rec := httptest.NewRecorder()
		all.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
		return rec.Code
	}
	if ready, api := status("/readyz"), status("/api/v1/runs"); ready != 503 || api != 503 {
		t.Errorf("without an API: /readyz %d, /api/v1/runs %d", ready, api)
	}
	w.open(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusOK) }))
	if ready, api := status("/readyz"), status("/api/v1/runs"); ready != 200 || api != 200 {
		t.Errorf("with an API: /readyz %d, /api/v1/runs %d", ready, api)
	}
}

// TestWhereMetricsAreRead: metrics are read under the host names that are meant for it, health checks under every one.
func TestWhereMetricsAreRead(t *testing.T) {
	t.Parallel()
	public := "belay.example.com"
	for _, c := range []struct {
		meant string // --metrics-host
		host  string
		want  int
	}{
		{"", "belay-1:8222", 200},
		{"", "10.0.0.7:8222", 200},
		{"", "Belay.example.com", 421},
		{"belay-1", "belay-1:8222", 200},
		{"belay-1", "BELAY-1", 200},
		{"belay-1", "127.0.0.1:8222", 200},
		{"belay-1", "[::1]:8222", 200},
		{"belay-1", "localhost:8222", 200},
		{"belay-1", "evil.example:8222", 421},
		{"belay-1", "localhost.evil.example:8222", 421},
		{"belay-1", public, 421},
		{"belay-1:9000", "belay-1:8222", 421},
		{"belay-1:9000", "belay-1:9000", 200},
		{public, public, 200},
		{"*", "anything", 200},
		{"belay-1,belay-2", "belay-2:8222", 200},
	} {
		w := &watched{stopping: &atomic.Bool{}}
		w.public.Store(&public)
		if c.meant != "" {
			meant := strings.Split(c.meant, ",")
			w.scraped.Store(&meant)
		}
		all := w.pages(observe.Pages(observe.NewRegistry("test"), func() error { return nil }))
		for path, want := range map[string]int{"/metrics": c.want, "/healthz": 200, "/readyz": 200} {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
			r.Host = c.host
			rec := httptest.NewRecorder()
			all.ServeHTTP(rec, r)
			if rec.Code != want {
				t.Errorf("--metrics-host %q, Host: %s: %s is %d, want %d", c.meant, c.host, path, rec.Code, want)
			}
		}
	}
}
