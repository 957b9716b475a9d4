package inprocess

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"

	"belay"
	"belay/internal/borrow"
	"belay/internal/bus"
	"belay/internal/engine"
	"belay/internal/executor"
	"belay/internal/executor/gofunc"
	"belay/internal/ladder"
	"belay/internal/plan"
	"belay/internal/steps"
)

const costTools = `
tools:
  good: {effects: idempotent, rungs: [{name: primary, go: {}}]}
  careful: {effects: unsafe, rungs: [{name: primary, go: {}}]}
  second: {effects: idempotent, rungs: [{name: primary, go: {}, retry: {max_attempts: 3, initial: 1ms, factor: 1}}]}
`

// cost is what one step costs, all of it together: client, dispatcher, worker and server.
type cost struct {
	stored   float64 // messages in streams
	commits  float64 // of these to disk, each with at least one sync
	requests float64 // round trips
	sent     float64 // messages to the server, acknowledgements among them
	received float64
	bytes    float64 // both ways
	allocs   float64 // of the whole process, server included
}

// costs are those of the table in docs/performance.md. They are counts, so they are the same on every machine: what is more
// has to be explained, or undone.
var costs = []struct {
	name  string
	steps int // of a run
	plan  string
	most  cost
}{
	{"a chain of 5 steps", 5, chain("good", 5), cost{2.4, 1.4, 2.4, 5, 5.3, 2750, 375}},
	{"a job of one step", 1, chain("good", 1), cost{4, 3, 4, 9, 10, 4500, 680}},
	{"5 steps that fail once", 5, chain("second", 5), cost{4.4, 2.4, 4.4, 9, 9.3, 5000, 680}},
	{"5 unsafe steps", 5, chain("careful", 5), cost{3.4, 2.4, 5.4, 9, 11.8, 4900, 810}},
	{"a for_each over 50 items", 50, each(50), cost{2.04, 1.04, 2.04, 4.1, 4.2, 2250, 265}},
}

func chain(tool string, n int) string {
	text := "name: chain\nsteps:\n"
	for i := range n {
		text += fmt.Sprintf("  - {id: s%d, tool: %s}\n", i, tool)
	}
	return text
}

func each(n int) string {
	return fmt.Sprintf("name: each\nsteps:\n  - {id: s, for_each: \"${ 1..%d }\", tool: good}\n", n)
}

// TestWhatAStepCosts counts messages, round trips, syncs, bytes and allocations of a step, one run at a time. It runs alone:
// it counts what the whole process does.
func TestWhatAStepCosts(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector allocates too")
	}
	tools, err := plan.ParseTools("tools.yaml", []byte(costTools))
	if err != nil {
		t.Fatal(err)
	}
	ok := func(context.Context, executor.Request) (json.RawMessage, error) {
		return json.RawMessage(`{"ok":true}`), nil
	}
	second := func(_ context.Context, r executor.Request) (json.RawMessage, error) {
		if r.Try == 1 {
			return nil, steps.Fault{Class: steps.Unavailable, Acted: steps.ActedNo, Message: "not yet"}
		}
		return json.RawMessage(`{"ok":true}`), nil
	}
	handlers := map[ladder.Key]gofunc.Handler{}
	for tool, h := range map[string]gofunc.Handler{"good": ok, "careful": ok, "second": second} {
		handlers[ladder.Key{Tool: tool, Rung: "primary"}] = h
	}
	o := Options{Tools: tools, Handlers: handlers, Interval: true}.engine(t.TempDir())
	o.People = nil // its index of runs reads submissions and results once more, by the clock
	e, err := engine.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	client := borrow.Client(e.Bus, e.Stop).(*belay.Client)
	t.Cleanup(client.Close)
	public, err := belay.ParseTools("tools.yaml", []byte(costTools))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range costs {
		p, err := belay.ParsePlan("plan.yaml", []byte(c.plan), public)
		if err != nil {
			t.Fatal(err)
		}
		runs := 400 / c.steps
		play(t, client, p, runs)
		before, was := e.Bus.Traffic(), mallocs()
		play(t, client, p, runs)
		got := perStep(before, e.Bus.Traffic(), mallocs()-was, runs*c.steps)
		t.Logf("%s: %+v", c.name, got)
		if over := got.over(c.most); over != "" {
			t.Errorf("%s: a step costs more than before:%s", c.name, over)
		}
	}
}

func play(t *testing.T, client *belay.Client, p *belay.Plan, runs int) {
	t.Helper()
	for range runs {
		run, err := client.Submit(t.Context(), p, belay.Submission{})
		if err == nil {
			_, err = run.Wait(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func mallocs() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Mallocs
}

func perStep(a, b bus.Traffic, allocs uint64, n int) cost {
	each := func(before, after uint64) float64 { return float64(after-before) / float64(n) }
	return cost{
		stored: each(a.Stored, b.Stored), commits: each(a.Commits, b.Commits), requests: each(a.Requests, b.Requests),
		sent: each(a.Sent, b.Sent), received: each(a.Received, b.Received),
		bytes: each(a.SentBytes+a.ReceivedBytes, b.SentBytes+b.ReceivedBytes), allocs: float64(allocs) / float64(n),
	}
}

// over says what is more than most, and more than what a reconnect or a collection in between explains.
func (c cost) over(most cost) (text string) {
	for _, x := range []struct {
		what      string
		got, most float64
		slack     float64
	}{
		{"messages stored", c.stored, most.stored, 1.02}, {"commits to disk", c.commits, most.commits, 1.02}, {"round trips", c.requests, most.requests, 1.05},
		{"messages sent", c.sent, most.sent, 1.05}, {"messages received", c.received, most.received, 1.1},
		{"bytes", c.bytes, most.bytes, 1.1}, {"allocations", c.allocs, most.allocs, 1.2}, // pools are emptied now and then
	} {
		if x.got > x.most*x.slack {
			text += fmt.Sprintf("\n  %s: %.2f, was %.2f", x.what, x.got, x.most)
		}
	}
	return text
}

// TestThePageHasTheCosts compares the table in docs/performance.md with what is held here.
func TestThePageHasTheCosts(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/performance.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range costs {
		m := c.most
		row := fmt.Sprintf("| %s | %v | %v | %v | %v | %v | %v | %v |", c.name, m.stored, m.commits, m.requests, m.sent, m.received, m.bytes, m.allocs)
		if !strings.Contains(string(page), row) {
			t.Errorf("docs/performance.md has no row %s", row)
		}
	}
}
