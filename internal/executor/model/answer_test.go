package modelexec_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"

	"belay/internal/executor"
	"belay/internal/executor/executortest"
	"belay/internal/plan"
	"belay/internal/scriptedmodel"
	"belay/internal/steps"
)

// TestWhatIsSent: nothing but what the tools file and the parameters say, whatever the environment of the libraries holds.
func TestWhatIsSent(t *testing.T) {
	for _, name := range []string{
		"OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_PROFILE",
	} {
		t.Setenv(name, "from-the-environment")
	}
	for _, name := range []string{"OPENAI_BASE_URL", "ANTHROPIC_BASE_URL"} {
		t.Setenv(name, "http://127.0.0.1:1/elsewhere")
	}
	t.Setenv("OPENAI_CUSTOM_HEADERS", "X-Mine: from-the-environment")
	t.Setenv("ANTHROPIC_CUSTOM_HEADERS", "X-Mine: from-the-environment")
	t.Setenv("ANTHROPIC_OPEN_TELEMETRY_TRACES_CONTENT_MODE", "content")
	t.Setenv("SUPPORT_KEY", "sk-support-1234567890")
	for _, p := range providers {
		for _, key := range []string{"", "SUPPORT_KEY"} {
			sent := sentBy(t, p, key)
			h := sent.Header
			for name, values := range h {
				if all := strings.Join(values, " "); strings.Contains(all, "from-the-environment") || strings.HasPrefix(name, "X-Stainless") {
					t.Errorf("%s: the header %s = %q was sent", p, name, all)
				}
			}
			if got := h.Get("Authorization") + h.Get("X-Api-Key"); (got != "") != (key != "") || strings.TrimPrefix(got, "Bearer ") != os.Getenv(key) {
				t.Errorf("%s: with the key %q it sent %q", p, key, got)
			}
			if p == executor.ProviderAnthropic && h.Get("Authorization") != "" {
				t.Errorf("the key was sent in Authorization")
			}
			if h.Get("User-Agent") != "belay/1.2.3" || h.Get(executor.ToolCall) != "1" || h.Get("Traceparent") != "00-01000000000000000000000000000000-0200000000000000-01" || h.Get("Idempotency-Key") != "" {
				t.Errorf("%s: headers = %v", p, h)
			}
		}
	}
}

func sentBy(t *testing.T, provider, key string) (sent *http.Request) {
	t.Helper()
	s := scriptedmodel.New(scriptedmodel.Script{Answers: []scriptedmodel.Answer{{Text: "hello"}}})
	at := service(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { sent = r.Clone(r.Context()); s.ServeHTTP(w, r) }))
	x := rung(t, provider, at, func(m *executor.Model) { m.BearerEnv = key })
	ctx := trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled}))
	_ = executortest.Output(ctx, t, x, executortest.Request(`{"prompt":"hi"}`))
	return sent
}

const talk = `{
	"messages": [
		{"role":"user","text":"refund A-1"},
		{"role":"assistant","text":"I look.","calls":[{"id":"t1_1","name":"orders_lookup","arguments":{"order":"A-1","n":1.10}},{"id":"t1_2","name":"stock","unreadable":"{oops"}]},
		{"role":"tool","call":"t1_1","text":"<paid>"},
		{"role":"tool","call":"t1_2","text":"no such thing","failed":true},
		{"role":"user","text":"well?"}
	],
	"instructions": "Be short.",
	"tools": [{"name":"orders_lookup","description":"finds an order","input_schema":{"type":"object","properties":{"n":{"maximum":1.10}}}},{"name":"stock"}],
	"max_output_tokens": 50
}`

