package httpexec_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/trace"

	"belay/internal/executor"
	"belay/internal/executor/executortest"
	"belay/internal/steps"
)

func TestConformance(t *testing.T) {
	executortest.Exercise(t, executortest.Subject{
		Succeed: func(t *testing.T) executor.Executor { return post(t, echo) },
		Hang: func(t *testing.T, started chan<- struct{}) executor.Executor {
			return post(t, func(_ http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body) // only then the server notices that the executor hangs up
				close(started)
				<-r.Context().Done()
			})
		},
		Large:   answering(`"` + strings.Repeat("x", 2_000_000) + `"`),
		Garbage: answering("<html>it works</html>"),
		Nothing: answering(""),
		BadUTF8: answering("\"\xff\""),
		Fail:    func(t *testing.T) executor.Executor { return post(t, status(500)) },
	})
}

func TestConformanceWhenTheBodyHangs(t *testing.T) {
	executortest.Exercise(t, executortest.Subject{
		Succeed: func(t *testing.T) executor.Executor { return post(t, echo) },
		Hang: func(t *testing.T, started chan<- struct{}) executor.Executor {
			return post(t, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				_, _ = io.WriteString(w, `{"a":`)
				_ = http.NewResponseController(w).Flush()
				close(started)
				<-r.Context().Done()
			})
		},
	})
}

func TestWhatIsSent(t *testing.T) {
	t.Parallel()
	url := service(t, tell).URL
	ctx := trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled,
	}))
	x := client(t).Executor(executor.HTTP{
		Method: "PUT", URL: text(url + "/orders/A%2F1?a=1"), Query: map[string]executor.Text{"q": text("x&y=z ü")},
		Headers: map[string]executor.Text{"X-Team": text("payments"), "idempotency-KEY": text("mine"), "Host": text("shop.test"), "belay-tool-call": text("")},
	})
	var got seen
	if err := json.Unmarshal(executortest.Output(ctx, t, x, executortest.Request(`{"n":1.0}`)), &got); err != nil {
		t.Fatal(err)
	}
	if got.Method != "PUT" || got.URI != "/orders/A%2F1?a=1&q=x%26y%3Dz+%C3%BC" || got.Body != `{"n":1.0}` || got.Host != "shop.test" {
		t.Errorf("the service saw %+v", got)
	}
	for name, want := range map[string]string{
		"Idempotency-Key": "run-1/step-1/0", "User-Agent": "belay/1.2.3", "Content-Type": "application/json", "Accept": "application/json",
		executor.ToolCall: "1", "X-Team": "payments", "Traceparent": "00-01000000000000000000000000000000-0200000000000000-01",
	} {
		if v := got.Header.Values(name); len(v) != 1 || v[0] != want {
			t.Errorf("header %s = %q, want %q", name, v, want)
		}
	}
}

// TestTheServiceSeesTheApproval, and nothing that a rung says is one. Where the body is something else, it sees what was approved.
func TestTheServiceSeesTheApproval(t *testing.T) {
	t.Parallel()
	url, long := service(t, tell).URL, `{"text":"`+strings.Repeat("x", 5000)+`"}`
	given := func(any) (json.RawMessage, error) { return json.RawMessage(`[2]`), nil }
	own := map[string]executor.Text{"belay-grant": text("mine"), "Belay-GRANT-params": text("mine")}
	for _, c := range []struct {
		spec                  executor.HTTP
		params, grant         string
		wantGrant, wantParams string
	}{
		{executor.HTTP{Method: "POST"}, `{"n":1}`, "v1.e30", "v1.e30", ""},
		{executor.HTTP{Method: "POST", Body: given}, `{"n":1}`, "v1.e30", "v1.e30", "eyJuIjoxfQ"},
		{executor.HTTP{}, `{"n":1}`, "v1.e30", "v1.e30", "eyJuIjoxfQ"},
		{executor.HTTP{}, long, "v1.e30", "v1.e30", ""},
		{executor.HTTP{}, `{"n":1}`, "", "", ""},
	} {
		c.spec.URL, c.spec.Headers = text(url), own
		req := executortest.Request(c.params)
		req.Grant = c.grant
		got := ask(t, client(t).Executor(c.spec), req)
		if got.Header.Get(executor.Grant) != c.wantGrant || got.Header.Get(executor.GrantParams) != c.wantParams {
			t.Errorf("%s with the approval %q: the service saw %v", c.spec.Method, c.grant, got.Header)
		}
	}
}

