package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"belay/internal/executor"
	"belay/internal/steps"
)

// TestTheProtocolIsAsDocumented sends every request that docs/protocol.md shows, in order, and compares the answers with
// those that it shows. Comments `<!-- test: WORD -->` say what happens at the other end meanwhile.
func TestTheProtocolIsAsDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := documentedExamples(t, string(text))
	synctest.Test(t, func(t *testing.T) {
		r := &reader{t: t, hub: NewHub(nil)}
		r.rung = r.hub.Executor("invoice.add", "primary", executor.Remote{})
		for _, e := range examples {
			r.follow(e)
		}
		if r.asked < 10 {
			t.Errorf("the document shows %d requests only", r.asked)
		}
		r.cancel(nil)
		synctest.Wait()
	})
}

// example is a block of the document, or what happens between two.
type example struct {
	line  int
	word  string   // of a comment
	block []string // lines of an http block
}

func documentedExamples(t *testing.T, text string) (all []example) {
	t.Helper()
	in := false
	for i, line := range strings.Split(text, "\n") {
		word, is := strings.CutPrefix(line, "<!-- test: ")
		switch {
		case is:
			all = append(all, example{line: i + 1, word: strings.TrimSuffix(word, " -->")})
		case line == "```http":
			all, in = append(all, example{line: i + 1}), true
		case line == "```":
			in = false
		case in:
			e := &all[len(all)-1]
			e.block = append(e.block, line)
		}
	}
	return all
}

// reader does what the document says.
type reader struct {
	t      *testing.T
	hub    *Hub
	rung   executor.Polled
	cancel context.CancelCauseFunc
	lease  string
	asked  int
	answer *httptest.ResponseRecorder // to the last request
}

func (r *reader) follow(e example) {
	switch {
	case e.word == "queue":
		r.queue()
	case e.word == "cancel":
		r.cancel(steps.Fault{Class: steps.Unavailable, Message: "stopped, because the run is ending or has given this attempt up"})
		synctest.Wait()
	case e.word == "silence":
		time.Sleep(beatsMissed*beatEvery + time.Second)
	case e.word != "":
		r.t.Fatalf("line %d: what is %q?", e.line, e.word)
	case strings.HasPrefix(e.block[0], "POST "):
		r.ask(e)
	default:
		r.compare(e)
	}
}

// queue lets a worker have an attempt for whoever polls next.
func (r *reader) queue() {
	if r.cancel != nil {
		r.cancel(nil)
	}
	ctx, cancel := context.WithCancelCause(r.t.Context())
	r.cancel = cancel
	ctx, stop := context.WithTimeout(ctx, 30*time.Second)
	req := executor.Request{
		Run: "refund-1009", Step: "add", Attempt: "0-0-1", Tool: "invoice.add", Rung: "primary",
		Params: json.RawMessage(`{"lines": [{"cents": 1250}, {"cents": 399}]}`), Key: "refund-1009/add/0", Try: 1,
	}
	go func() {
		defer stop()
		for ctx.Err() == nil {
			time.Sleep(time.Millisecond) // of the bubble: an example that polls comes later
			if seat, _ := r.rung.Reserve(); seat != nil {
				_, err := seat.Execute(ctx, req)
				seat.Leave(true)
				if f, is := errors.AsType[steps.Fault](err); err != nil && !is {
					r.t.Errorf("an attempt ended with %v, %v", f, err)
				}
				return
			}
		}
	}()
}

func (r *reader) ask(e example) {
	_, path, _ := strings.Cut(e.block[0], " ")
	body := strings.NewReader(strings.Join(e.block[1:], "\n"))
	r.answer = httptest.NewRecorder()
	r.hub.Handler().ServeHTTP(r.answer, httptest.NewRequestWithContext(r.t.Context(), http.MethodPost, strings.Replace(path, "LEASE", r.lease, 1), body))
	r.asked++
	var call struct{ Lease string }
	if json.Unmarshal(r.answer.Body.Bytes(), &call) == nil && call.Lease != "" {
		r.lease = call.Lease
	}
}

// compare compares an answer with the one that the document shows. A lease and times are others each time.
func (r *reader) compare(e example) {
	if got := strings.TrimSpace(fmt.Sprint(r.answer.Code, " ", r.answer.Header().Get("Content-Type"))); got != e.block[0] {
		r.t.Errorf("line %d: the answer is %s, %s", e.line, got, r.answer.Body)
	}
	want, got := decode(r.t, strings.Join(e.block[1:], "\n")), decode(r.t, r.answer.Body.String())
	if diff := cmp.Diff(want, got); diff != "" {
		r.t.Errorf("line %d: the document (-) and the answer (+) differ\n%s", e.line, diff)
	}
}

func decode(t *testing.T, text string) map[string]any {
	t.Helper()
	if strings.TrimSpace(text) == "" {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	var v map[string]any
	if err := d.Decode(&v); err != nil {
		t.Errorf("%s: %v", text, err)
	}
	if lease, is := v["lease"].(string); is {
		v["lease"] = len(lease)
	}
	if at, is := v["deadline"].(string); is {
		if _, err := time.Parse(time.RFC3339, at); err != nil || !strings.HasSuffix(at, "Z") {
			t.Errorf("the deadline is %s", at)
		}
		v["deadline"] = "a time"
	}
	return v
}
