package manual_test

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.yaml.in/yaml/v4"

	"belay/internal/genai"
	"belay/internal/observe"
)

var (
	metricName = regexp.MustCompile(`\bbelay_[a-z_]+`)
	fqName     = regexp.MustCompile(`fqName: "([^"]+)"`)
)

// described keeps the names of the metrics that are registered.
type described struct{ names map[string]bool }

func (d described) Register(c prometheus.Collector) error {
	all := make(chan *prometheus.Desc, 100)
	c.Describe(all)
	close(all)
	for one := range all {
		d.names[fqName.FindStringSubmatch(one.String())[1]] = true
	}
	return nil
}

func (d described) MustRegister(all ...prometheus.Collector) {
	for _, c := range all {
		_ = d.Register(c) // never fails
	}
}

func (d described) Unregister(prometheus.Collector) bool { return false }

// metrics are the names of what the programs export.
var metrics = sync.OnceValue(func() map[string]bool {
	d := described{map[string]bool{}}
	observe.NewRunMetrics(d)
	observe.NewAttemptMetrics(d)
	observe.NewNoticeMetrics(d, nil, nil)
	observe.NewRefusalMetrics(d, nil)
	observe.RegisterSources(d, observe.Sources{
		Queues: func(context.Context) ([]observe.Queue, error) { return nil, nil },
		Open:   func(context.Context) (observe.Open, error) { return observe.Open{}, nil },
	})
	observe.RegisterStore(d, func() observe.Store { return observe.Store{} })
	observe.RegisterDisk(d, func() observe.Disk { return observe.Disk{} })
	observe.RegisterClock(d, func() observe.Clock { return observe.Clock{} })
	observe.RegisterKeys(d, func() (int, int, bool) { return 0, 0, false })
	observe.RegisterCheckpoints(d, func() (int, bool, bool) { return 0, false, false })
	d.names["belay_build_info"] = true // of every registry
	return d.names
})

func checkQuery(b *block) (found []problem) {
	for i, l := range b.lines {
		for _, name := range metricName.FindAllString(l, -1) {
			base := name
			for _, suffix := range []string{"_bucket", "_count", "_sum"} {
				base = strings.TrimSuffix(base, suffix)
			}
			if !metrics()[name] && !metrics()[base] {
				found = append(found, b.wrongAt(i+1, "no program exports a metric %s", name))
			}
		}
	}
	return found
}

const metricsHead = `# Metrics

Every metric that the programs export, with its type and labels, what it says, and which alert asks for it.

` + "`/metrics`" + ` is served by ` + "`dispatcher serve`, `dispatcher dev` and `worker`" + ` with ` + "`--listen`" + `, in the format of Prometheus, beside ` + "`/healthz`" + ` (the process runs) and ` + "`/readyz`" + ` (it
has started, is connected to NATS and is not stopping). ` + "`/healthz` and `/readyz`" + ` are answered under every host name. ` + "`dispatcher serve` has `/metrics`" + ` under every one but that of ` + "`--public-url`" + `;
` + "`--metrics-host belay-1,belay-2`" + ` names those that are meant for it, and then it is read under these and the loopback alone (421 under others; ` + "`*`" + ` means any). A dashboard for Grafana is [belay.json](../deploy/grafana/belay.json). The alerts are in [belay.rules.yml](../deploy/prometheus/belay.rules.yml), and
what to do about each in the [runbook](runbook.md).

Times are in seconds. Counters begin at 0 with their process, so look at ` + "`rate` and `increase`" + ` over all of them:

` + "```promql" + `
# attempts that failed, by tool and by what was wrong
sum by (tool, error_type) (rate(belay_step_attempts_total{outcome!="succeeded"}[5m]))
# runs that ended degraded, of all
sum(rate(belay_runs_total{outcome="degraded"}[1h])) / sum(rate(belay_runs_total[1h]))
# how long 95 of 100 escalations wait for a decision
histogram_quantile(0.95, sum by (kind, le) (rate(belay_escalation_time_to_decision_seconds_bucket[1d])))
# what waits, and for how long the oldest question has been open
max(belay_steps_pending) and max(belay_escalation_oldest_age_seconds)
` + "```" + `

`