func TestBodies(t *testing.T) {
	t.Parallel()
	url, params := service(t, tell).URL, `{"n":1}`
	given := func(any) (json.RawMessage, error) { return json.RawMessage(`[2]`), nil }
	for _, c := range []struct {
		method string
		body   func(any) (json.RawMessage, error)
		want   string
	}{
		{"POST", nil, params}, {"put", nil, params}, {"PATCH", nil, params}, {"GET", nil, ""}, {"", nil, ""}, {"DELETE", nil, ""},
		{"POST", given, "[2]"}, {"DELETE", given, "[2]"}, {"GET", given, "[2]"},
	} {
		got := ask(t, client(t).Executor(executor.HTTP{Method: c.method, URL: text(url), Body: c.body}), executortest.Request(params))
		if got.Body != c.want || got.Length != int64(len(c.want)) || len(got.Chunked) > 0 {
			t.Errorf("%s: the service saw %+v, want body %q and its length", c.method, got, c.want)
		}
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		format  string
		want    string
	}{
		"json":         {write("  {\"a\": 1.50}\n"), "", `{"a": 1.50}`},
		"scalar":       {write("null"), executor.FormatJSON, "null"},
		"text":         {write("a<b\n"), executor.FormatText, `{"text":"a<b\n"}`},
		"empty text":   {write(""), executor.FormatText, `{"text":""}`},
		"no content":   {status(204), "", "null"},
		"reset":        {status(205), "", "null"},
		"created":      {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(201); _, _ = w.Write([]byte("{}")) }, "", "{}"},
		"at the limit": {write(`"` + strings.Repeat("x", executortest.Limit-2) + `"`), "", `"` + strings.Repeat("x", executortest.Limit-2) + `"`},
	} {
		x := client(t).Executor(executor.HTTP{URL: text(service(t, c.handler).URL), Response: c.format, MaxBytes: executortest.Limit})
		if got := executortest.Output(t.Context(), t, x, executortest.Request(`{}`)); string(got) != c.want {
			t.Errorf("%s: output = %s, want %s", name, got, c.want)
		}
	}
	f := executortest.Fault(t.Context(), t, get(t, status(201)), executortest.Request(`{}`))
	if f.Class != steps.InvalidOutput || f.Status != 201 {
		t.Errorf("201 without a body: fault = %+v, want invalid_output", f)
	}
}

func TestTemplateErrors(t *testing.T) {
	t.Parallel()
	bad := func(any) (string, error) { return "", errors.New("params.order is null") }
	badBody := func(any) (json.RawMessage, error) { return nil, errors.New("params.order is null") }
	asked := 0
	url := text(service(t, func(http.ResponseWriter, *http.Request) { asked++ }).URL)
	for where, spec := range map[string]executor.HTTP{
		"url": {URL: bad}, "query q": {URL: url, Query: map[string]executor.Text{"q": bad}},
		"header H": {URL: url, Headers: map[string]executor.Text{"H": bad}}, "body": {URL: url, Body: badBody},
	} {
		f := executortest.Fault(t.Context(), t, client(t).Executor(spec), executortest.Request(`{}`))
		if f.Class != steps.BadExpression || f.Acted != steps.ActedNo || !strings.Contains(f.Message, where+": params.order is null") {
			t.Errorf("%s: fault = %+v, want bad_expression that did not act", where, f)
		}
	}
	for _, spec := range []executor.HTTP{
		{URL: text("file:///etc/passwd")}, {URL: text("http://")}, {URL: text("://x")}, {URL: text("orders/1")}, {URL: url, Method: "G E T"},
		{URL: url, Headers: map[string]executor.Text{"H": text("a\r\nX-Evil: 1")}},
	} {
		f := executortest.Fault(t.Context(), t, client(t).Executor(spec), executortest.Request(`{}`))
		if f.Class != steps.InvalidInput || f.Acted != steps.ActedNo {
			t.Errorf("%+v: fault = %+v, want invalid_input that did not act", spec, f)
		}
	}
	if asked != 0 {
		t.Errorf("the service was asked %d times", asked)
	}
}