func TestConversationsAsTheyAreWritten(t *testing.T) {
	t.Parallel()
	want := map[string]string{
		executor.ProviderOpenAI: `{"messages":[{"content":"Always polite.\n\nBe short.","role":"system"},{"content":"refund A-1","role":"user"},` +
			`{"content":"I look.","tool_calls":[{"id":"t1_1","function":{"arguments":"{\"order\":\"A-1\",\"n\":1.10}","name":"orders_lookup"},"type":"function"},` +
			`{"id":"t1_2","function":{"arguments":"{oops","name":"stock"},"type":"function"}],"role":"assistant"},` +
			`{"content":"<paid>","tool_call_id":"t1_1","role":"tool"},{"content":"failed: no such thing","tool_call_id":"t1_2","role":"tool"},{"content":"well?","role":"user"}],` +
			`"model":"small-1","max_tokens":50,"temperature":0.5,"stream_options":{"include_usage":true},` +
			`"tools":[{"function":{"description":"finds an order","name":"orders_lookup","parameters":{"type":"object","properties":{"n":{"maximum":1.10}}}},"type":"function"},` +
			`{"function":{"name":"stock","parameters":{"type":"object"}},"type":"function"}],"stream":true}`,
		executor.ProviderAnthropic: `{"max_tokens":50,"messages":[{"content":[{"text":"refund A-1","type":"text"}],"role":"user"},` +
			`{"content":[{"text":"I look.","type":"text"},{"id":"t1_1","input":{"order":"A-1","n":1.10},"name":"orders_lookup","type":"tool_use"},{"id":"t1_2","input":{},"name":"stock","type":"tool_use"}],"role":"assistant"},` +
			`{"content":[{"tool_use_id":"t1_1","is_error":false,"content":[{"text":"<paid>","type":"text"}],"type":"tool_result"},` +
			`{"tool_use_id":"t1_2","is_error":true,"content":[{"text":"no such thing","type":"text"}],"type":"tool_result"},{"text":"well?","type":"text"}],"role":"user"}],` +
			`"model":"small-1","system":[{"text":"Always polite.\n\nBe short.","type":"text"}],` +
			`"tools":[{"input_schema":{"type":"object","properties":{"n":{"maximum":1.10}}},"name":"orders_lookup","description":"finds an order"},{"input_schema":{"type":"object"},"name":"stock"}],` +
			`"stream":true,"temperature":0.5}`,
	}
	both(t, func(t *testing.T, p string) {
		s := scriptedmodel.New(scriptedmodel.Script{Answers: []scriptedmodel.Answer{{Text: "hello"}}})
		half := 0.5
		x := rung(t, p, service(t, s), func(m *executor.Model) {
			m.Temperature, m.MaxOutputTokens = &half, 100
			m.Instructions = func(any) (string, error) { return "Always polite.", nil }
		})
		_ = executortest.Output(t.Context(), t, x, executortest.Request(talk))
		if got := unescaped(string(s.Requests()[0])); got != want[p] {
			t.Errorf("it sent\n%s\nwant\n%s", got, want[p])
		}
	})
}

// unescaped undoes what some encoders do to <, > and &, which readers of JSON cannot tell apart.
func unescaped(s string) string {
	return strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(s)
}

func TestParametersThatNothingIsSentFor(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p string) {
		x, s := scripted(t, p, scriptedmodel.Answer{Text: "hello"})
		for params, says := range map[string]string{
			`{}`: "either prompt or messages", `{"prompt":"a","messages":[{"role":"user","text":"b"}]}`: "either prompt or messages", `{"prompt":""}`: "empty",
			`{"prompt":"a","tool":[]}`: "tool", `{"prompt":"a","max_output_tokens":0}`: "at least 1", `{"prompt":"a","output_schema":{"type":"nothing"}}`: "output_schema",
			`{"messages":[{"role":"system","text":"a"}]}`: "system", `{"messages":[{"role":"user","text":""}]}`: "needs a text", `{"messages":[{"role":"user","text":"a","call":"b"}]}`: "nothing else",
			`{"messages":[{"role":"assistant"}]}`: "text or calls", `{"messages":[{"role":"assistant","calls":[{"id":"","name":"a"}]}]}`: "id and a name",
			`{"messages":[{"role":"assistant","calls":[{"id":"b","name":"a","arguments":[]}]}]}`: "not an object",
			`{"messages":[{"role":"tool","call":"x","text":"a"}]}`:                               "no message before it makes", `{"prompt":"a","tools":[{"description":"b"}]}`: "no name",
			`{"prompt":"a","tools":[{"name":"b","input_schema":[]}]}`: "not an object", `{"messages":[{"role":"user","text":"a","txt":"b"}]}`: "txt", `{"Prompt":"a"}`: "unknown",
		} {
			f := executortest.Fault(t.Context(), t, x, executortest.Request(params))
			if f.Class != steps.InvalidInput || f.Acted != steps.ActedNo || !strings.Contains(f.Message, says) {
				t.Errorf("%s: fault = %+v, want invalid_input that says %q", params, f, says)
			}
		}
		if n := s.Books().Calls; n != 0 {
			t.Errorf("%d requests were sent", n)
		}
	})
}

