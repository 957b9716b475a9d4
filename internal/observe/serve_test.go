package observe

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"belay/internal/steps"
)

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

func TestPages(t *testing.T) {
	t.Parallel()
	var why atomic.Pointer[error]
	r := NewRegistry("1.2.3")
	url, stop, err := Serve(t.Context(), "127.0.0.1:0", Pages(r, func() error {
		if e := why.Load(); e != nil {
			return *e
		}
		return nil
	}), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	if code, body := get(t, url+"/readyz"); code != 200 || body != "ready\n" {
		t.Errorf("%d %q", code, body)
	}
	draining := errors.New("draining")
	why.Store(&draining)
	if code, body := get(t, url+"/readyz"); code != 503 || body != "draining\n" {
		t.Errorf("%d %q", code, body)
	}
	if code, body := get(t, url+"/healthz"); code != 200 || body != "ok\n" {
		t.Errorf("%d %q", code, body)
	}
	if code, body := get(t, url+"/metrics"); code != 200 || !strings.Contains(body, `belay_build_info{version="1.2.3"} 1`) || !strings.Contains(body, "go_goroutines") {
		t.Errorf("%d %q", code, body)
	}
	_, _, err = Serve(t.Context(), strings.TrimPrefix(url, "http://"), http.NotFoundHandler(), slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), "address already in use") || !strings.Contains(err.Error(), "--listen") {
		t.Errorf("a port in use: %v", err)
	}
}

func TestSourcesAreAskedSparingly(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	r := prometheus.NewPedanticRegistry()
	RegisterSources(r, Sources{
		Queues: func(context.Context) ([]Queue, error) {
			asked.Add(1)
			return []Queue{{Tool: "pay", Rung: "primary", Pending: 3, InFlight: 2, Pulls: 1}}, nil
		},
		Open: func(context.Context) (Open, error) {
			return Open{ByKind: map[steps.EscalationKind]int{steps.KindUnknown: 4}, Oldest: time.Now().Add(-time.Hour), Now: time.Now()}, nil
		},
	})
	values := gauges(t, r)
	for name, want := range map[string]float64{
		"belay_steps_pending pay primary": 3, "belay_steps_in_flight pay primary": 2, "belay_step_pulls_waiting pay primary": 1,
		"belay_escalations_open unknown": 4, "belay_escalations_open failure": 0, "belay_nats_up": 1,
	} {
		if got, ok := values[name]; !ok || got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	if age := values["belay_escalation_oldest_age_seconds"]; age < 3600 || age > 3700 {
		t.Errorf("the oldest is %v s old", age)
	}
	gauges(t, r)
	if asked.Load() != 1 {
		t.Errorf("the server was asked %d times within a second", asked.Load())
	}
	lint(t, r)
}

func TestUnreachableServerIsANumber(t *testing.T) {
	t.Parallel()
	away := func() error { return errors.New("away") }
	for name, s := range map[string]Sources{
		"queues": {Queues: func(context.Context) ([]Queue, error) { return nil, away() }, Open: func(context.Context) (Open, error) { return Open{}, nil }},
		"open":   {Queues: func(context.Context) ([]Queue, error) { return nil, nil }, Open: func(context.Context) (Open, error) { return Open{}, away() }},
	} {
		r := prometheus.NewPedanticRegistry()
		RegisterSources(r, s)
		if v, ok := gauges(t, r)["belay_nats_up"]; !ok || v != 0 {
			t.Errorf("%s cannot be asked: belay_nats_up is %v", name, v)
		}
	}
}

// gauges are all values by name and label values.
func gauges(t *testing.T, r prometheus.Gatherer) map[string]float64 {
	t.Helper()
	all, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, f := range all {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			var more []string
			for _, l := range m.GetLabel() {
				more = append(more, l.GetValue())
			}
			// Labels come sorted by name: rung before tool.
			for i := len(more) - 1; i >= 0; i-- {
				name += " " + more[i]
			}
			values[name] = m.GetGauge().GetValue()
		}
	}
	return values
}

func TestAttemptsInNumbersAndLines(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	r := prometheus.NewPedanticRegistry()
	a := &Attempts{Metrics: NewAttemptMetrics(r), Logger: NewLogger(&out, LogOptions{JSON: true}), Worker: "w1"}
	m := steps.StepMessage{Run: "r", Attempt: steps.Attempt{Step: "pay", Try: 1}, Tool: "pay", RungName: "primary", Params: []byte(`{"x":"` + canary + `"}`)}
	header := map[string][]string{"Secret": {canary}}
	first := a.Began(t.Context(), m, header, 1)
	second := a.Began(t.Context(), m, header, 2)
	if v := gauges(t, r)["belay_step_attempts_executing pay primary"]; v != 2 {
		t.Errorf("%v executing, want 2", v)
	}
	a.Ended(first, m, steps.Succeeded{Output: []byte(`"` + canary + `"`)}, time.Second)
	a.Ended(second, m, steps.Failed{Fault: steps.Fault{Class: steps.Timeout, Message: "slow", Detail: canary}}, time.Second)
	if v := gauges(t, r)["belay_step_attempts_executing pay primary"]; v != 0 {
		t.Errorf("%v executing, want 0", v)
	}
	a.Refused(m, steps.Fault{Class: steps.PolicyDenied, Message: canary})
	if err := testutil.GatherAndCompare(r, strings.NewReader(`# HELP belay_step_refusals_total Step messages that were refused because nobody had approved the call.
# TYPE belay_step_refusals_total counter
belay_step_refusals_total{rung="primary",tool="pay"} 1
`), "belay_step_refusals_total"); err != nil {
		t.Error(err)
	}
	if got := sumOf(t, r, "belay_step_attempt_duration_seconds"); got != 2 {
		t.Errorf("2 attempts of a second took %v s", got)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], "attempt succeeded") || !strings.Contains(lines[1], `"error.type":"timeout"`) {
		t.Errorf("%s", out.String())
	}
	if strings.Contains(out.String(), canary) {
		t.Errorf("content is in the log: %s", out.String())
	}
	lint(t, r)
}
