package dispatcher

import (
	"net/http"
	"net/http/httptest"
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