func TestOutputs(t *testing.T) {
	t.Parallel()
	look := scriptedmodel.Call{ID: "c1", Name: "orders_lookup", Arguments: json.RawMessage(`{"order":"A 1","n":1.10}`)}
	odd := scriptedmodel.Call{ID: "c2", Name: "stock", Arguments: json.RawMessage(`{"a":1,"a":2}`)}
	for _, c := range []struct {
		name, params string
		says         scriptedmodel.Answer
		want         string
	}{
		{"text", `{"prompt":"a"}`, scriptedmodel.Answer{Text: "hello <you> & you"}, `{"text":"hello <you> & you","stop":"end"}`},
		{"nothing", `{"prompt":"a"}`, scriptedmodel.Answer{}, `{"text":"","stop":"end"}`},
		{"calls", `{"prompt":"a"}`, scriptedmodel.Answer{Text: "I look.", Calls: []scriptedmodel.Call{look, {ID: "c2", Name: "stock"}}},
			`{"text":"I look.","calls":[{"id":"c1","name":"orders_lookup","arguments":{"order":"A 1","n":1.10}},{"id":"c2","name":"stock","arguments":{}}],"stop":"calls"}`},
		{"unreadable", `{"prompt":"a"}`, scriptedmodel.Answer{Calls: []scriptedmodel.Call{odd}}, `{"text":"","calls":[{"id":"c2","name":"stock","unreadable":"{\"a\":1,\"a\":2}"}],"stop":"calls"}`},
		{"not JSON", `{"prompt":"a"}`, scriptedmodel.Answer{Calls: []scriptedmodel.Call{{ID: "c2", Name: "stock", Arguments: json.RawMessage(`{"a" 1`)}}},
			`{"text":"","calls":[{"id":"c2","name":"stock","unreadable":"{\"a\" 1"}],"stop":"calls"}`},
		{"object", `{"prompt":"a","output_schema":{"type":"object","required":["n"]}}`, scriptedmodel.Answer{Object: json.RawMessage(`{"n":1.10}`)}, `{"text":"{\"n\":1.10}","object":{"n":1.10},"stop":"end"}`},
		{"calls before an object", `{"prompt":"a","output_schema":{"type":"object","required":["n"]}}`, scriptedmodel.Answer{Calls: []scriptedmodel.Call{{ID: "c2", Name: "stock"}}},
			`{"text":"","calls":[{"id":"c2","name":"stock","arguments":{}}],"stop":"calls"}`},
	} {
		for _, p := range providers {
			t.Run(c.name+" "+p, func(t *testing.T) {
				t.Parallel()
				x, s := scripted(t, p, c.says)
				for _, x := range []executor.Executor{x, rung(t, p, service(t, whole(s)))} {
					if got := string(executortest.Output(t.Context(), t, x, executortest.Request(c.params))); got != c.want && c.name != "not JSON" {
						t.Errorf("output = %s, want %s", got, c.want)
					}
				}
			})
		}
	}
}

// whole makes a server of one that streams.
func whole(s http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var ask map[string]any
		if json.NewDecoder(r.Body).Decode(&ask) != nil {
			http.Error(w, "not JSON", http.StatusBadRequest)
			return
		}
		ask["stream"] = false
		body, _ := json.Marshal(ask)
		s.ServeHTTP(w, httptest.NewRequest(http.MethodPost, r.URL.Path, strings.NewReader(string(body))))
	})
}

