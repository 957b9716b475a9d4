package modelexec_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"belay/internal/executor"
	"belay/internal/executor/executortest"
	"belay/internal/steps"
)

// streaming is a rung whose model sends these events.
func streaming(t *testing.T, provider string, events ...string) executor.Executor {
	return rung(t, provider, service(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for _, e := range events {
			_, _ = io.WriteString(w, "data: "+e+"\n\n")
		}
	})), func(m *executor.Model) { m.MaxBytes = 100 })
}

// TestAnswersOfOtherServers: what is about that speaks OpenAI's protocol nearly.
func TestAnswersOfOtherServers(t *testing.T) {
	t.Parallel()
	const open, finish = `{"model":"m","choices":[{"index":0,"delta":`, `}]}`
	for name, c := range map[string]struct {
		events []string
		want   string
	}{
		"calls that are all numbered 0, and end with stop": {[]string{
			open + `{"tool_calls":[{"index":0,"id":"a","function":{"name":"one","arguments":"{}"}}]}` + finish,
			open + `{"tool_calls":[{"index":0,"id":"b","function":{"name":"two","arguments":"{\"n\":"}}]}` + finish,
			open + `{"tool_calls":[{"index":0,"id":"b","function":{"arguments":"1}"}}]}` + finish, open + `{},"finish_reason":"stop"` + finish, "[DONE]",
		}, `{"text":"","calls":[{"id":"a","name":"one","arguments":{}},{"id":"b","name":"two","arguments":{"n":1}}],"stop":"calls"}`},
		"a call without an id and arguments": {[]string{
			open + `{"tool_calls":[{"index":0,"function":{"name":"one","arguments":""}}]},"finish_reason":"tool_calls"` + finish,
		}, `{"text":"","calls":[{"id":"call_1","name":"one","arguments":{}}],"stop":"calls"}`},
		"no error, in so many words, and thinking": {[]string{
			`{"error":null,"choices":[{"index":0,"delta":{"content":"a","reasoning_content":"` + strings.Repeat("hm ", 1000) + `"},"finish_reason":"eos"}]}`,
		}, `{"text":"a","stop":"end"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := string(executortest.Output(t.Context(), t, streaming(t, executor.ProviderOpenAI, c.events...), executortest.Request(`{"prompt":"a"}`))); got != c.want {
				t.Errorf("output = %s, want %s", got, c.want)
			}
		})
	}
}

func TestStreamsThatEndOddly(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		provider string
		events   []string
		class    steps.Class
		reason   steps.Reason
	}{
		"no end":                      {executor.ProviderOpenAI, []string{`{"choices":[{"delta":{"content":"a"}}]}`}, steps.Connection, ""},
		"a full window":               {executor.ProviderAnthropic, []string{`{"type":"message_delta","delta":{"stop_reason":"model_context_window_exceeded"},"usage":{"output_tokens":5}}`, `{"type":"content_block_start","content_block":{"type":"text","text":"a"}}`}, steps.InvalidInput, steps.ContextTooLong},
		"an error of an unknown kind": {executor.ProviderOpenAI, []string{`{"error":{"message":"oops"}}`}, steps.Unavailable, ""},
		"a limit in the middle":       {executor.ProviderAnthropic, []string{`{"type":"error","error":{"type":"rate_limit_error","message":"slow down"}}`}, steps.RateLimited, ""},
		"a call out of order":         {executor.ProviderOpenAI, []string{`{"choices":[{"delta":{"tool_calls":[{"index":7}]}}]}`}, steps.InvalidOutput, ""},
		"arguments of no call":        {executor.ProviderAnthropic, []string{`{"type":"content_block_delta","delta":{"type":"input_json_delta","partial_json":"{}"}}`}, steps.InvalidOutput, ""},
		"too many arguments":          {executor.ProviderOpenAI, []string{`{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"name":"a","arguments":"` + strings.Repeat("x", 101) + `"}}]}}]}`}, steps.InvalidOutput, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := executortest.Fault(t.Context(), t, streaming(t, c.provider, c.events...), executortest.Request(`{"prompt":"a"}`))
			if f.Class != c.class || f.Reason != c.reason || f.Acted != steps.ActedNo {
				t.Errorf("fault = %+v, want %s %s", f, c.class, c.reason)
			}
		})
	}
}

func TestMetadataIsNoProvider(t *testing.T) {
	t.Parallel()
	for _, provider := range []string{executor.ProviderOpenAI, executor.ProviderAnthropic} {
		f := executortest.Fault(t.Context(), t, rung(t, provider, "http://169.254.169.254/v1", asText), executortest.Request(`{}`))
		if f.Class != steps.PolicyDenied || f.MayHaveActed() || !strings.Contains(f.Message, "always refused") {
			t.Errorf("%s: %+v", provider, f)
		}
	}
}
