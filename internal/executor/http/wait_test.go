package httpexec_test

import (
	"io"
	"net/http"
	"testing"
	"time"

	"belay/internal/executor/executortest"
	"belay/internal/steps"
)

func TestNamedWaits(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		headers []string
		want    time.Duration
	}{
		{[]string{"Retry-After-Ms", "250"}, 250 * time.Millisecond},
		{[]string{"retry-after-ms", "250.5", "Retry-After", "1"}, 250500 * time.Microsecond},
		{[]string{"x-ms-retry-after-ms", "40"}, 40 * time.Millisecond},
		{[]string{"grpc-retry-pushback-ms", "1500"}, 1500 * time.Millisecond},
		{[]string{http.TrailerPrefix + "grpc-retry-pushback-ms", "1500"}, 1500 * time.Millisecond},
		{[]string{"grpc-retry-pushback-ms", "-1"}, 0},
		{[]string{"grpc-retry-pushback-ms", "-1", "Retry-After", "2"}, 2 * time.Second},
		{[]string{"Retry-After-Ms", "soon", "Retry-After", "2"}, 2 * time.Second},
		{[]string{"Retry-After-Ms", "soon"}, 0}, {[]string{"Retry-After-Ms", "NaN"}, 0}, {[]string{"Retry-After-Ms", "Inf"}, 0},
		{[]string{"Retry-After", "-5"}, 0}, {[]string{"Retry-After", "Inf"}, 0}, {[]string{"Retry-After-Ms", "0", "Retry-After", "2"}, 0},
	} {
		x := get(t, func(w http.ResponseWriter, _ *http.Request) {
			for i := 0; i < len(c.headers); i += 2 {
				w.Header()[c.headers[i]] = []string{c.headers[i+1]} // written as it is
			}
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, "busy")
			w.(http.Flusher).Flush() // in chunks, which trailers need
		})
		if f := executortest.Fault(t.Context(), t, x, executortest.Request(`{}`)); f.RetryAfter != steps.Duration(c.want) {
			t.Errorf("%v: the wait is %s, want %s", c.headers, f.RetryAfter, c.want)
		}
	}
}
