package mcpexec_test

import (
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"testing"

	"belay/internal/executor"
	"belay/internal/executor/executortest"
)

const (
	structured = `{"jsonrpc":"2.0","id":$ID,"result":{"content":[],"structuredContent":$ARGS}}`
	large      = `{"jsonrpc":"2.0","id":$ID,"result":{"content":[{"type":"text","text":"LARGE"}]}}`
)

func largeAnswer() string {
	return strings.ReplaceAll(large, "LARGE", strings.Repeat("x", executortest.Limit+1))
}

func TestConformanceOfPrograms(t *testing.T) {
	saying := func(answer string) executortest.Make {
		return func(t *testing.T) executor.Executor { return rung(t, program(t, "plain "+answer), "any") }
	}
	executortest.Exercise(t, executortest.Subject{
		Succeed: saying(structured),
		Hang: func(t *testing.T, started chan<- struct{}) executor.Executor {
			addr, called := calls(t)
			go func() {
				hold(t, <-called)
				close(started)
			}()
			return rung(t, program(t, "library", executor.EnvVar{Name: callVar, Value: addr}), "hang")
		},
		Large:   saying(largeAnswer()),
		Garbage: saying(`{"jsonrpc":"2.0","id":$ID,"result":{not JSON`),
		Nothing: saying(`{"jsonrpc":"2.0","id":$ID,"result":{}}`),
		BadUTF8: saying(`{"jsonrpc":"2.0","id":$ID,"result":{"content":[],"structuredContent":"@xff"}}`),
		Fail:    saying(`{"jsonrpc":"2.0","id":$ID,"result":{"content":[{"type":"text","text":"no"}],"isError":true}}`),
	})
}

func TestConformanceOverHTTP(t *testing.T) {
	saying := func(answer string) executortest.Make {
		return func(t *testing.T) executor.Executor { return rung(t, plainHTTP(t, answer, nil), "any") }
	}
	executortest.Exercise(t, executortest.Subject{
		Succeed: saying(structured),
		Hang: func(t *testing.T, started chan<- struct{}) executor.Executor {
			return rung(t, plainHTTP(t, "", func(_ http.ResponseWriter, r *http.Request) {
				close(started)
				<-r.Context().Done()
			}), "any")
		},
		Large:   saying(largeAnswer()),
		Garbage: saying("+OK"),
		Nothing: saying(`{"jsonrpc":"2.0","id":$ID,"result":{}}`),
		BadUTF8: saying(`{"jsonrpc":"2.0","id":$ID,"result":{"content":[],"structuredContent":"@xff"}}`),
		Fail:    saying(`{"jsonrpc":"2.0","id":$ID,"error":{"code":-32000,"message":"no"}}`),
	})
}

// Over a stream of events the answer is the same.
func TestConformanceOfStreams(t *testing.T) {
	saying := func(answer string) executortest.Make {
		return func(t *testing.T) executor.Executor {
			return rung(t, plainHTTP(t, "", func(w http.ResponseWriter, r *http.Request) {
				var m request
				_ = json.NewDecoder(r.Body).Decode(&m)
				w.Header().Set("Content-Type", "text/event-stream")
				said := strings.ReplaceAll(answerOf(m, answer), "@xff", "\xff")
				_, _ = w.Write([]byte(": a comment\r\n\r\nevent: message\ndata: " + said + "\n\n"))
			}), "any")
		}
	}
	executortest.Exercise(t, executortest.Subject{
		Succeed: saying(structured),
		Large:   saying(largeAnswer()),
		Garbage: saying("+OK"),
		Nothing: saying(`{"jsonrpc":"2.0","id":$ID,"result":{}}`),
		BadUTF8: saying(`{"jsonrpc":"2.0","id":$ID,"result":{"content":[],"structuredContent":"@xff"}}`),
		Fail:    saying(`{"jsonrpc":"2.0","id":$ID,"error":{"code":-32000,"message":"no"}}`),
	})
}

// hold keeps a connection until the test ends.
func hold(t *testing.T, conn net.Conn) { t.Cleanup(func() { conn.Close() }) }
