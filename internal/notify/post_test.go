package notify

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// posted is what a receiver got.
type posted struct {
	Path   string
	Header http.Header
	Body   []byte
}

// receiver answers as it is notified and keeps what it got.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	got    []posted
	answer http.HandlerFunc
}

func newReceiver(t *testing.T, answer http.HandlerFunc) *receiver {
	t.Helper()
	r := &receiver{answer: answer}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			t.Error(err)
		}
		r.mu.Lock()
		r.got = append(r.got, posted{req.URL.RequestURI(), req.Header, body})
		r.mu.Unlock()
		if r.answer != nil {
			r.answer(w, req)
		}
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) only(t *testing.T) posted {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.got) != 1 {
		t.Fatalf("%d requests", len(r.got))
	}
	return r.got[0]
}

func secretOf(seed byte) string {
	return "whsec_" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat(string(rune(seed)), leastSecret)))
}

const console = "https://belay.example.com"

func TestWebhook(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, nil)
	w, err := newWebhook(r.URL+"/hook?key=1", console, []string{secretOf('n'), secretOf('o')})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Send(t.Context(), sampleNotice()); err != nil {
		t.Fatal(err)
	}
	got := r.only(t)
	if got.Path != "/hook?key=1" || got.Header.Get("Content-Type") != "application/json" || got.Header.Get("webhook-id") != "n1" {
		t.Errorf("%+v", got)
	}
	for _, seed := range []byte{'n', 'o'} { // either secret alone is enough for a receiver
		verifier, err := webhooks.NewWebhook(secretOf(seed))
		if err != nil {
			t.Fatal(err)
		}
		if err := verifier.Verify(got.Body, got.Header); err != nil {
			t.Errorf("%c: %v", seed, err)
		}
	}
	stranger, _ := webhooks.NewWebhook(secretOf('x'))
	if stranger.Verify(got.Body, got.Header) == nil {
		t.Error("a stranger's secret verifies")
	}
	var body map[string]any
	if err := json.Unmarshal(got.Body, &body); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"specversion": "1.0", "id": "n1", "source": console, "type": "dev.belay.escalation.opened.v1", "time": "2031-05-04T10:00:00Z",
		"data": map[string]any{
			"title": "7 × failed: payments.refund in refund", "link": console + "/e/run-1", "ids": []any{"run-1", "run-2"}, "count": 7.0,
			"kind": "failure", "workflow": "refund", "tool": "payments.refund", "class": "timeout", "deadline": "2031-05-04T11:00:00Z",
			"text": "Step: pay\nFault: timeout\nWaiting since: 2031-05-04 10:00:00 UTC\nDeadline: 2031-05-04 11:00:00 UTC, then reject\nEscalations: run-1, run-2 and 5 more\n" +
				"\n> <!channel> @here <b>& ```[click](http://evil)\n> Bcc: x@example.com\n> [U+202E]\n",
		},
	}
	if diff := cmp.Diff(want, body); diff != "" {
		t.Error(diff)
	}
}

func TestTypesOfEvents(t *testing.T) {
	t.Parallel()
	for what, want := range map[What]string{
		Opened: "dev.belay.escalation.opened.v1", More: "dev.belay.escalation.opened.v1", Reminder: "dev.belay.escalation.reminder.v1", Returned: "dev.belay.escalation.reminder.v1",
		Deadline: "dev.belay.escalation.reminder.v1", Expired: "dev.belay.escalation.expired.v1", Trial: "dev.belay.notify.trial.v1",
	} {
		if got := typeOf(what); got != want {
			t.Errorf("%s: %s, want %s", what, got, want)
		}
	}
}

func TestSlack(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, nil)
	if err := newSlack(r.URL+"/services/T/B/x", console).Send(t.Context(), sampleNotice()); err != nil {
		t.Fatal(err)
	}
	got := r.only(t)
	var body map[string]any
	if err := json.Unmarshal(got.Body, &body); err != nil {
		t.Fatal(err)
	}
	at := "@\u200b"
	facts := "Step: pay\nFault: timeout\nWaiting since: 2031-05-04 10:00:00 UTC\nDeadline: 2031-05-04 11:00:00 UTC, then reject\nEscalations: run-1, run-2 and 5 more"
	text := func(s string) any { return map[string]any{"type": "plain_text", "text": s} }
	want := map[string]any{
		"text": "7 × failed: payments.refund in refund\n" + facts + "\n```\n&lt;!channel&gt; " + at + "here &lt;b&gt;&amp; '''[click](http://evil)\nBcc: x" + at +
			"example.com\n[U+202E]\n```\n" + console + "/e/run-1",
		"blocks": []any{
			map[string]any{"type": "header", "text": text("7 × failed: payments.refund in refund")},
			map[string]any{"type": "section", "text": text(facts)},
			map[string]any{"type": "section", "text": text("“&lt;!channel&gt; " + at + "here &lt;b&gt;&amp; ```[click](http://evil)\nBcc: x" + at + "example.com\n[U+202E]”")},
			map[string]any{"type": "actions", "elements": []any{map[string]any{"type": "button", "url": console + "/e/run-1", "text": text("Open in Belay")}}},
		},
	}
	if diff := cmp.Diff(want, body); diff != "" {
		t.Error(diff)
	}
}

