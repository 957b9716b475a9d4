package server

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"belay/internal/audit"
	"belay/internal/bus/embedded"
	"belay/internal/catalog"
	"belay/internal/dispatch"
	"belay/internal/engine"
	"belay/internal/observe"
	"belay/internal/plan"
	"belay/internal/runlog"
	"belay/internal/server/gate"
	"belay/internal/worker"
)

// shop is a server with plans and a worker.
func shop(t *testing.T) (post func(path, body string, header ...string) (*http.Response, string), drain func(), e *engine.Engine) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"tools.yaml": `tools:
  echo: {effects: none, rungs: [{command: {argv: [cat]}}]}
  trace: {effects: none, rungs: [{command: {argv: [sh, -c, 'echo "{\"in\": \"$TRACEPARENT\"}"']}}]}
  hang: {effects: none, rungs: [{remote: {}}]} # nobody serves it
`,
		"echo.yaml": `{name: echo, input: {x: 1}, steps: [{id: s, tool: echo, with: {x: "${ input.x }"}}], output: "${ steps.s.output.x }"}`,
		"hang.yaml": `{name: hang, steps: [{id: s, tool: hang}]}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	known, err := catalog.Open(filepath.Join(dir, "tools.yaml"), dir)
	if err != nil {
		t.Fatal(err)
	}
	tools, err := plan.LoadTools(filepath.Join(dir, "tools.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	e, err = engine.Start(t.Context(), engine.Options{
		Embedded: &embedded.Options{StoreDir: t.TempDir(), Durability: embedded.Interval},
		Dispatch: &dispatch.Options{Name: "d"}, People: &engine.PeopleOptions{Keys: t.TempDir()},
		Worker: &engine.WorkerOptions{Options: worker.Options{Name: "w", Observer: &observe.Attempts{Worker: "w"}}, Tools: tools},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Stop)
	door := &gate.Local{Name: "mia"}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	srv := httptest.NewServer(New(ctx, Options{Bus: e.Bus, Runs: e.Runs, Desk: e.Desk, Gate: door, Catalog: known, Trace: (*observe.Traces)(nil).SubmitFor}))
	t.Cleanup(srv.Close)
	door.Port = srv.URL[strings.LastIndexByte(srv.URL, ':')+1:]
	return func(path, body string, header ...string) (*http.Response, string) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		for i := 0; i+1 < len(header); i += 2 {
			r.Header.Add(header[i], header[i+1])
		}
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res, string(text)
	}, cancel, e
}

// TestSubmittedRunsAreExecuted: a plan and a call come back with their output.
func TestSubmittedRunsAreExecuted(t *testing.T) {
	t.Parallel()
	post, _, _ := shop(t)
	for path, body := range map[string]string{
		"/api/v1/runs?wait=60s":  `{"plan":"echo","input":{"x":7}}`,
		"/api/v1/calls?wait=60s": `{"tool":"echo","params":{"x":7}}`,
	} {
		res, text := post(path, body)
		var run struct {
			State  string
			Output json.RawMessage
		}
		if err := json.Unmarshal([]byte(text), &run); err != nil || res.StatusCode != http.StatusCreated || run.State != "succeeded" || !bytes.Contains(run.Output, []byte("7")) {
			t.Errorf("%s: %d %v %s", path, res.StatusCode, err, text)
		}
	}
}

// TestADrainingServerAnswersWhatIsKnown, and does not let callers wait for its end.
func TestADrainingServerAnswersWhatIsKnown(t *testing.T) {
	t.Parallel()
	post, drain, e := shop(t)
	go func() {
		for t.Context().Err() == nil { // until the caller waits for its run
			if page, err := e.Runs.List(t.Context(), runlog.Filter{}); err == nil && len(page.Items) > 0 {
				drain()
				return
			}
		}
	}()
	began := time.Now()
	res, text := post("/api/v1/runs?wait=50s", `{"plan":"hang"}`)
	if res.StatusCode != http.StatusAccepted || !strings.Contains(text, `"state":"running"`) || time.Since(began) > 40*time.Second {
		t.Errorf("%d %s after %s", res.StatusCode, text, time.Since(began))
	}
}

// TestAStreamEndsWithTheRun says how it has ended, and brings every entry once.
func TestAStreamEndsWithTheRun(t *testing.T) {
	t.Parallel()
	post, _, _ := shop(t)
	res, _ := post("/api/v1/runs", `{"plan":"echo"}`)
	at := *res.Request.URL
	at.Path, at.RawQuery = res.Header.Get("Location")+"/events", ""
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, at.String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", "text/event-stream")
	res, err = http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(string(text), `"state":"succeeded"}`+"\n\n") || strings.Count(string(text), "event: submitted\n") != 1 || strings.Count(string(text), "event: succeeded\n") != 1 || strings.Count(string(text), "event: end\n") != 1 {
		t.Errorf("%s", text)
	}
}

// TestASubmissionIsInTheAuditTrail once, however often it is sent.
func TestASubmissionIsInTheAuditTrail(t *testing.T) {
	t.Parallel()
	post, _, e := shop(t)
	for range 2 {
		if res, text := post("/api/v1/runs?wait=60s", `{"plan":"echo","id":"one"}`); res.StatusCode/100 != 2 {
			t.Fatal(text)
		}
	}
	if err := e.Recorder.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	trail, err := audit.New(e.Bus).Read(t.Context())
	if err != nil || len(trail.Records) != 1 {
		t.Fatalf("%v %s", err, trail.Records)
	}
	var rec audit.Record
	if err := json.Unmarshal(trail.Records[0], &rec); err != nil || rec.Action != "submit run" || rec.Who != "mia" || rec.Via != "api" || rec.On != "one" || rec.Effect != "started echo" {
		t.Errorf("%v %s", err, trail.Records[0])
	}
}

// TestACallersTraceGoesOnInTheTools; one that is not valid is ignored, and so are two.
func TestACallersTraceGoesOnInTheTools(t *testing.T) {
	t.Parallel()
	post, _, _ := shop(t)
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for _, c := range []struct {
		header []string
		in     string
	}{
		{nil, ""},
		{[]string{"traceparent", parent}, parent},
		{[]string{"traceparent", parent, "traceparent", parent}, ""},
		{[]string{"traceparent", "00-00000000000000000000000000000000-b7ad6b7169203331-01"}, ""},
		{[]string{"traceparent", parent + "-more"}, ""},
		{[]string{"traceparent", "ff" + parent[2:]}, ""},
	} {
		_, text := post("/api/v1/calls?wait=60s", `{"tool":"trace"}`, c.header...)
		var run struct{ Output struct{ In string } }
		if err := json.Unmarshal([]byte(text), &run); err != nil || run.Output.In != c.in {
			t.Errorf("%v: %q %v %s", c.header, run.Output.In, err, text)
		}
	}
}

// TestTheAuditTrailIsReadOnAtOnce, not when the recorder looks the next time by itself.
func TestTheAuditTrailIsReadOnAtOnce(t *testing.T) {
	t.Parallel()
	post, _, e := shop(t)
	soon := 0
	for n := 1; n <= 4; n++ {
		if res, text := post("/api/v1/runs", `{"plan":"echo"}`); res.StatusCode != http.StatusCreated {
			t.Fatal(text)
		}
		for stored := time.Now(); ; {
			trail, err := audit.New(e.Bus).Read(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			took := time.Since(stored)
			if len(trail.Records) == n {
				t.Logf("submission %d: %s", n, took)
				if took < 3*time.Second {
					soon++
				}
				break
			}
			if took > time.Minute {
				t.Fatalf("%d records %s after submission %d", len(trail.Records), took, n)
			}
		}
	}
	if soon < 2 { // one may be by chance; a busy machine may hold up some
		t.Errorf("%d of 4 records came within 3 s", soon)
	}
}
