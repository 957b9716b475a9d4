package scriptedmodel_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"belay/internal/scriptedmodel"
)

const script = `
answers:
  - {call: 2, text: second}
  - {last: orders, times: 1, calls: [{name: orders_lookup, arguments: {order: A-1, n: 1.10}}], tokens: {input: 1200, output: 34, cached: 1000}}
  - {last: overload, fault: overloaded}
  - {last: limit, fault: rate_limited, wait: 1500ms}
  - {last: object, object: {queue: billing}}
  - {last: hello, text: "hello you"}
`

func serve(t *testing.T, text string) (at string, s *scriptedmodel.Server) {
	t.Helper()
	parsed, err := scriptedmodel.Parse("script.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	s = scriptedmodel.New(parsed)
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	return h.URL, s
}

func ask(t *testing.T, url, body string) (*http.Response, string) {
	t.Helper()
	resp, err := http.Post(url, "application/json", strings.NewReader(body)) //nolint:noctx // a test's own server
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(data)
}

func TestAnswersByTheScript(t *testing.T) {
	t.Parallel()
	for path, content := range map[string]string{"/v1/chat/completions": `"%"`, "/v1/messages": `[{"type":"tool_result","content":[{"type":"text","text":"%"}]}]`} {
		at, s := serve(t, script)
		say := func(text string) (*http.Response, string) {
			return ask(t, at+path, `{"model":"small","messages":[{"role":"user","content":`+strings.Replace(content, "%", text, 1)+`}]}`)
		}
		for i, c := range []struct {
			text   string
			status int
			want   string
		}{
			{"my orders", 200, "orders_lookup"}, {"my orders", 200, "second"}, {"my orders", 400, "no answer to this call"}, // used up
			{"overload", 529, "overloaded_error"}, {"limit", 429, "Rate limit"}, {"object", 200, `{\"queue\":\"billing\"}`}, {"hello", 200, "hello you"}, {"hello", 200, "hello you"},
		} {
			resp, body := say(c.text)
			if resp.StatusCode != c.status || !strings.Contains(body, c.want) {
				t.Errorf("%s, call %d: %d %s, want %d with %s", path, i+1, resp.StatusCode, body, c.status, c.want)
			}
			if c.status == 429 && (resp.Header.Get("Retry-After") != "2" || resp.Header.Get("Retry-After-Ms") != "1500") {
				t.Errorf("headers = %v", resp.Header)
			}
		}
		books, got := s.Books(), scriptedmodel.Books{}
		resp, err := http.Get(at + "/books") //nolint:noctx // a test's own server
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if err := json.NewDecoder(resp.Body).Decode(&got); err != nil || got != books || books.Calls != 8 || books.Cached != 1000 || books.Input < 1200 || books.Output < 34 || len(s.Requests()) != 8 {
			t.Errorf("books = %+v, over HTTP %+v, %v", books, got, err)
		}
	}
}

func TestRequestsThatAreNone(t *testing.T) {
	t.Parallel()
	at, s := serve(t, script)
	for path, body := range map[string]string{"/v1/chat/completions": `{"model":"small"}`, "/v1/messages": `[]`} {
		if resp, said := ask(t, at+path, body); resp.StatusCode != 400 || !strings.Contains(said, "cannot be read") {
			t.Errorf("%s: %d %s", path, resp.StatusCode, said)
		}
	}
	if resp, said := ask(t, at+"/v1/responses", `{}`); resp.StatusCode != 404 || !strings.Contains(said, "/v1/messages") {
		t.Errorf("%d %s", resp.StatusCode, said)
	}
	if n := s.Books().Calls; n != 0 {
		t.Errorf("%d calls were counted", n)
	}
}

func TestMistakesInAScript(t *testing.T) {
	t.Parallel()
	_, err := scriptedmodel.Parse("script.yaml", []byte("answers:\n  - {txt: a, fault: overload, times: 0, calls: [{arguments: {}}], tokens: {in: 1}}\n"))
	want := `script.yaml:2:6: unknown key "txt" in the answer (did you mean "text"?)
script.yaml:2:21: "overload" is not allowed here (did you mean "overloaded"?)
script.yaml:2:38: 0 is out of range (from 1 to 1000000)
script.yaml:2:49: the call has no "name"
script.yaml:2:76: unknown key "in" in tokens (one of: cached, input, output)`
	if err == nil || err.Error() != want {
		t.Errorf("mistakes are\n%v\nwant\n%s", err, want)
	}
	if _, err := scriptedmodel.Parse("script.yaml", []byte("{}")); err == nil {
		t.Error("a script without answers is taken")
	}
}

// TestArgumentsOfTheConversation: a call can name what the model was told, such as the run that it is to ask for again.
func TestArgumentsOfTheConversation(t *testing.T) {
	t.Parallel()
	at, _ := serve(t, "answers: [{calls: [{name: again, arguments: {run: \"{{run}}\", x: \"{{none}}\"}}]}]\n")
	_, said := ask(t, at+"/v1/chat/completions", `{"model":"m","messages":[{"role":"tool","content":"{\"run\": \"old\"}"},{"role":"tool","content":"{\"state\":\"waiting\",\"run\":\"c0-7\"}"}]}`)
	if !strings.Contains(said, `{\"run\":\"c0-7\",\"x\":\"\"}`) {
		t.Error(said)
	}
}