// TestSlackKeepsItsLimits: a text that is longer once it is escaped would have the whole message refused.
func TestSlackKeepsItsLimits(t *testing.T) {
	t.Parallel()
	n := sampleNotice()
	n.Tool, n.Workflow, n.Message = strings.Repeat("<&", 400), strings.Repeat("@", 400), strings.Repeat("&\u202e", 9000)
	for _, b := range blocks(n.content(console)) {
		most := map[string]int{"header": longestHeader, "section": longestSection}[b.Type]
		if b.Text != nil && (len([]rune(b.Text.Text)) > most || b.Text.Text == "") {
			t.Errorf("%s has %d characters", b.Type, len([]rune(b.Text.Text)))
		}
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		status    int
		temporary bool
		wait      time.Duration
		text      string
	}{
		{302, false, 0, "the answer is 302, a redirect, which is not followed: correct the URL"},
		{307, false, 0, "the answer is 307, a redirect, which is not followed: correct the URL"},
		{400, false, 0, "the answer is 400 Bad Request: no such room"},
		{404, false, 0, "the answer is 404 Not Found: no such room"},
		{408, true, 90 * time.Second, "the answer is 408 Request Timeout: no such room"},
		{410, false, 0, "the answer is 410 Gone: no such room"},
		{425, true, 90 * time.Second, "the answer is 425 Too Early: no such room"},
		{429, true, 90 * time.Second, "the answer is 429 Too Many Requests: no such room"},
		{500, true, 90 * time.Second, "the answer is 500 Internal Server Error: no such room"},
		{501, false, 0, "the answer is 501 Not Implemented: no such room"},
		{503, true, 90 * time.Second, "the answer is 503 Service Unavailable: no such room"},
	} {
		r := newReceiver(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "90")
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(tt.status)
			_, _ = io.WriteString(w, "no\x1b[31m such\r\nroom")
		})
		f := failed(t, newSlack(r.URL, console))
		if f.Temporary != tt.temporary || f.RetryAfter != tt.wait || f.Error() != tt.text {
			t.Errorf("%d: %+v", tt.status, f)
		}
		r.only(t) // and no redirect was followed
	}
}

// failed sends a notice that fails.
func failed(t *testing.T, c Channel) *Failure {
	t.Helper()
	f, ok := errors.AsType[*Failure](c.Send(t.Context(), sampleNotice()))
	if !ok {
		t.Fatal("it did not fail")
	}
	return f
}

// TestNoFailureTellsASecret: the other side repeats everything that it got, and the path of its URL.
func TestNoFailureTellsASecret(t *testing.T) {
	t.Parallel()
	const path = "/services/T0001/B0001/s3cr3t-path"
	echo := newReceiver(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(400)
		_, _ = io.WriteString(w, "no hook at http://"+r.Host+r.URL.RequestURI()+", "+r.URL.Path+", "+secretOf('n')+" "+strings.TrimPrefix(secretOf('n'), secretPrefix))
	})
	hangs := newReceiver(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	gone := newReceiver(t, nil)
	gone.Close()
	for name, target := range map[string]string{"echo": echo.URL, "hangs": hangs.URL, "gone": gone.URL, "no host": "https://no-such-host.invalid", "no TLS": strings.Replace(echo.URL, "http:", "https:", 1)} {
		hook, err := newWebhook(target+path+"?token=hunter22", console, []string{secretOf('n')})
		if err != nil {
			t.Fatal(err)
		}
		if name == "hangs" { // the others answer, however slow the machine
			hook.client.Timeout = 100 * time.Millisecond
		}
		f := failed(t, hook)
		if f.Temporary != (name != "echo") || f.Error() == "" || strings.Contains(f.Error(), "Post") {
			t.Errorf("%s: %+v", name, f)
		}
		for _, secret := range []string{"s3cr3t", "hunter22", "T0001", secretOf('n')[10:]} {
			if strings.Contains(f.Error(), secret) {
				t.Errorf("%s tells %s: %s", name, secret, f)
			}
		}
	}
}

// TestAnEndlessAnswer is read for a while, and no longer.
func TestAnEndlessAnswer(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(500)
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 1<<10)); err != nil {
				return
			}
		}
	})
	began := time.Now()
	if f := failed(t, newSlack(r.URL, console)); !f.Temporary || len(f.Error()) > 2000 || time.Since(began) > sendTimeout-time.Second {
		t.Errorf("%+v after %s", f, time.Since(began))
	}
}

func TestSendEndsWithItsContext(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := newSlack(r.URL, console).Send(ctx, sampleNotice())
	if f, ok := errors.AsType[*Failure](err); !ok || !f.Temporary {
		t.Error(err)
	}
}

func TestTestIsHarmless(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, nil)
	if err := Test(t.Context(), newSlack(r.URL, console)); err != nil {
		t.Fatal(err)
	}
	if body := string(r.only(t).Body); !strings.Contains(body, "Nothing is waiting for you") || strings.Contains(body, "/e/") {
		t.Error(body)
	}
}

// TestMetadataGetsNoNotice: the URL of a channel comes from a variable, which somebody else may have set.
func TestMetadataGetsNoNotice(t *testing.T) {
	t.Parallel()
	hook, err := newWebhook("http://169.254.169.254/hook", console, []string{secretOf('n')})
	if err != nil {
		t.Fatal(err)
	}
	mail := newEmail("lead", console, mailServer{Host: "169.254.169.254", Port: 25, TLS: "none", From: "belay@example.com", To: []string{"ops@example.com"}}, "", "")
	for name, c := range map[string]Channel{"slack": newSlack("http://[fe80::1]/hook", console), "webhook": hook, "email": mail} {
		if f := failed(t, c); !strings.Contains(f.Error(), "always refused") {
			t.Errorf("%s: %v", name, f)
		}
		if _, err := Reach(t.Context(), c); err == nil || !strings.Contains(err.Error(), "always refused") {
			t.Errorf("%s: looked: %v", name, err)
		}
	}
}
