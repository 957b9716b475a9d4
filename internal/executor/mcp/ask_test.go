package mcpexec_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"belay/internal/executor"
	"belay/internal/executor/executortest"
	"belay/internal/steps"
)

// asked calls the tool that asks, and gives what is left on the log.
func asked(t *testing.T, server executor.MCPServer, params string) executor.Unfinished {
	t.Helper()
	_, err := rung(t, server, "ask").Execute(t.Context(), executortest.Request(params))
	u, is := errors.AsType[executor.Unfinished](err)
	if !is || u.Resume == nil || u.Question == nil || u.Class != steps.NeedsHuman || u.Resume.Harmless {
		t.Fatalf("error = %#v, want a question and what the call goes on with", err)
	}
	return u
}

// answered goes on with the call in another session, as another worker would, and gives what the server says then.
func answered(t *testing.T, server executor.MCPServer, params string, next steps.Continuation) string {
	t.Helper()
	req := executortest.Request(params)
	req.Continues = &next
	out := executortest.Output(t.Context(), t, rung(t, server, "ask"), req)
	var o struct{ Text string }
	if err := json.Unmarshal(out, &o); err != nil {
		t.Fatal(err)
	}
	return o.Text
}

// current are servers that speak the present protocol.
func current(t *testing.T, test func(t *testing.T, server executor.MCPServer)) {
	t.Run("stdio", func(t *testing.T) {
		t.Parallel()
		test(t, program(t, "library"))
	})
	t.Run("HTTP", func(t *testing.T) {
		t.Parallel()
		test(t, libraryHTTP(t, false, true))
	})
}

// TestAnAnswerGoesBackToTheServer: with its state, the same parameters and the same key, in whatever session.
func TestAnAnswerGoesBackToTheServer(t *testing.T) {
	t.Parallel()
	current(t, func(t *testing.T, server executor.MCPServer) {
		u := asked(t, server, `{"n":12345678901234567890}`)
		if u.Question.Text != "Which of the two invoices?" || !strings.Contains(string(u.Question.Schema), `"invoice"`) || u.Question.URL != "" {
			t.Errorf("asks %+v", u.Question)
		}
		said := answered(t, server, `{"n":12345678901234567890}`, steps.Continuation{Resume: *u.Resume, Answer: json.RawMessage(`{"invoice":"A-7","n":1.5}`)})
		for _, want := range []string{`"q":{"action":"accept","content":{"invoice":"A-7","n":1.5}}`, `"state":"state "`, `"arguments":{"n":12345678901234567890}`, `"key":"run-1/step-1/0"`} {
			if !strings.Contains(said, want) {
				t.Errorf("the server was sent %s, want %s", said, want)
			}
		}
		if said := answered(t, server, `{}`, steps.Continuation{Resume: *u.Resume, Declined: "no"}); !strings.Contains(said, `"q":{"action":"decline"}`) {
			t.Errorf("the server was sent %s, want that it is declined", said)
		}
	})
}

// TestSeveralQuestionsAreOneCard: with the answer to each under its id; one on a page is answered by having been there.
func TestSeveralQuestionsAreOneCard(t *testing.T) {
	t.Parallel()
	server := libraryHTTP(t, false, true)
	u := asked(t, server, `{"ask":"both"}`)
	for _, want := range []string{`"page":{"description":"Sign in. (answer it on https://shop.example/sign-in, then say done)","enum":["done"]}`, `"required":["page","q"]`, `"q":{"description":"Which of the two invoices?",`} {
		if !strings.Contains(string(u.Question.Schema), want) {
			t.Errorf("schema = %s, want %s", u.Question.Schema, want)
		}
	}
	said := answered(t, server, `{}`, steps.Continuation{Resume: *u.Resume, Answer: json.RawMessage(`{"page":"done","q":{"invoice":"A-7"}}`)})
	if !strings.Contains(said, `"page":{"action":"accept"}`) || !strings.Contains(said, `"q":{"action":"accept","content":{"invoice":"A-7"}}`) {
		t.Errorf("the server was sent %s", said)
	}
}

// TestAStateWithASecretIsNotKept: it would stand on the log, and the server would not know it without the secret.
func TestAStateWithASecretIsNotKept(t *testing.T) {
	t.Setenv("SHOP_TOKEN", "t0ken-of-the-shop")
	server := program(t, "library", executor.EnvVar{Name: "SHOP_TOKEN", FromEnv: true})
	_, err := rung(t, server, "ask").Execute(t.Context(), executortest.Request(`{}`))
	if _, is := errors.AsType[executor.Unfinished](err); is || !strings.Contains(err.Error(), "has a secret of this worker in it") {
		t.Errorf("error = %v, want that it does not go on", err)
	}
}

