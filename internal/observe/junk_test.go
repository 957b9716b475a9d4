package observe

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"belay/internal/steps"
)

// TestWhatDoesNotCountIsTold in the log and in numbers: what is about a step of another tool, and what nobody can read.
func TestWhatDoesNotCountIsTold(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	r := prometheus.NewPedanticRegistry()
	h := newHistory(t, &Runs{Logger: NewLogger(&out, LogOptions{JSON: true, Level: slog.LevelWarn}), Metrics: NewRunMetrics(r)})
	h.tool = "other"
	h.add(steps.Junk{Why: "unreadable message: unexpected end of JSON input"})
	h.failed("find", 0, 1, steps.Unavailable)
	h.tool = "find"
	h.add(steps.Junk{Attempt: steps.Attempt{Step: "find", Try: 1}, Why: "unreadable message: type"})
	for _, want := range []string{
		`"msg":"not counted: a worker of other has written what cannot be read","run_id":"r","workflow":"trip"`,
		`"sequence":2,"error":"unreadable message: unexpected end of JSON input"`,
		`"msg":"not counted: a worker of other has reported of this attempt"`,
		`"msg":"a worker of find has written of this attempt what cannot be read"`, `"attempt":"0-0-1","tool":"find","rung":"primary","sequence":4,"error":"unreadable message: type"`,
		`"msg":"attempt failed"`, `"error.type":"invalid_output","error":"its worker has reported what cannot be read"`,
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %s in\n%s", want, &out)
		}
	}
	want := `
# HELP belay_reports_not_counted_total What workers that may report of some tools alone have written and that does not count as a report: it is about a step of another tool (foreign), or cannot be read (unreadable).
# TYPE belay_reports_not_counted_total counter
belay_reports_not_counted_total{why="foreign"} 1
belay_reports_not_counted_total{why="unreadable"} 2
`
	if err := testutil.GatherAndCompare(r, strings.NewReader(want), "belay_reports_not_counted_total"); err != nil {
		t.Error(err)
	}
}