func TestTheObjectIsTheOutputOfAToolWithASchema(t *testing.T) {
	t.Parallel()
	schema := json.RawMessage(`{"type":"object","properties":{"n":{"type":"integer"}},"required":["n"],"additionalProperties":false}`)
	fits, err := plan.CompileSchema(schema)
	if err != nil {
		t.Fatal(err)
	}
	both(t, func(t *testing.T, p string) {
		s := scriptedmodel.New(scriptedmodel.Script{Answers: []scriptedmodel.Answer{{Object: json.RawMessage(`{"n":7}`)}}})
		x := rung(t, p, service(t, s), func(m *executor.Model) { m.Schema, m.Fits = schema, fits })
		if got := string(executortest.Output(t.Context(), t, x, executortest.Request(`{"prompt":"a"}`))); got != `{"n":7}` {
			t.Errorf("output = %s", got)
		}
		sent := string(s.Requests()[0])
		if p == executor.ProviderAnthropic {
			sent = strings.Replace(sent, `{"additionalProperties":false,"properties":{"n":{"type":"integer"}},"required":["n"],"type":"object"}`, string(schema), 1)
		}
		if !strings.Contains(sent, `"json_schema"`) || !strings.Contains(sent, string(schema)) {
			t.Errorf("the schema was not sent: %s", sent)
		}
		f := executortest.Fault(t.Context(), t, x, executortest.Request(`{"prompt":"a","tools":[{"name":"b"}]}`))
		if f.Class != steps.InvalidInput || !strings.Contains(f.Message, "tool's own output_schema") {
			t.Errorf("fault = %+v", f)
		}
	})
}

// TestRepair: the next try shows the model its answer and what is wrong with it, but not to somebody else's question.
func TestRepair(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p string) {
		x, s := scripted(t, p, scriptedmodel.Answer{Last: "must", Object: json.RawMessage(`{"n":7}`)}, scriptedmodel.Answer{Text: `{"n":"seven"}`})
		req := executortest.Request(`{"prompt":"how many?","output_schema":{"type":"object","properties":{"n":{"type":"integer"}}}}`)
		_, err := x.Execute(t.Context(), req)
		if f, is := err.(steps.Fault); !is || f.Class != steps.InvalidOutput || f.Final || f.Acted != steps.ActedNo || f.Detail != `{"n":"seven"}` { //nolint:errorlint // by value, as documented
			t.Fatalf("fault = %+v, want invalid_output that may be tried again", err)
		}
		other, edited := req, req
		other.Step = "step-2"
		edited.Params = json.RawMessage(strings.Replace(string(req.Params), "many", "few", 1))
		for _, r := range []executor.Request{other, edited} {
			_, _ = x.Execute(t.Context(), r)
			if sent := string(s.Requests()[len(s.Requests())-1]); strings.Contains(sent, "cannot be used") {
				t.Errorf("another question was asked with what was wrong: %s", sent)
			}
		}
		again := scriptedmodel.New(scriptedmodel.Script{Answers: []scriptedmodel.Answer{{Last: "cannot be used", Object: json.RawMessage(`{"n":7}`)}, {Text: `{"n":"seven"}`}}})
		x = rung(t, p, service(t, again))
		_, _ = x.Execute(t.Context(), req)
		if got := string(executortest.Output(t.Context(), t, x, req)); got != `{"text":"{\"n\":7}","object":{"n":7},"stop":"end"}` {
			t.Errorf("output = %s", got)
		}
		sent := string(again.Requests()[1])
		for _, want := range []string{`{\"n\":\"seven\"}`, "integer", "how many?"} {
			if !strings.Contains(sent, want) {
				t.Errorf("the repair lacks %q: %s", want, sent)
			}
		}
		_, _ = x.Execute(t.Context(), req)
		if sent := string(again.Requests()[2]); strings.Contains(sent, "cannot be used") {
			t.Errorf("it is remembered after it was put right: %s", sent)
		}
	})
}

func TestUsage(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p string) {
		for _, says := range []scriptedmodel.Answer{
			{Text: "hello"}, {Text: "I must not.", Fault: scriptedmodel.Refusal}, {Text: "and so", Fault: scriptedmodel.Truncated}, {Text: "no object"}, {Text: "half of it", Fault: scriptedmodel.Cut},
		} {
			says.Input, says.Output, says.Cached = 1200, 34, 1000
			x, s := scripted(t, p, says)
			for _, x := range []executor.Executor{x, rung(t, p, service(t, whole(s)))} {
				before := s.Books()
				res, err := x.Execute(t.Context(), executortest.Request(`{"prompt":"a","output_schema":{"type":"object"}}`))
				books, used := s.Books(), steps.Usage{}
				if res.Usage != nil {
					used = *res.Usage
				}
				if err == nil || used.Input != books.Input-before.Input || used.Output != books.Output-before.Output || used.Cached != books.Cached-before.Cached {
					t.Errorf("%s: used = %+v beside %v, the books say %+v after %+v", says.Fault, used, err, books, before)
				}
				if says.Fault != scriptedmodel.Cut && (used.Model != "small-1" || !strings.HasPrefix(used.Response, "scripted-")) {
					t.Errorf("%s: used = %+v", says.Fault, used)
				}
			}
		}
	})
}