// labels are what the labels of metrics mean.
var labels = map[string]string{
	"workflow":   "name of the plan",
	"tool":       "the tool's name",
	"stream":     "a stream, or the stream of a bucket with KV_ before its name",
	"rung":       "the rung's name",
	"schedule":   "the name of the schedule",
	"limit":      "the tool or the target whose limit it is",
	"target":     "the host that a rung talks to, or its text where that is no URL",
	"window":     "in which it was counted: `5m`, `30m`, `1h`, `6h` or `1d`",
	"why":        "what holds a call back: `rate`, `concurrency` or `retry_after`; of requests, why they were refused: `unproven` or `forbidden`",
	"what":       "what a request asks for: `submit`, `cancel`, `steer`, `retry`, `replay` or `migrate`",
	"priority":   "who goes first: `people`, `new` or `redone`, see [who goes first](running.md#who-goes-first)",
	"lane":       "of the [crash lane](failures.md#a-call-that-ends-its-worker): `apart` or `alone`",
	"from_rung":  "the rung that was given up",
	"to_rung":    "the rung that came next",
	"reason":     "class of the fault",
	"outcome":    "how it ended: of runs and steps their state (`succeeded`, `degraded`, `failed`, ...), of attempts `succeeded`, `failed`, `unknown` (it may have happened), `withdrawn` (nobody executed it) or `given_up` (the run went on without it), of notices `delivered`, `failed` (and repeated) or `given_up`",
	"error_type": "[class](faults.md) of the fault; empty for a success",
	"class":      "[class](faults.md) of the fault on purpose, or `slow`, `kill` or `partition`",
	"kind":       "of the escalation: `approval`, `failure`, `unknown`, `question`, `limit`, `deadline` or `dead_letter`",
	"decision":   "the verb: `approve`, `reject`, `retry`, `edit`, `answer`, `skip`, `verify` or `abort`",
	"via":        "way in of whoever decided: `console`, `api`, `cli`, ...",
	"channel":    "name in the notify file",
	"version":    "of the program",

	genai.LabelOperation: "always `chat`",
	genai.LabelProvider:  "`provider` of the rung",
	genai.LabelModel:     "`model` of the rung",
	genai.LabelToken:     "`input` or `output`",
}

type metric struct{ name, kind, help, process string }

var description = regexp.MustCompile(`fqName: "([^"]+)", help: "((?:[^"\\]|\\.)*)",(?: unit: "[^"]*",)? constLabels: \{([^}]*)\}, variableLabels: \{([^}]*)\}`)

// exported are the metrics with their labels, in the order in which they are registered.
type exported struct {
	process string
	all     *[]metric
	labels  map[string][]string
}

func (e exported) MustRegister(all ...prometheus.Collector) {
	for _, c := range all {
		kind := "gauge"
		switch c.(type) {
		case *prometheus.CounterVec, prometheus.Counter:
			kind = "counter"
		case *prometheus.HistogramVec, prometheus.Histogram:
			kind = "histogram"
		}
		if _, is := c.(prometheus.Gauge); is {
			kind = "gauge" // it is a Counter, too
		}
		descriptions := make(chan *prometheus.Desc, 100)
		c.Describe(descriptions)
		close(descriptions)
		for d := range descriptions {
			m := description.FindStringSubmatch(d.String())
			*e.all = append(*e.all, metric{m[1], kind, m[2], e.process})
			e.labels[m[1]] = strings.FieldsFunc(m[4], func(r rune) bool { return r == ',' })
		}
	}
}

func (e exported) Register(c prometheus.Collector) error { e.MustRegister(c); return nil }
func (e exported) Unregister(prometheus.Collector) bool  { return false }

// alert is a rule of deploy/prometheus.
type alert struct {
	Alert, Expr, For string
	Labels           map[string]string
	Annotations      map[string]string
}