func TestCredentials(t *testing.T) {
	const secret = "canary/token+1=="
	t.Setenv("BELAY_TEST_TOKEN", secret)
	t.Setenv("BELAY_TEST_BASIC", "ann:"+secret)
	t.Setenv("BELAY_TEST_EMPTY", "")
	echoAuth := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			_, pass, _ := r.BasicAuth()
			w.WriteHeader(code)
			fmt.Fprintf(w, `{"saw":%q,"pass":%q,"pad":"`, r.Header.Get("Authorization"), pass)
			_, _ = w.Write([]byte(strings.Repeat(secret, 500) + `"}`))
		}
	}
	for _, spec := range []executor.HTTP{{BearerEnv: "BELAY_TEST_TOKEN"}, {BasicEnv: "BELAY_TEST_BASIC"}} {
		name := spec.BearerEnv + spec.BasicEnv
		spec.URL = text(service(t, echoAuth(200)).URL)
		out := string(executortest.Output(t.Context(), t, client(t).Executor(spec), executortest.Request(`{}`)))
		hidden(t, out, name)
		for _, code := range []int{403, 503} {
			spec.URL = text(service(t, echoAuth(code)).URL)
			f := executortest.Fault(t.Context(), t, client(t).Executor(spec), executortest.Request(`{}`))
			hidden(t, f.Message+f.Detail, name)
		}
		spec.MaxBytes = 1000
		spec.URL = text(service(t, echoAuth(200)).URL)
		f := executortest.Fault(t.Context(), t, client(t).Executor(spec), executortest.Request(`{}`))
		hidden(t, f.Message+f.Detail, name)
	}
	for _, spec := range []executor.HTTP{{BearerEnv: "BELAY_TEST_UNSET"}, {BasicEnv: "BELAY_TEST_UNSET"}, {BearerEnv: "BELAY_TEST_EMPTY"}, {BasicEnv: "BELAY_TEST_TOKEN"}} {
		spec.URL = text(service(t, tell).URL)
		f := executortest.Fault(t.Context(), t, client(t).Executor(spec), executortest.Request(`{}`))
		if f.Class != steps.Unauthorized || f.Acted != steps.ActedNo || !strings.Contains(f.Message, spec.BearerEnv+spec.BasicEnv) || strings.Contains(f.Message, "canary") {
			t.Errorf("fault = %+v, want unauthorized that did not act and names the variable", f)
		}
	}
}

func hidden(t *testing.T, text, name string) {
	t.Helper()
	if strings.Contains(text, "canary") || strings.Contains(text, "Y2FuYXJ5") || strings.Contains(text, "YW5uOmNhbmFye") {
		t.Errorf("%s is told: %.300s", name, text)
	}
	if !strings.Contains(text, "[value of "+name+"]") {
		t.Errorf("nothing says that %s was hidden: %.300s", name, text)
	}
}

func TestCredentialsArrive(t *testing.T) {
	t.Setenv("BELAY_TEST_TOKEN", "token-1")
	t.Setenv("BELAY_TEST_BASIC", "ann:pass:word")
	for _, c := range []struct {
		spec executor.HTTP
		want string
	}{
		{executor.HTTP{BearerEnv: "BELAY_TEST_TOKEN"}, "Bearer token-1"},
		{executor.HTTP{BasicEnv: "BELAY_TEST_BASIC"}, "Basic YW5uOnBhc3M6d29yZA=="},
	} {
		got := make(chan string, 1)
		c.spec.URL = text(service(t, func(w http.ResponseWriter, r *http.Request) {
			got <- r.Header.Get("Authorization")
			w.WriteHeader(204)
		}).URL)
		executortest.Output(t.Context(), t, client(t).Executor(c.spec), executortest.Request(`{}`))
		if auth := <-got; auth != c.want {
			t.Errorf("Authorization = %q, want %q", auth, c.want)
		}
	}
}

func BenchmarkExecute(b *testing.B) {
	x, req := post(b, echo), executortest.Request(`{"order":"A-1009"}`)
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := x.Execute(b.Context(), req); err != nil {
				b.Error(err)
			}
		}
	})
}
