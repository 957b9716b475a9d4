package httpexec_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"belay/internal/executor"
	"belay/internal/executor/executortest"
	"belay/internal/steps"
)

// TestReferenceOfFaults: docs/faults.md says what comes of calls that do not work.
func TestReferenceOfFaults(t *testing.T) {
	t.Parallel()
	calling := func(spec executor.HTTP) executortest.Cause {
		return func(t *testing.T) steps.Fault {
			return executortest.Fault(t.Context(), t, client(t).Executor(spec), executortest.Request(`{}`))
		}
	}
	posting := func(h http.HandlerFunc) executortest.Cause {
		return func(t *testing.T) steps.Fault {
			return executortest.Fault(t.Context(), t, post(t, h), executortest.Request(`{}`))
		}
	}
	late := func(t *testing.T, x executor.Executor) steps.Fault {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		return executortest.Fault(ctx, t, x, executortest.Request(`{}`))
	}
	bad := func(any) (string, error) { return "", errors.New("params.order is null") }
	nowhere := text("http://127.0.0.1:1/")
	executortest.Agree(t, "http", "what happens", map[string][]executortest.Cause{
		"the host is not found, refuses the connection, or TLS fails": {
			calling(executor.HTTP{URL: text("http://nobody.invalid/")}), calling(executor.HTTP{URL: nowhere}),
			func(t *testing.T) steps.Fault {
				plain := strings.Replace(service(t, echo).URL, "http://", "https://", 1)
				return executortest.Fault(t.Context(), t, client(t).Executor(executor.HTTP{URL: text(plain)}), executortest.Request(`{}`))
			},
		},
		"the connection breaks after that": {posting(func(w http.ResponseWriter, _ *http.Request) { hangUp(t, w, true) })},
		"the timeout passes before there is a connection": {func(t *testing.T) steps.Fault {
			deaf, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer deaf.Close()
			return late(t, client(t).Executor(executor.HTTP{URL: text("https://" + deaf.Addr().String())}))
		}},
		"the timeout passes after that": {func(t *testing.T) steps.Fault {
			return late(t, post(t, func(w http.ResponseWriter, r *http.Request) { begin(w); <-r.Context().Done() }))
		}},
		"the answer is not JSON, too large, or cannot be unpacked": {
			posting(write("+OK")), posting(write(`"` + strings.Repeat("x", executortest.Limit) + `"`)), posting(saying(200, strings.Repeat("x", 100), "Content-Encoding", "gzip")),
		},
		"the variable of `auth` is not set":              {calling(executor.HTTP{URL: nowhere, BearerEnv: "BELAY_NOT_SET_ANYWHERE"})},
		"a template fails":                               {calling(executor.HTTP{URL: bad}), calling(executor.HTTP{URL: nowhere, Headers: map[string]executor.Text{"A": bad}})},
		"no URL or header can be made of the parameters": {calling(executor.HTTP{URL: text("ftp://a")}), calling(executor.HTTP{URL: nowhere, Headers: map[string]executor.Text{"A": text("a\nb")}})},
	})
}