// TestAnAnswerThatIsNoneIsNotSent: the server is not called with less than it wants.
func TestAnAnswerThatIsNoneIsNotSent(t *testing.T) {
	t.Parallel()
	server := libraryHTTP(t, false, true)
	var left struct {
		Of string `json:"of"`
	}
	if err := json.Unmarshal(asked(t, server, `{}`).Resume.Value, &left); err != nil || left.Of == "" {
		t.Fatalf("left of %q, %v", left.Of, err)
	}
	for value, answer := range map[string]string{`{"of":"OF","state":"s","asked":[{"id":"q"}]}`: `5`, `{"of":"OF","state":"s","asked":[{"id":"q"},{"id":"r"}]}`: `{"q":{}}`, `5`: `{}`} {
		value = strings.ReplaceAll(value, "OF", left.Of)
		req := executortest.Request(`{}`)
		req.Continues = &steps.Continuation{Resume: steps.Resume{Value: json.RawMessage(value)}, Answer: json.RawMessage(answer)}
		if f := executortest.Fault(t.Context(), t, rung(t, server, "ask"), req); f.MayHaveActed() || f.Class != steps.InvalidInput {
			t.Errorf("%s to %s: fault = %+v", answer, value, f)
		}
	}
}

// TestOlderServersAskAgain: the session of a question is gone by the time that it is answered. What may be repeated is called once
// more, and the server has its answer when it asks the same; an unsafe call is not.
func TestOlderServersAskAgain(t *testing.T) {
	t.Parallel()
	for name, server := range map[string]executor.MCPServer{"stdio": program(t, "older"), "HTTP": libraryHTTP(t, true, false)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := asked(t, server, `{}`)
			if !u.Resume.Anew || u.Question.Text != "Which of the two invoices?" || !strings.Contains(string(u.Question.Schema), `"invoice"`) {
				t.Errorf("asks %+v, to go on with %+v", u.Question, u.Resume)
			}
			if said := answered(t, server, `{}`, steps.Continuation{Resume: *u.Resume, Answer: json.RawMessage(`{"invoice":"A-7"}`)}); said != "answered: accept" {
				t.Errorf("the server says %s", said)
			}
			if said := answered(t, server, `{}`, steps.Continuation{Resume: *u.Resume, Declined: "no"}); said != "answered: decline" {
				t.Errorf("the server says %s", said)
			}
			unsafe := rungs(t).Executor(executor.MCP{Server: server, Tool: "ask", Strict: true})
			_, err := unsafe.Execute(t.Context(), executortest.Request(`{}`))
			if _, is := errors.AsType[executor.Unfinished](err); is || proper(t, err).Class != steps.NeedsHuman {
				t.Errorf("error of an unsafe call = %#v", err)
			}
			req := executortest.Request(`{}`)
			req.Continues = &steps.Continuation{Resume: *u.Resume, Answer: json.RawMessage(`{}`)}
			if f := executortest.Fault(t.Context(), t, unsafe, req); f.Class != steps.PolicyDenied || f.MayHaveActed() {
				t.Errorf("fault of an unsafe call that is made anew = %+v", f)
			}
		})
	}
}

// TestAnotherQuestionIsAskedToo: what was answered before stays answered.
func TestAnotherQuestionIsAskedToo(t *testing.T) {
	t.Parallel()
	server := libraryHTTP(t, true, false)
	u := asked(t, server, `{}`)
	req := executortest.Request(`{}`)
	other := strings.Replace(string(u.Resume.Value), `"id":"`, `"id":"other`, 1)
	req.Continues = &steps.Continuation{Resume: steps.Resume{Value: json.RawMessage(other), Anew: true}, Answer: json.RawMessage(`{"a":1}`)}
	_, err := rung(t, server, "ask").Execute(t.Context(), req)
	next, is := errors.AsType[executor.Unfinished](err)
	if !is || next.Question == nil || !strings.Contains(string(next.Resume.Value), `"given":[{"id":"other`) {
		t.Fatalf("error = %#v, want the question and what was answered before", err)
	}
	if said := answered(t, server, `{}`, steps.Continuation{Resume: *next.Resume, Answer: json.RawMessage(`{"invoice":"A-7"}`)}); said != "answered: accept" {
		t.Errorf("the server says %s", said)
	}
}