func TestSecretsStayHere(t *testing.T) {
	const secret = "sk-very-secret-0123456789"
	t.Setenv("SUPPORT_KEY", secret)
	for _, p := range providers {
		for _, says := range []scriptedmodel.Answer{
			{Text: "the key is " + secret}, {Text: "the key is " + secret, Fault: scriptedmodel.Refusal}, {Text: secret, Fault: scriptedmodel.Truncated},
			{Calls: []scriptedmodel.Call{{ID: secret, Name: "a", Arguments: json.RawMessage(`{"k":"` + secret + `"}`)}}},
		} {
			s := scriptedmodel.New(scriptedmodel.Script{Answers: []scriptedmodel.Answer{says}})
			x := rung(t, p, service(t, s), func(m *executor.Model) { m.BearerEnv = "SUPPORT_KEY" })
			res, err := x.Execute(t.Context(), executortest.Request(`{"prompt":"a"}`))
			all, _ := json.Marshal([]any{res, err})
			if strings.Contains(string(all), "very-secret") || !strings.Contains(string(all), "[value of SUPPORT_KEY]") {
				t.Errorf("%s: %s", p, all)
			}
		}
		echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusUnauthorized)
			_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]any{"message": "Incorrect key: " + r.Header.Get("Authorization") + r.Header.Get("X-Api-Key")}})
		})
		f := executortest.Fault(t.Context(), t, rung(t, p, service(t, echo), func(m *executor.Model) { m.BearerEnv = "SUPPORT_KEY" }), executortest.Request(`{"prompt":"a"}`))
		if f.Class != steps.Unauthorized || strings.Contains(f.Message+f.Detail, secret) {
			t.Errorf("fault = %+v", f)
		}
	}
}

func TestProgress(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p string) {
		x, _ := scripted(t, p, scriptedmodel.Answer{Text: strings.Repeat("word ", 500)})
		var told []string
		req := executortest.Request(`{"prompt":"a"}`)
		req.Progress = func(s string) { told = append(told, s) }
		began := time.Now()
		_ = executortest.Output(t.Context(), t, x, req)
		if most := 2 + int(time.Since(began)/time.Second); len(told) == 0 || len(told) > most || told[0] != "1 words so far" {
			t.Errorf("progress = %q, want at most %d, one a second", told, most)
		}
	})
}

// TestSchemasThatAProviderCannotHoldAModelTo: Anthropic closes every object, so one of any properties would have to be empty.
func TestSchemasThatAProviderCannotHoldAModelTo(t *testing.T) {
	t.Parallel()
	for schema, want := range map[string]string{
		`{"type":"object","required":["n"]}`:                                                               "fits this JSON Schema",
		`{"type":"object","properties":{"a":{"type":"object"}}}`:                                           "fits this JSON Schema",
		`{"type":"object","properties":{"a":{}},"additionalProperties":{"type":"string"}}`:                 "fits this JSON Schema",
		`{"type":"object","properties":{"a":{"type":"array","items":{"type":"object"}}}}`:                  "fits this JSON Schema",
		`{"type":"object","properties":{"a":{"type":["string","null"]}}}`:                                  "fits this JSON Schema",
		`{"type":"object","properties":{"n":{"type":"integer","minimum":3},"a":{"type":"string"}}}`:        `"additionalProperties":false`,
		`{"type":"object","properties":{"a":{"anyOf":[{"type":"null"},{"enum":["x"]}]}},"required":["a"]}`: `"additionalProperties":false`,
	} {
		x, s := scripted(t, executor.ProviderAnthropic, scriptedmodel.Answer{Object: json.RawMessage(`{"n":7,"a":"x"}`)})
		_, _ = x.Execute(t.Context(), executortest.Request(`{"prompt":"a","instructions":"Be short.","output_schema":`+schema+`}`))
		sent := string(s.Requests()[0])
		if byMode := strings.Contains(sent, "output_config"); !strings.Contains(sent, want) || byMode == strings.Contains(sent, "fits this JSON Schema") || !strings.Contains(sent, "Be short.") {
			t.Errorf("%s was sent as %s", schema, sent)
		}
	}
}
