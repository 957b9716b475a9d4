package plan

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

func limitedTool(limits string) string {
	return fmt.Sprintf("tools: {t: {effects: none, limits: %s, rungs: [{http: {method: GET, url: \"https://a.example/\"}}]}}", limits)
}

// TestLimits: rates as people write them, and what is wrong with others.
func TestLimits(t *testing.T) {
	t.Parallel()
	for written, want := range map[string]float64{"50/s": 50, "90/m": 1.5, "1800/h": 0.5, "2.5/s": 2.5} {
		tools, err := ParseTools("tools.yaml", []byte(limitedTool("{rate: "+written+", per: params.tenant}")))
		if err != nil {
			t.Fatal(err)
		}
		if l := tools.Tools["t"].Limits; l == nil || math.Abs(l.Rate-want) > 1e-9 || l.Text != written || l.Per != "params.tenant" {
			t.Errorf("%s: %+v", written, l)
		}
	}
	for written, says := range map[string]string{
		"{per: target}":                 `"rate"`,
		"{rate: 50}":                    "is not a rate",
		"{rate: 0/s}":                   "is not a rate",
		"{rate: 5/d}":                   "is not a rate",
		"{rate: -5/s}":                  "is not a rate",
		"{rate: NaN/s}":                 "is not a rate",
		"{rate: 1e9/s}":                 "is not a rate",
		"{rate: 20000/s}":               "at most 10,000",
		"{rate: 5/s, per: input.x}":     "input",
		"{rate: 5/s, per: 'params.('}":  "expected name",
		"{rate: 5/s, burst: 7}":         "burst",
		"{rate: 5/s, concurrency: 100}": "concurrency",
	} {
		if _, err := ParseTools("tools.yaml", []byte(limitedTool(written))); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", written, err)
		}
	}
}
