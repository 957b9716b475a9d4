package observe

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"belay/internal/plan"
	"belay/internal/steps"
)

const canary = "c4n4ry-s3cr3t"

const toolsFile = `
tools:
  find:
    effects: none
    rungs:
      - {name: primary, command: {argv: [echo, "1"]}, retry: {max_attempts: 2, initial: 1s}}
      - {name: cached, cache: {max_age: 1h}}
  pay:
    effects: unsafe
    rungs:
      - {name: primary, command: {argv: [pay]}}
`

const planFile = `
name: trip
input: {card: ` + canary + `}
steps:
  - {id: find, tool: find}
  - {id: pay, tool: pay, needs: [find], with: {card: "${ input.card }"}}
  - {id: extra, tool: find, when: "false"}
`

// history folds events, a second apart, and tells o of each.
type history struct {
	t    *testing.T
	s    *steps.State
	o    *Runs
	now  time.Time
	seq  uint64
	tool string // whose workers alone can have written what is added; empty = anybody
}

func newHistory(t *testing.T, o *Runs) *history {
	t.Helper()
	tools, err := plan.ParseTools("tools.yaml", []byte(toolsFile))
	if err != nil {
		t.Fatal(err)
	}
	doc, err := plan.ParsePlan("plan.yaml", []byte(planFile), tools)
	if err != nil {
		t.Fatal(err)
	}
	program, err := plan.NewCache(1).Program(doc.JSON)
	if err != nil {
		t.Fatal(err)
	}
	h := &history{t: t, o: o, now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	h.add(steps.Submitted{Epoch: steps.Epoch, Document: doc.JSON, Input: doc.Definition.Plan.Input, By: "ann", Program: program, Trace: "00-0102030405060708090a0b0c0d0e0f10-0102030405060708-01"})
	return h
}

func (h *history) add(e steps.Event) {
	h.t.Helper()
	h.seq++
	h.now = h.now.Add(time.Second)
	rec := steps.Record{Seq: h.seq, Time: h.now, Run: "r", Event: e, Tool: h.tool}
	var touched []int
	h.s, touched = steps.Apply(h.s, rec)
	h.o.Applied(h.s, rec, touched)
}

func (h *history) failed(step string, rung, try int, c steps.Class) {
	h.add(steps.Failed{
		Attempt: steps.Attempt{Step: step, Rung: rung, Try: try}, Worker: "w1#token", Started: h.now.Add(500 * time.Millisecond), Took: steps.Duration(time.Second / 2),
		Fault: steps.Fault{Class: c, Acted: steps.ActedNo, Message: "it " + string(c), Detail: canary},
	})
}

// trip is a run in which everything goes wrong that can: a retry, a fallback, a person, an end that is degraded.
func (h *history) trip() {
	h.failed("find", 0, 1, steps.Unavailable)
	h.failed("find", 0, 2, steps.Unavailable)
	h.add(steps.Succeeded{Attempt: steps.Attempt{Step: "find", Rung: 1, Try: 1}, Worker: "w2", Output: json.RawMessage(`"` + canary + `"`), Started: h.now, Took: steps.Duration(time.Millisecond)})
	h.add(steps.Claimed{Attempt: steps.Attempt{Step: "pay", Try: 1}, Worker: "w1#token"})
	h.failed("pay", 0, 1, steps.Forbidden)
	h.add(steps.Decided{Escalation: "r-1", Verb: steps.VerbAnswer, By: "bo", Via: "cli", Reason: "paid by hand", Answer: json.RawMessage(`{"n":"` + canary + `"}`)})
	h.add(steps.Decided{Escalation: "r-1", Verb: steps.VerbAbort, By: "cy", Via: "cli"})
	h.add(steps.Closed{State: h.s.Status()})
}

func TestARunInLines(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	logger := NewLogger(&out, LogOptions{JSON: true, Level: slog.LevelDebug})
	newHistory(t, &Runs{Logger: logger}).trip()
	var got []string
	wait := ""
	for line := range strings.Lines(out.String()) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatal(err)
		}
		if m["run_id"] != "r" || m["workflow"] != "trip" || m["trace_id"] != "0102030405060708090a0b0c0d0e0f10" {
			t.Errorf("run, workflow or trace is missing: %s", line)
		}
		for _, key := range []string{"time", "run_id", "workflow", "trace_id"} {
			delete(m, key)
		}
		if w, is := m["wait"].(float64); is {
			if w <= 0 || w > 1 {
				t.Errorf("a wait of %v s before the second of two tries, with 1 s at most", w)
			}
			wait = strconv.FormatFloat(w, 'f', -1, 64)
		}
		b, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(b))
	}
	want := []string{
		`{"by":"ann","level":"INFO","msg":"run submitted"}`,
		`{"attempt":"0-0-1","error":"it unavailable","error.type":"unavailable","level":"WARN","msg":"attempt failed","next":"again","rung":"primary","step_id":"find","took":0.5,"tool":"find","wait":WAIT,"worker":"w1"}`,
		`{"attempt":"0-0-2","error":"it unavailable","error.type":"unavailable","level":"WARN","msg":"attempt failed","next":"next_rung","next_rung":"cached","rung":"primary","step_id":"find","took":0.5,"tool":"find","worker":"w1"}`,
		`{"attempt":"0-1-1","degraded":"unavailable: it unavailable","level":"INFO","msg":"attempt succeeded","rung":"cached","step_id":"find","took":0.001,"tool":"find","worker":"w2"}`,
		`{"attempt":"0-0-1","level":"DEBUG","msg":"attempt claimed","rung":"primary","step_id":"pay","tool":"pay","worker":"w1"}`,
		`{"attempt":"0-0-1","error":"it forbidden","error.type":"forbidden","level":"WARN","msg":"attempt failed","next":"person","rung":"primary","step_id":"pay","took":0.5,"tool":"pay","worker":"w1"}`,
		`{"error":"it forbidden","error.type":"forbidden","escalation_id":"r-1","kind":"failure","level":"WARN","msg":"escalation opened: a person decides","rung":"primary","step_id":"pay","tool":"pay"}`,
		`{"by":"bo","effect":"what you gave is pay's output, marked as yours; nothing was executed; the run succeeded, degraded","escalation_id":"r-1","level":"INFO","msg":"escalation decided","outcome":"counts","reason":"paid by hand","verb":"answer"}`,
		`{"by":"bo","level":"INFO","msg":"step answered","step_id":"pay","tool":"pay"}`,
		`{"level":"INFO","msg":"step skipped","step_id":"extra","tool":"find"}`,
		`{"by":"cy","effect":"already decided: bo chose answer at 2026-01-02T03:04:12Z; the run succeeded, degraded","escalation_id":"r-1","level":"INFO","msg":"decision came too late","outcome":"decided","verb":"abort"}`,
		`{"level":"INFO","msg":"run ended","state":"degraded","took":6}`,
	}
	for i := range want { // it is random, but the same for the same attempt
		want[i] = strings.ReplaceAll(want[i], "WAIT", wait)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if strings.Contains(out.String(), canary) {
		t.Error("an input, an output, parameters or evidence are in the log")
	}
}

