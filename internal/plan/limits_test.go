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
		"{per: target}":                "a rate or a concurrency",
		"{concurrency: 0}":             "1",
		"{concurrency: 1001}":          "1000",
		"{concurrency: 5/s}":           "whole number",
		"{rate: 50}":                   "is not a rate",
		"{rate: 0/s}":                  "is not a rate",
		"{rate: 5/d}":                  "is not a rate",
		"{rate: -5/s}":                 "is not a rate",
		"{rate: NaN/s}":                "is not a rate",
		"{rate: 1e9/s}":                "is not a rate",
		"{rate: 20000/s}":              "at most 10,000",
		"{rate: 5/s, per: input.x}":    "input",
		"{rate: 5/s, per: 'params.('}": "expected name",
		"{rate: 5/s, burst: 7}":        "burst",
	} {
		if _, err := ParseTools("tools.yaml", []byte(limitedTool(written))); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", written, err)
		}
	}
}

// TestTargets: the limits of a target come to all tools that may talk to it, and one that none talks to is a mistake.
func TestTargets(t *testing.T) {
	t.Parallel()
	const file = `
targets:
  Api.Bank.example: {limits: {concurrency: 10, rate: 50/s}}
tools:
  pay: {effects: none, rungs: [{http: {method: GET, url: "https://api.bank.example/pay"}}]}
  any: {effects: none, rungs: [{http: {method: GET, url: "https://${ params.host }/x", allow_hosts: ["*.example"]}}]}
  mail: {effects: none, rungs: [{http: {method: GET, url: "https://mail.example/"}}]}
`
	tools, err := ParseTools("tools.yaml", []byte(file))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int{"pay": 1, "any": 1, "mail": 0} {
		if got := tools.Tools[name].Targets; len(got) != want || want == 1 && got["api.bank.example"].Concurrency != 10 {
			t.Errorf("%s: %+v", name, got)
		}
	}
	for written, says := range map[string]string{
		"{a.exampel: {limits: {concurrency: 1}}}":              "a.example",
		"{a.example: {}}":                                      "limits",
		"{a.example: {limits: {}}}":                            "a rate or a concurrency",
		"{a.example: {limits: {concurrency: 1, per: target}}}": "per",
	} {
		text := "targets: " + written + "\ntools: {t: {effects: none, rungs: [{http: {method: GET, url: \"https://a.example/\"}}]}}"
		if _, err := ParseTools("tools.yaml", []byte(text)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", written, err)
		}
	}
}
