package modelexec_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"belay/internal/executor"
	"belay/internal/executor/executortest"
	"belay/internal/scriptedmodel"
	"belay/internal/steps"
)

// TestReferenceOfFaults: docs/faults.md says what comes of calls that do not work.
func TestReferenceOfFaults(t *testing.T) {
	t.Parallel()
	const params = `{"prompt":"a","output_schema":{"type":"object"}}`
	// answered are the faults of an answer: of both providers, streaming and in one piece.
	answered := func(says scriptedmodel.Answer, want steps.Fault) (all []executortest.Cause) {
		for _, p := range providers {
			for _, stream := range []bool{true, false} {
				all = append(all, func(t *testing.T) steps.Fault {
					s := http.Handler(scriptedmodel.New(scriptedmodel.Script{Answers: []scriptedmodel.Answer{says}}))
					if !stream && says.Fault != scriptedmodel.Cut {
						s = whole(s)
					}
					f := executortest.Fault(t.Context(), t, rung(t, p, service(t, s), func(m *executor.Model) { m.MaxBytes = executortest.Limit }), executortest.Request(params))
					if f.Reason != want.Reason || f.Final != want.Final || f.RetryAfter != want.RetryAfter || !strings.Contains(f.Detail, want.Detail) || !strings.HasPrefix(f.Message, "small-1 at 127.0.0.1") {
						t.Errorf("%s, streaming %v: fault = %+v, want %+v", p, stream, f, want)
					}
					return f
				})
			}
		}
		return all
	}
	refused := func(status int, body string, want steps.Fault) executortest.Cause {
		return func(t *testing.T) steps.Fault {
			at := service(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status); _, _ = w.Write([]byte(body)) }))
			f := executortest.Fault(t.Context(), t, rung(t, executor.ProviderOpenAI, at), executortest.Request(params))
			if f.Reason != want.Reason || f.Final != want.Final || f.Status != status || f.Detail != body {
				t.Errorf("%d %s: fault = %+v, want %+v", status, body, f, want)
			}
			return f
		}
	}
	on := func(set func(*executor.Model), params string) executortest.Cause {
		return func(t *testing.T) steps.Fault {
			return executortest.Fault(t.Context(), t, rung(t, executor.ProviderAnthropic, "http://127.0.0.1:1", set), executortest.Request(params))
		}
	}
	final := func(r steps.Reason, detail string) steps.Fault {
		return steps.Fault{Reason: r, Final: true, Detail: detail}
	}
	tooLong, overloaded := final(steps.ContextTooLong, ""), steps.Fault{Reason: steps.Overloaded}
	executortest.Agree(t, "model", "what happens", map[string][]executortest.Cause{
		"the provider limits the rate (429); one whose quota is used up is not tried again": append(
			answered(scriptedmodel.Answer{Fault: scriptedmodel.RateLimited, Wait: 1500 * time.Millisecond}, steps.Fault{RetryAfter: steps.Duration(1500 * time.Millisecond)}),
			refused(429, `{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","code":"insufficient_quota"}}`, steps.Fault{Final: true}),
		),
		"it has too much to do (529, or an error of the kind *overloaded*), reason `overloaded`": append(append(
			answered(scriptedmodel.Answer{Fault: scriptedmodel.Overloaded}, overloaded),
			answered(scriptedmodel.Answer{Fault: scriptedmodel.Broken, Text: "half of it"}, overloaded)...),
			refused(503, `{"error":{"message":"busy","type":"overloaded_error"}}`, overloaded),
		),
		"any other status": {
			refused(500, `{"error":"oops"}`, steps.Fault{}), refused(401, `[{"error":{"code":401,"message":"no","status":"UNAUTHENTICATED"}}]`, steps.Fault{}),
			refused(404, "<html>", steps.Fault{}), refused(307, "", steps.Fault{}),
		},
		"the conversation does not fit into the model, reason `context_too_long`": append(
			answered(scriptedmodel.Answer{Fault: scriptedmodel.ContextTooLong}, tooLong),
			refused(413, `{"type":"error","error":{"type":"request_too_large","message":"Request exceeds the maximum size"}}`, tooLong),
			refused(400, `{"object":"error","message":"This model's maximum context length is 2048 tokens.","type":"BadRequestError","code":400}`, tooLong),
			refused(400, `{"error":{"code":400,"message":"the request exceeds the available context size","type":"exceed_context_size_error"}}`, tooLong),
		),
		"the model declines, reason `refusal`": answered(scriptedmodel.Answer{Fault: scriptedmodel.Refusal, Text: "I must not."}, final(steps.Refusal, "I must not.")),
		"the provider's filter stops it, reason `content_filter`": append(
			answered(scriptedmodel.Answer{Fault: scriptedmodel.ContentFilter, Text: "filter"}, final(steps.ContentFilter, "filter")),
			refused(400, `{"error":{"message":"filtered","code":"content_filter"}}`, final(steps.ContentFilter, "")),
		),
		"the answer is cut off at `max_output_tokens`, reason `truncated`; what was written is the detail": answered(
			scriptedmodel.Answer{Fault: scriptedmodel.Truncated, Text: "and so it"}, final(steps.Truncated, "and so it")),
		"the answer is not what a model writes, or too large": append(
			answered(scriptedmodel.Answer{Fault: scriptedmodel.Garbage}, steps.Fault{Detail: "it works"}),
			answered(scriptedmodel.Answer{Text: strings.Repeat("word ", executortest.Limit)}, steps.Fault{Detail: "word word"})...,
		),
		"the answer does not fit its schema": append(answered(scriptedmodel.Answer{Text: "no object"}, steps.Fault{Detail: "no object"}),
			answered(scriptedmodel.Answer{Object: []byte(`[]`)}, steps.Fault{Detail: "[]"})...),
		"the provider cannot be reached, or the answer breaks off": append(
			answered(scriptedmodel.Answer{Fault: scriptedmodel.Cut, Text: "half of it"}, steps.Fault{Detail: "half"}), on(nothing, params),
		),
		"the timeout passes": {func(t *testing.T) steps.Fault {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			x, _ := scripted(t, executor.ProviderOpenAI, scriptedmodel.Answer{Fault: scriptedmodel.Hang})
			return executortest.Fault(ctx, t, x, executortest.Request(params))
		}},
		"the variable of `auth` is not set":               {on(func(m *executor.Model) { m.BearerEnv = "BELAY_NOT_SET_ANYWHERE" }, params)},
		"the parameters are not what a model is asked by": {on(nothing, `{"question":"a"}`), on(func(m *executor.Model) { m.Prompt = func(any) (string, error) { return "", nil } }, `{}`)},
		"a template fails":                                {on(func(m *executor.Model) { m.Instructions = failing }, params), on(func(m *executor.Model) { m.Prompt = failing }, params)},
	})
}

