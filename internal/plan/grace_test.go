package plan

import (
	"strings"
	"testing"
	"time"
)

func TestGraceOfCommands(t *testing.T) {
	t.Parallel()
	file := func(rung string) string {
		return "tools:\n  t: {effects: none, rungs: [" + rung + "]}\n"
	}
	for rung, want := range map[string]time.Duration{
		"{command: {argv: [x]}}":                              5 * time.Second,
		"{timeout: 2s, command: {argv: [x]}}":                 2 * time.Second,
		"{command: {argv: [x]}, timeout: 2s}":                 2 * time.Second,
		"{timeout: 0s, command: {argv: [x], grace: 1h}}":      time.Hour,
		"{timeout: 20s, command: {argv: [x], grace: 20s}}":    20 * time.Second,
		"{timeout: 20s, command: {grace: 0s, argv: [x]}}":     0,
		"{timeout: 300ms, command: {grace: 1ms, argv: [x] }}": time.Millisecond,
	} {
		tools, err := ParseTools("tools.yaml", []byte(file(rung)))
		if err != nil {
			t.Errorf("%s: %v", rung, err)
			continue
		}
		if got := tools.Tools["t"].Rungs[0].Spec.Command.Grace; got != want {
			t.Errorf("%s: the grace is %s, want %s", rung, got, want)
		}
	}
	probe, err := ParseTools("tools.yaml", []byte("tools:\n  t: {rungs: [{go: {}}], verify: {timeout: 1s, command: {argv: [x]}, happened: output}}\n"))
	if err != nil || probe.Tools["t"].Probe.Spec.Command.Grace != time.Second {
		t.Errorf("the probe's grace is not its timeout: %v", err)
	}
	_, err = ParseTools("tools.yaml", []byte(file("{timeout: 5s, command: {argv: [x], grace: 20s}}")))
	if err == nil || !strings.Contains(err.Error(), "tools.yaml:2:72: the grace, 20s, is longer than the timeout, 5s") {
		t.Errorf("a grace over the timeout: %v", err)
	}
}
