package modelexec_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"belay/internal/executor"
	"belay/internal/executor/executortest"
	modelexec "belay/internal/executor/model"
	"belay/internal/outbound"
	"belay/internal/plan"
	"belay/internal/scriptedmodel"
	"belay/internal/steps"
)

var providers = []string{executor.ProviderOpenAI, executor.ProviderAnthropic}

// both runs a test for each provider.
func both(t *testing.T, test func(t *testing.T, provider string)) {
	t.Helper()
	for _, p := range providers {
		t.Run(p, func(t *testing.T) { t.Parallel(); test(t, p) })
	}
}

// service is a real HTTP server on the loopback that ends with the test.
func service(t testing.TB, h http.Handler) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL + "/v1"
}

// rung is a rung of a provider at a place.
func rung(t testing.TB, provider, at string, set ...func(*executor.Model)) executor.Executor {
	t.Helper()
	c := modelexec.NewClient("1.2.3", outbound.Policy{}, nil)
	t.Cleanup(c.Close)
	spec := executor.Model{Provider: provider, Model: "small-1", BaseURL: at, Compile: plan.CompileSchema}
	for _, s := range set {
		s(&spec)
	}
	return c.Executor(spec)
}

// scripted is a rung whose model follows a script.
func scripted(t testing.TB, provider string, answers ...scriptedmodel.Answer) (executor.Executor, *scriptedmodel.Server) {
	t.Helper()
	s := scriptedmodel.New(scriptedmodel.Script{Answers: answers})
	return rung(t, provider, service(t, s)), s
}

// asText is a prompt that is the parameters as they are.
func asText(m *executor.Model) {
	m.MaxBytes = executortest.Limit
	m.Prompt = func(params any) (string, error) {
		var b strings.Builder
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		err := enc.Encode(params)
		return strings.TrimSpace(b.String()), err
	}
}

// echo is a model that says what it is asked.
func echo(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var ask struct {
		Messages []struct{ Content any }
	}
	_ = json.Unmarshal(body, &ask)
	last := ask.Messages[len(ask.Messages)-1].Content
	if blocks, is := last.([]any); is {
		last = blocks[0].(map[string]any)["text"]
	}
	again := httptest.NewRequest(http.MethodPost, r.URL.Path, strings.NewReader(string(body)))
	scriptedmodel.New(scriptedmodel.Script{Answers: []scriptedmodel.Answer{{Text: last.(string)}}}).ServeHTTP(w, again)
}

func answering(provider, kind, body string) executortest.Make {
	return func(t *testing.T) executor.Executor {
		return rung(t, provider, service(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if kind != "" {
				w.Header().Set("Content-Type", kind)
			}
			_, _ = io.WriteString(w, body)
		})), asText)
	}
}

func TestConformance(t *testing.T) {
	for _, p := range providers {
		t.Run(p, func(t *testing.T) {
			s := subject(p, func(http.ResponseWriter) {})
			s.Garbage, s.Nothing = answering(p, "", "<html>it works</html>"), answering(p, "", "")
			s.BadUTF8 = answering(p, "application/json", "{\"a\":\"\xff\"}")
			s.Fail = answering(p, "application/json", `{"error":"no"}`)
			s.Large = func(t *testing.T) executor.Executor {
				long := scriptedmodel.New(scriptedmodel.Script{Answers: []scriptedmodel.Answer{{Text: strings.Repeat("word ", executortest.Limit)}}})
				return rung(t, p, service(t, long), asText)
			}
			executortest.Exercise(t, s)
		})
	}
}

func TestConformanceWhenTheStreamHangs(t *testing.T) {
	for _, p := range providers {
		t.Run(p, func(t *testing.T) {
			const stream = "text/event-stream"
			s := subject(p, func(w http.ResponseWriter) {
				w.Header().Set("Content-Type", stream)
				_ = http.NewResponseController(w).Flush()
			})
			s.Garbage, s.Nothing = answering(p, stream, "data: {\"it works\"\n\n"), answering(p, stream, "")
			s.BadUTF8 = answering(p, stream, "data: {\"a\":\"\xff\"}\n\n")
			s.Large = answering(p, stream, "data: "+strings.Repeat("x", 2<<20))
			executortest.Exercise(t, s)
		})
	}
}

// subject is a rung of a provider; one whose answer never ends has begun it.
func subject(p string, begin func(http.ResponseWriter)) executortest.Subject {
	return executortest.Subject{
		Acted:   steps.ActedNo,
		Succeed: func(t *testing.T) executor.Executor { return rung(t, p, service(t, http.HandlerFunc(echo)), asText) },
		Want: func(params json.RawMessage) json.RawMessage {
			return json.RawMessage(`{"text":` + quoted(string(params)) + `,"stop":"end"}`)
		},
		Hang: func(t *testing.T, started chan<- struct{}) executor.Executor {
			return rung(t, p, service(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				begin(w)
				close(started)
				<-r.Context().Done()
			})), asText)
		},
	}
}

func quoted(s string) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s)
	return strings.TrimSpace(b.String())
}