func nothing(*executor.Model) {}

func failing(any) (string, error) { return "", errors.New("params.order is null") }

// TestWaitsThatProvidersName: in their own headers, where they do not say Retry-After.
func TestWaitsThatProvidersName(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		headers []string
		want    time.Duration
	}{
		{[]string{"x-ratelimit-reset-requests", "1s", "x-ratelimit-reset-tokens", "6m0s", "x-ratelimit-remaining-tokens", "0"}, 6 * time.Minute},
		{[]string{"x-ratelimit-reset-requests", "120ms", "x-ratelimit-remaining-requests", "0", "x-ratelimit-reset-tokens", "6m0s", "x-ratelimit-remaining-tokens", "9"}, 120 * time.Millisecond},
		{[]string{"x-ratelimit-reset-requests", "1s", "x-ratelimit-reset-tokens", "2s"}, 2 * time.Second},
		{[]string{"x-ratelimit-reset-requests", "1s", "retry-after", "7"}, 7 * time.Second},
		{[]string{"anthropic-ratelimit-output-tokens-reset", "2026-01-01T00:00:09Z", "date", "Thu, 01 Jan 2026 00:00:00 GMT"}, 9 * time.Second},
		{[]string{"x-ratelimit-reset-requests", "soon", "x-ratelimit-reset-tokens", "-3s"}, 0},
	} {
		at := service(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			for i := 0; i < len(c.headers); i += 2 {
				w.Header().Set(c.headers[i], c.headers[i+1])
			}
			w.WriteHeader(http.StatusTooManyRequests)
		}))
		f := executortest.Fault(t.Context(), t, rung(t, executor.ProviderOpenAI, at), executortest.Request(`{"prompt":"a"}`))
		if f.Class != steps.RateLimited || f.RetryAfter != steps.Duration(c.want) {
			t.Errorf("%v: fault = %+v, want a wait of %s", c.headers, f, c.want)
		}
	}
}

// TestOneCall: the libraries would try again by themselves.
func TestOneCall(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p string) {
		for _, fault := range []scriptedmodel.Fault{scriptedmodel.Unavailable, scriptedmodel.RateLimited, scriptedmodel.Cut, scriptedmodel.Garbage} {
			x, s := scripted(t, p, scriptedmodel.Answer{Fault: fault, Text: "half of it"})
			_ = executortest.Fault(t.Context(), t, x, executortest.Request(`{"prompt":"a"}`))
			if n := s.Books().Calls; n != 1 {
				t.Errorf("%s: %d calls, want 1", fault, n)
			}
		}
	})
}

// TestRedirectsAreNotFollowed: they may lead to a host that is not to have the key.
func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p string) {
		elsewhere := scriptedmodel.New(scriptedmodel.Script{Answers: []scriptedmodel.Answer{{Text: "hello"}}})
		to := httptest.NewServer(elsewhere)
		defer to.Close()
		at := service(t, http.RedirectHandler(to.URL+"/v1/messages", http.StatusTemporaryRedirect))
		_ = executortest.Fault(t.Context(), t, rung(t, p, at), executortest.Request(`{"prompt":"a"}`))
		if n := elsewhere.Books().Calls; n != 0 {
			t.Errorf("the redirect was followed")
		}
	})
}
