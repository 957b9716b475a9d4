package observe

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"belay/internal/plan"
	"belay/internal/steps"
)

// TestVotesInLines: of two who must approve, the first is not late, and the same person again does not count.
func TestVotesInLines(t *testing.T) {
	t.Parallel()
	tools, err := plan.ParseTools("tools.yaml", []byte(`tools: {pay: {approval: {approvers: 2}, rungs: [{command: {argv: [pay]}}]}}`))
	if err != nil {
		t.Fatal(err)
	}
	doc, err := plan.ParsePlan("plan.yaml", []byte(`{name: p, steps: [{id: s, tool: pay}]}`), tools)
	if err != nil {
		t.Fatal(err)
	}
	program, err := plan.NewCache(1).Program(doc.JSON)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	h := &history{t: t, o: &Runs{Logger: NewLogger(&out, LogOptions{JSON: true, Level: slog.LevelInfo})}, now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	h.add(steps.Submitted{Epoch: steps.Epoch, Document: doc.JSON, Input: doc.Definition.Plan.Input, By: "ann", Program: program})
	for _, c := range []struct{ by, says string }{
		{"mia", "approval given, others are needed"}, {"MIA ", "decision does not count"}, {"bo", "escalation decided"}, {"cy", "decision came too late"},
	} {
		d := steps.Decided{Escalation: "r-1", Verb: steps.VerbApprove, By: c.by, Via: "cli"}
		g, _, err := steps.GrantFor(h.s, 0, d)
		if err != nil {
			t.Fatal(err)
		}
		d.Grant = &g
		out.Reset()
		h.add(d)
		if line, _, _ := strings.Cut(out.String(), "\n"); !strings.Contains(line, `"msg":"`+c.says+`"`) {
			t.Errorf("%s approves: %s", c.by, line)
		}
	}
}