func TestARunInNumbers(t *testing.T) {
	t.Parallel()
	r := prometheus.NewPedanticRegistry()
	newHistory(t, &Runs{Metrics: NewRunMetrics(r)}).trip()
	want := `
# HELP belay_escalation_decisions_total Decisions that counted.
# TYPE belay_escalation_decisions_total counter
belay_escalation_decisions_total{decision="answer",via="cli"} 1
# HELP belay_escalations_opened_total Escalations that were opened.
# TYPE belay_escalations_opened_total counter
belay_escalations_opened_total{kind="failure"} 1
# HELP belay_fallbacks_total Steps that fell back to another rung.
# TYPE belay_fallbacks_total counter
belay_fallbacks_total{from_rung="primary",reason="unavailable",to_rung="cached",tool="find"} 1
# HELP belay_runs_submitted_total Submitted runs.
# TYPE belay_runs_submitted_total counter
belay_runs_submitted_total{workflow="trip"} 1
# HELP belay_runs_total Ended runs.
# TYPE belay_runs_total counter
belay_runs_total{outcome="degraded",workflow="trip"} 1
# HELP belay_step_attempts_total Ended attempts.
# TYPE belay_step_attempts_total counter
belay_step_attempts_total{error_type="",outcome="succeeded",rung="cached",tool="find"} 1
belay_step_attempts_total{error_type="forbidden",outcome="failed",rung="primary",tool="pay"} 1
belay_step_attempts_total{error_type="unavailable",outcome="failed",rung="primary",tool="find"} 2
# HELP belay_steps_total Ended steps, items and compensations.
# TYPE belay_steps_total counter
belay_steps_total{outcome="degraded",tool="find"} 1
belay_steps_total{outcome="skipped",tool="find"} 1
belay_steps_total{outcome="succeeded",tool="pay"} 1
`
	if err := testutil.GatherAndCompare(r, strings.NewReader(want), "belay_escalation_decisions_total", "belay_escalations_opened_total",
		"belay_fallbacks_total", "belay_runs_submitted_total", "belay_runs_total", "belay_step_attempts_total", "belay_steps_total"); err != nil {
		t.Error(err)
	}
	for name, sum := range map[string]float64{"belay_escalation_time_to_decision_seconds": 1, "belay_run_duration_seconds": 6} {
		if got := sumOf(t, r, name); got != sum {
			t.Errorf("%s: the sum is %v, want %v", name, got, sum)
		}
	}
	lint(t, r)
}

func sumOf(t *testing.T, r prometheus.Gatherer, name string) (sum float64) {
	t.Helper()
	all, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			sum += m.GetHistogram().GetSampleSum()
		}
	}
	return sum
}

func lint(t *testing.T, r prometheus.Gatherer) {
	t.Helper()
	problems, err := testutil.GatherAndLint(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// TestARepeatIsNotTold: a take-over may repeat a record; the fold ignores it, and nothing is told of it.
func TestARepeatIsNotTold(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	h := newHistory(t, &Runs{Logger: NewLogger(&out, LogOptions{JSON: true})})
	h.failed("find", 0, 1, steps.Unavailable)
	out.Reset()
	h.failed("find", 0, 1, steps.Unavailable)
	h.add(steps.Succeeded{Attempt: steps.Attempt{Step: "nobody", Try: 1}, Output: json.RawMessage(`1`)})
	if out.Len() > 0 {
		t.Errorf("said again: %s", out.String())
	}
}

func TestSecretsAreHiddenByName(t *testing.T) {
	t.Parallel()
	for _, asJSON := range []bool{true, false} {
		var out bytes.Buffer
		logger := NewLogger(&out, LogOptions{JSON: asJSON})
		logger.Info("x", "password", canary, "api_key", canary, "NATS_TOKEN", canary, slog.Group("http", "Authorization", canary), "user", "ann")
		if strings.Contains(out.String(), canary) || !strings.Contains(out.String(), "ann") {
			t.Errorf("JSON %v: %s", asJSON, out.String())
		}
	}
}
