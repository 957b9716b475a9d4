package steps

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"
)

// chain is a plan of n empty steps, one after the other.
func chain(n int) *Program {
	p := &testPlan{}
	p.Plan.Name = "chain"
	p.Tools = map[string]Tool{"t": parseTool("t", nil)}
	for i := range n {
		st := Step{ID: fmt.Sprintf("s%d", i), Tool: "t"}
		if i > 0 {
			st.Needs = []string{fmt.Sprintf("s%d", i-1)}
		}
		p.Plan.Steps = append(p.Plan.Steps, st)
	}
	return p.program()
}

// BenchmarkChain is what the core costs per run of five steps: fold and wants, all told.
func BenchmarkChain(b *testing.B) {
	p := chain(5)
	in, out := json.RawMessage(`{}`), json.RawMessage(`{"x":1}`)
	b.ReportAllocs()
	for b.Loop() {
		s, touched := Apply(nil, Record{Seq: 1, Time: epoch, Run: "r", Event: Submitted{Program: p, Input: in}})
		for i := range 5 {
			w := Wants(s, touched)
			r := Record{Seq: uint64(i + 2), Time: epoch.Add(time.Duration(i) * time.Millisecond), Run: "r", Event: Succeeded{Attempt: w.Steps[0].Attempt, Output: out}}
			s, touched = Apply(s, r)
		}
		if Wants(s, touched).Result == nil {
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
	p := &testPlan{forEach: map[string]string{"s": "json:" + string(raw)}}
	p.Tools = map[string]Tool{"t": parseTool("t", nil)}
	p.Plan.Steps = []Step{{ID: "s", Tool: "t", MaxParallel: 10_000}}
	prog, out := p.program(), json.RawMessage(`1`)
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		s, _ := Apply(nil, Record{Seq: 1, Time: epoch, Event: Submitted{Program: prog}})
		b.StartTimer()
		var touched []int
		for i := range 10_000 {
			s, touched = Apply(s, Record{Seq: uint64(i + 2), Time: epoch, Event: Succeeded{Attempt: Attempt{fmt.Sprintf("s~%d", i), 0, 0, 1}, Output: out}})
			Wants(s, touched)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/10_000, "ns/item")
}
