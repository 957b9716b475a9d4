package clitest

import "testing"

// TestFits: what has a schema is held against it, and nothing else.
func TestFits(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		command []string
		out     string
		fits    bool
	}{
		{[]string{"dispatcher", "run", "p.yaml", "-o", "json"}, `{"id":"r"}`, false},
		{[]string{"dispatcher", "run", "p.yaml", "-o", "json", "--detach"}, `{"id":"r"}`, true},
		{[]string{"dispatcher", "run", "p.yaml"}, `succeeded`, true},
		{[]string{"dispatcher", "esc", "show", "r-1", "-o", "json"}, `{"id":"r-1"}`, false},
		{[]string{"dispatcher", "runs", "export", "r"}, `{"seq":1,"subject":"belay.runs.0.r.clock","time":"2026-01-02T03:04:05Z","event":{"v":1,"type":"fired"}}`, true},
		{[]string{"dispatcher", "runs", "export", "r"}, `{"seq":1,"subject":"belay.runs.0.r.clock","time":"2026-01-02T03:04:05Z","event":{"v":1,"type":"fire"}}`, false},
		{[]string{"dispatcher", "runs", "export", "r"}, `{"seq":1,"subject":"belay.runs.0.r.outcome","time":"2026-01-02T03:04:05Z","event":{"v":1,"type":"fired"}}`, false},
	} {
		if err := fits(c.command, c.out); (err == nil) != c.fits {
			t.Errorf("%v %s: %v", c.command, c.out, err)
		}
	}
}