func alerts(t *testing.T) []alert {
	text, err := os.ReadFile(filepath.Join(root, "deploy/prometheus/belay.rules.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Groups []struct{ Rules []alert } }
	if err := yaml.Load(text, &file); err != nil {
		t.Fatal(err)
	}
	return file.Groups[0].Rules
}

// metricsPage is docs/metrics.md.
func metricsPage(t *testing.T) string {
	var page strings.Builder
	page.WriteString(metricsHead)
	all, found := []metric{}, map[string][]string{}
	in := func(process string) exported { return exported{process, &all, found} }
	observe.NewRunMetrics(in("dispatcher"))
	observe.RegisterSources(in("dispatcher"), observe.Sources{})
	observe.RegisterStore(in("dispatcher"), func() observe.Store { return observe.Store{} })
	observe.RegisterDisk(in("dispatcher"), func() observe.Disk { return observe.Disk{} })
	observe.NewNoticeMetrics(in("dispatcher"), nil, nil)
	observe.NewRefusalMetrics(in("dispatcher"), nil)
	observe.NewAttemptMetrics(in("worker"))
	observe.RegisterKeys(in("worker"), func() (int, int, bool) { return 0, 0, false })
	observe.RegisterCheckpoints(in("worker"), func() (int, bool, bool) { return 0, false, false })
	observe.RegisterClock(in("both"), func() observe.Clock { return observe.Clock{} })
	families, err := observe.NewRegistry("x").Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if strings.HasPrefix(f.GetName(), "belay_") {
			all = append(all, metric{f.GetName(), "gauge", f.GetHelp(), "both"})
			found[f.GetName()] = []string{"version"}
		}
	}
	rules := alerts(t)
	for _, part := range []struct{ process, head string }{
		{"dispatcher", "## A dispatcher\n\nWhat it applies to runs, and what it asks of the server when it is read. Queues and open escalations are of the whole installation, and every dispatcher says the same: take the `max`.\n\n"},
		{"worker", "## A worker\n\n`dispatcher dev` exports them too.\n\n"},
		{"both", "## Both\n\nBeside these there are those of the Go runtime (`go_`) and of the process (`process_`).\n\n"},
	} {
		page.WriteString(part.head)
		rows := [][]string{}
		for _, m := range all {
			if m.process == part.process {
				rows = append(rows, metricRow(t, m, found[m.name], rules))
			}
		}
		table(&page, []string{"metric", "type", "labels", "", "alert"}, rows)
	}
	labelTable(t, &page, found)
	alertTable(&page, rules)
	return strings.TrimRight(page.String(), "\n") + "\n"
}

func metricRow(t *testing.T, m metric, names []string, rules []alert) []string {
	if m.help == "" {
		t.Errorf("%s has no help", m.name)
	}
	quoted := []string{}
	for _, n := range names {
		quoted = append(quoted, code(n))
	}
	asking := []string{}
	for _, r := range rules {
		for _, n := range metricName.FindAllString(r.Expr, -1) {
			if to := "[" + r.Alert + "](runbook.md#" + strings.ToLower(r.Alert) + ")"; (n == m.name || strings.TrimSuffix(n, "_count") == m.name) && !slices.Contains(asking, to) {
				asking = append(asking, to)
			}
		}
	}
	return []string{code(m.name), m.kind, strings.Join(quoted, ", "), m.help, strings.Join(asking, ", ")}
}

func labelTable(t *testing.T, page *strings.Builder, found map[string][]string) {
	used := map[string]bool{}
	for metric, names := range found {
		for _, n := range names {
			if used[n] = true; labels[n] == "" {
				t.Errorf("nobody says what the label %s of %s means", n, metric)
			}
		}
	}
	rows := [][]string{}
	for _, n := range slices.Sorted(maps.Keys(labels)) {
		if !used[n] {
			t.Errorf("no metric has the label %s", n)
		}
		rows = append(rows, []string{code(n), labels[n]})
	}
	page.WriteString("## Labels\n\n")
	table(page, []string{"label", "means"}, rows)
}

func alertTable(page *strings.Builder, rules []alert) {
	rows := [][]string{}
	for _, r := range rules {
		rows = append(rows, []string{"[" + r.Alert + "](runbook.md#" + strings.ToLower(r.Alert) + ")", r.Labels["severity"], r.For, code(strings.TrimSpace(r.Expr))})
	}
	page.WriteString("## Alerts\n\n`page`: somebody must act now; `ticket`: somebody should look today. The thresholds are a start.\n\n")
	table(page, []string{"alert", "severity", "for", "when"}, rows)
}
