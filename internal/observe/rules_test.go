package observe

import (
	"context"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.yaml.in/yaml/v4"
)

var metricName = regexp.MustCompile(`\bbelay_[a-z_]+`)

// TestAlertsAskForMetricsThatExist: a renamed metric would leave an alert that never fires.
func TestAlertsAskForMetricsThatExist(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../deploy/prometheus/belay.rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr, For    string
				Labels, Annotations map[string]string
			}
		}
	}
	if err := yaml.Load(text, &file); err != nil {
		t.Fatal(err)
	}
	known, seen := registered(), map[string]bool{}
	for _, r := range file.Groups[0].Rules {
		names := metricName.FindAllString(r.Expr, -1)
		if len(names) == 0 || r.For == "" || seen[r.Alert] || r.Annotations["summary"] == "" || r.Annotations["description"] == "" || r.Labels["severity"] != "page" && r.Labels["severity"] != "ticket" {
			t.Errorf("%+v", r)
		}
		seen[r.Alert] = true
		for _, n := range names {
			if n = strings.TrimSuffix(n, "_count"); !known[n] {
				t.Errorf("%s asks for %s, which nobody tells", r.Alert, n)
			}
		}
	}
	if len(seen) < 5 {
		t.Errorf("%d alerts", len(seen))
	}
	runbook, err := os.ReadFile("../../docs/runbook.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^## (\w+)$`).FindAllStringSubmatch(string(runbook), -1) {
		if !seen[m[1]] {
			t.Errorf("the runbook knows an alert %s, the rules do not", m[1])
		}
		delete(seen, m[1])
	}
	for alert := range seen {
		t.Errorf("the runbook says nothing of %s", alert)
	}
}

// collected keeps the names of what is registered, with their labels.
type collected struct{ names map[string][]string }

var (
	fqName      = regexp.MustCompile(`fqName: "([^"]+)"`)
	fixedLabels = regexp.MustCompile(`(\w+)=`)
	labelNames  = regexp.MustCompile(`constLabels: \{([^}]*)\}, variableLabels: \{([^}]*)\}`)
)

func (c collected) Register(x prometheus.Collector) error {
	ch := make(chan *prometheus.Desc, 100)
	x.Describe(ch)
	close(ch)
	for d := range ch {
		all := labelNames.FindStringSubmatch(d.String())
		labels := strings.FieldsFunc(all[2], func(r rune) bool { return r == ',' })
		for _, m := range fixedLabels.FindAllStringSubmatch(all[1], -1) {
			labels = append(labels, m[1])
		}
		c.names[fqName.FindStringSubmatch(d.String())[1]] = labels
	}
	return nil
}

func (c collected) MustRegister(all ...prometheus.Collector) {
	for _, x := range all {
		_ = c.Register(x)
	}
}

func (c collected) Unregister(prometheus.Collector) bool { return false }

func registered() map[string]bool {
	known := map[string]bool{}
	for name := range labelled() {
		known[name] = true
	}
	return known
}

// labelled are the labels of every metric, by its name.
func labelled() map[string][]string {
	c := collected{map[string][]string{"belay_build_info": {"version"}}} // NewRegistry has registered it
	NewRunMetrics(c)
	NewAttemptMetrics(c)
	NewNoticeMetrics(c, nil, nil)
	NewRefusalMetrics(c, nil)
	RegisterSources(c, Sources{
		Queues: func(context.Context) ([]Queue, error) { return nil, nil },
		Open:   func(context.Context) (Open, error) { return Open{}, nil },
	})
	RegisterStore(c, func() Store { return Store{} })
	RegisterDisk(c, func() Disk { return Disk{} })
	RegisterClock(c, func() Clock { return Clock{} })
	RegisterKeys(c, func() (int, int, bool) { return 0, 0, false })
	RegisterCheckpoints(c, func() (int, bool, bool) { return 0, false, false })
	return c.names
}
