package steps_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"belay/internal/steps"
	"belay/internal/stepstest"
)

// chain is a plan of n empty steps, one after the other.
func chain(n int) *steps.Program {
	p := &stepstest.Plan{}
	p.Plan.Name = "chain"
	p.Tools = map[string]steps.Tool{"t": stepstest.ParseTool("t", nil)}
	for i := range n {
		st := steps.Step{ID: fmt.Sprintf("s%d", i), Tool: "t"}
		if i > 0 {
			st.Needs = []string{fmt.Sprintf("s%d", i-1)}
		}
		p.Plan.Steps = append(p.Plan.Steps, st)
	}
	return p.Program()
}

// BenchmarkChain is what the core costs per run of five steps: fold and wants, all told.
func BenchmarkChain(b *testing.B) {
	p := chain(5)
	in, out := json.RawMessage(`{}`), json.RawMessage(`{"x":1}`)
	b.ReportAllocs()
	for b.Loop() {
		s, touched := steps.Apply(nil, steps.Record{Seq: 1, Time: stepstest.Start, Run: "r", Event: steps.Submitted{Program: p, Input: in}})
		for i := range 5 {
			w := steps.Wants(s, touched)
			r := steps.Record{Seq: uint64(i + 2), Time: stepstest.Start.Add(time.Duration(i) * time.Millisecond), Run: "r", Event: steps.Succeeded{Attempt: w.Steps[0].Attempt, Output: out}}
			s, touched = steps.Apply(s, r)
		}
		if steps.Wants(s, touched).Result == nil {
			b.Fatal("no result")
		}
	}
}

// BenchmarkFanOut is one of ten thousand items of a for_each step: its cost must not grow with their number.
func BenchmarkFanOut(b *testing.B) {
	list := make([]json.RawMessage, 10_000)
	for i := range list {
		list[i] = json.RawMessage("1")
	}
	raw, _ := json.Marshal(list)
	p := &stepstest.Plan{ForEach: map[string]string{"s": "json:" + string(raw)}}
	p.Tools = map[string]steps.Tool{"t": stepstest.ParseTool("t", nil)}
	p.Plan.Steps = []steps.Step{{ID: "s", Tool: "t", MaxParallel: 10_000}}
	prog, out := p.Program(), json.RawMessage(`1`)
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		s, _ := steps.Apply(nil, steps.Record{Seq: 1, Time: stepstest.Start, Event: steps.Submitted{Program: prog}})
		b.StartTimer()
		var touched []int
		for i := range 10_000 {
			s, touched = steps.Apply(s, steps.Record{Seq: uint64(i + 2), Time: stepstest.Start, Event: steps.Succeeded{Attempt: steps.Attempt{fmt.Sprintf("s~%d", i), 0, 0, 1}, Output: out}})
			steps.Wants(s, touched)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/10_000, "ns/item")
}
