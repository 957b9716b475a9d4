package observe

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// panel is one of a dashboard, or a row of them.
type panel struct {
	ID                       int
	Type, Title, Description string
	GridPos                  struct{ H, W, X, Y int }
	Targets                  []struct{ Expr, LegendFormat string }
}

var (
	anyMetric = regexp.MustCompile(`\b(?:belay|gen_ai_client)_[a-z_]+`)
	grouped   = regexp.MustCompile(`by \(([^)]*)\)`)
	matched   = regexp.MustCompile(`[{,]\s*([a-z_]+)\s*[!=]`)
	inLegend  = regexp.MustCompile(`\{\{(\w+)\}\}`)
)

// TestDashboardAsksForMetricsThatExist, and groups them by labels that they have: a panel that asks for anything else is empty, and
// looks as if all were well.
func TestDashboardAsksForMetricsThatExist(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../deploy/grafana/belay.json")
	if err != nil {
		t.Fatal(err)
	}
	var board struct{ Panels []panel }
	if err := json.Unmarshal(text, &board); err != nil {
		t.Fatal(err)
	}
	ids, shown := map[int]bool{}, 0
	for _, p := range board.Panels {
		if ids[p.ID] || p.Title == "" || p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("%+v", p)
		}
		ids[p.ID] = true
		if p.Type == "row" {
			continue
		}
		if shown++; len(p.Targets) == 0 || p.Description == "" {
			t.Errorf("%s shows nothing, or does not say what", p.Title)
		}
		for _, target := range p.Targets {
			checkExpression(t, p.Title, target.Expr, target.LegendFormat)
		}
	}
	if shown < 20 {
		t.Errorf("%d panels", shown)
	}
}

func checkExpression(t *testing.T, title, expr, legend string) {
	t.Helper()
	labels, names := []string{"le"}, anyMetric.FindAllString(expr, -1)
	if len(names) == 0 {
		t.Errorf("%s: %s asks for nothing", title, expr)
	}
	known := labelled()
	for _, n := range names {
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			n = strings.TrimSuffix(n, suffix)
		}
		of, ok := known[n]
		if !ok {
			t.Errorf("%s asks for %s, which nobody tells", title, n)
		}
		labels = append(labels, of...)
	}
	var used, by []string
	for _, m := range grouped.FindAllStringSubmatch(expr, -1) {
		by = append(by, strings.Split(strings.ReplaceAll(m[1], " ", ""), ",")...)
	}
	for _, m := range matched.FindAllStringSubmatch(expr, -1) {
		used = append(used, m[1])
	}
	for _, l := range append(used, by...) {
		if !slices.Contains(labels, l) {
			t.Errorf("%s: no metric in %s has the label %s", title, expr, l)
		}
	}
	for _, m := range inLegend.FindAllStringSubmatch(legend, -1) {
		if !slices.Contains(by, m[1]) {
			t.Errorf("%s: the legend shows %s, by which %s does not group", title, m[1], expr)
		}
	}
}
