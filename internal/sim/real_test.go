package sim_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"belay"
	"belay/belaytype"
	"belay/internal/executor"
	"belay/internal/executor/gofunc"
	"belay/internal/inprocess"
	"belay/internal/ladder"
	"belay/internal/plan"
	"belay/internal/sim"
	"belay/internal/steps"
)

const realTools = `
tools:
  look:
    effects: none
    rungs:
      - {name: primary, go: {}, retry: {max_attempts: 2, initial: 1ms, factor: 1}}
      - {name: second, go: {}, retry: {max_attempts: 1}}
  pay:
    effects: unsafe
    verify: {go: {}, happened: "output.found"}
    rungs:
      - {name: primary, go: {}, retry: {max_attempts: 2, initial: 1ms}}
  fill:
    effects: unsafe
    approval: {}
    rungs:
      - {name: primary, go: {}}
  refund:
    effects: unsafe
    verify: {go: {}, happened: "output.found"}
    rungs:
      - {name: primary, go: {}, retry: {max_attempts: 2, initial: 1ms}}
`

const realPlan = `
name: real
steps:
  - {id: look, tool: look}
  - {id: pay, tool: pay, compensate: {tool: refund}}
  - {id: fill, tool: fill, on_failure: fail}
`

// world says what calls do, by tool, rung and execution of the rung, from 1: `pay/primary/1`. What it does not name is good.
type world map[string]steps.Fault

// TestTheRealThingDoesTheSame: the logs of plays and of runs by the real dispatcher, worker and server say the same of the
// same world.
func TestTheRealThingDoesTheSame(t *testing.T) {
	t.Parallel()
	fault := func(c steps.Class, acted steps.Acted) steps.Fault {
		return steps.Fault{Class: c, Acted: acted, Message: "it failed"}
	}
	for name, c := range map[string]struct {
		world
		found  bool       // what the probe finds
		decide steps.Verb // of every escalation
	}{
		"all is well":                {nil, false, steps.VerbApprove},
		"retried":                    {world{"look/primary/1": fault(steps.Unavailable, steps.ActedMaybe)}, false, steps.VerbApprove},
		"degraded":                   {world{"look/primary/1": fault(steps.InvalidInput, steps.ActedNo)}, false, steps.VerbApprove},
		"degraded after retries":     {world{"look/primary/1": fault(steps.Connection, steps.ActedNo), "look/primary/2": fault(steps.Connection, steps.ActedNo)}, false, steps.VerbApprove},
		"refused, so made again":     {world{"pay/primary/1": fault(steps.RateLimited, steps.ActedNo)}, false, steps.VerbApprove},
		"unknown, the probe sees it": {world{"pay/primary/1": fault(steps.Timeout, steps.ActedMaybe)}, true, steps.VerbApprove},
		"unknown, a person decides":  {world{"pay/primary/1": fault(steps.Timeout, steps.ActedMaybe)}, false, steps.VerbSkip},
		"rejected, and undone":       {nil, false, steps.VerbReject},
		"aborted":                    {nil, false, steps.VerbAbort},
		"fails, and is undone":       {world{"fill/primary/1": fault(steps.InvalidInput, steps.ActedNo)}, false, steps.VerbApprove},
		"undone at the second try":   {world{"refund/primary/1": fault(steps.RateLimited, steps.ActedNo)}, false, steps.VerbReject},
		"undone, as the probe sees":  {world{"refund/primary/1": fault(steps.Timeout, steps.ActedMaybe)}, true, steps.VerbReject},
		"undone or not, is skipped":  {world{"fill/primary/1": fault(steps.InvalidInput, steps.ActedNo), "refund/primary/1": fault(steps.Timeout, steps.ActedMaybe)}, false, steps.VerbSkip},
		"not undone, and skipped":    {world{"fill/primary/1": fault(steps.InvalidInput, steps.ActedNo), "refund/primary/1": fault(steps.NotFound, steps.ActedNo)}, false, steps.VerbSkip},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &both{t: t, world: c.world, found: c.found, verb: c.decide}
			if played, real := p.play(), p.real(); played != real || strings.Count(real, "\n") < 4 {
				t.Errorf("the play says\n%s\nand the real run\n%s", played, real)
			}
		})
	}
}

type both struct {
	t *testing.T
	world
	found bool
	verb  steps.Verb
}

// does says what the n-th call of a rung does.
func (b *both) does(tool, rung string, n int) (json.RawMessage, *steps.Fault) {
	if rung == steps.VerifyRung {
		return json.RawMessage(fmt.Sprintf(`{"found":%t}`, b.found)), nil
	}
	if f, ok := b.world[fmt.Sprintf("%s/%s/%d", tool, rung, n)]; ok {
		return nil, &f
	}
	return json.RawMessage(`{"ok":true}`), nil
}

// decides is what people decide: the verb of the world where it is allowed, else the first that is.
func (b *both) decides(allowed []steps.Verb) steps.Verb {
	for _, v := range allowed {
		if v == b.verb {
			return v
		}
	}
	return allowed[0]
}

func (b *both) play() string {
	b.t.Helper()
	tools, err := plan.ParseTools("tools.yaml", []byte(realTools))
	if err != nil {
		b.t.Fatal(err)
	}
	doc, err := plan.ParsePlan("plan.yaml", []byte(realPlan), tools)
	if err != nil {
		b.t.Fatal(err)
	}
	calls := map[string]int{}
	p := sim.Play(sim.Options{
		Program: doc.Program, Input: json.RawMessage(`{}`), By: "sue",
		NeedsApproval: func(tool string, params json.RawMessage, untrusted bool) bool {
			ask := tools.Tools[tool].NeedsApproval
			return ask != nil && ask(params, untrusted)
		},
		World: func(c sim.Call) sim.Happens {
			calls[c.Tool+c.RungName]++
			out, f := b.does(c.Tool, c.RungName, calls[c.Tool+c.RungName])
			return sim.Happens{Took: time.Millisecond, Output: out, Fault: f}
		},
		People: func(s *steps.State, n int) []sim.Decision {
			return []sim.Decision{{By: "mia", Verb: b.decides(s.Escalations[n].Allowed), Reason: "so", After: time.Second, Answer: json.RawMessage(`{"ok":true}`)}}
		},
	})
	var lines []string
	for _, rec := range p.Log {
		lines = append(lines, said(rec.Event))
	}
	return joined(lines)
}

// said is an entry of a play's log in the words of [heard].
func said(e steps.Event) string {
	line := func(kind string, a steps.Attempt, class steps.Class) string {
		return fmt.Sprint(kind, " ", a.Step, " ", a.Round, " ", a.Try, " ", class)
	}
	switch e := e.(type) {
	case steps.Succeeded:
		return line("succeeded", e.Attempt, "")
	case steps.Failed:
		return line("failed", e.Attempt, e.Fault.Class)
	case steps.Claimed:
		return line("claimed", e.Attempt, "")
	case steps.Decided:
		return fmt.Sprint("decided ", e.Verb)
	case steps.Closed:
		return "closed " + string(e.State)
	}
	return ""
}

func (b *both) real() string {
	b.t.Helper()
	inside, err := plan.ParseTools("tools.yaml", []byte(realTools))
	if err != nil {
		b.t.Fatal(err)
	}
	client, err := inprocess.Open(b.t.Context(), b.t.TempDir(), inprocess.Options{Tools: inside, Handlers: b.handlers(inside), Interval: true})
	if err != nil {
		b.t.Fatal(err)
	}
	defer client.Close()
	tools, err := belay.ParseTools("tools.yaml", []byte(realTools))
	if err != nil {
		b.t.Fatal(err)
	}
	p, err := belay.ParsePlan("plan.yaml", []byte(realPlan), tools)
	if err != nil {
		b.t.Fatal(err)
	}
	run, err := client.Submit(b.t.Context(), p, belay.Submission{By: "sue"})
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(b.t.Context(), time.Minute)
	defer cancel()
	for {
		doc, err := run.Rest(ctx)
		if doc == nil {
			b.t.Fatal(err)
		}
		if doc.State != belaytype.Waiting {
			break
		}
		b.decide(ctx, client, doc.Escalations[0])
	}
	return b.events(ctx, run)
}

func (b *both) handlers(tools *plan.Tools) map[ladder.Key]gofunc.Handler {
	calls := make(chan map[string]int, 1) // who has it may count
	calls <- map[string]int{}
	all := map[ladder.Key]gofunc.Handler{}
	for name := range tools.Tools {
		all[ladder.Key{Tool: name}] = func(_ context.Context, r executor.Request) (json.RawMessage, error) {
			n := <-calls
			n[r.Tool+r.Rung]++
			out, f := b.does(r.Tool, r.Rung, n[r.Tool+r.Rung])
			calls <- n
			if f != nil {
				return nil, *f
			}
			return out, nil
		}
	}
	return all
}

func (b *both) decide(ctx context.Context, client *belay.Client, id string) {
	d, err := client.Escalation(ctx, id)
	if err != nil {
		b.t.Fatal(err)
	}
	var allowed []steps.Verb
	for _, o := range d.Offers {
		allowed = append(allowed, steps.Verb(o.Verb))
	}
	decision := belaytype.Decision{Verb: belaytype.Verb(b.decides(allowed)), By: "mia", Reason: "so"}
	if decision.Verb == belaytype.Answer {
		decision.Answer = map[string]any{"ok": true}
	}
	if d.Approval != nil {
		decision.Digest = d.Approval.Digest
	}
	if err := client.Decide(ctx, id, decision); err != nil {
		b.t.Fatal(err)
	}
}

func (b *both) events(ctx context.Context, run *belay.Run) string {
	var lines []string
	for e, err := range run.Events(ctx) {
		if err != nil {
			b.t.Fatal(err)
		}
		lines = append(lines, heard(e))
	}
	return joined(lines)
}

func heard(e belaytype.Event) string {
	switch e.Type {
	case "succeeded", "failed", "claimed":
		return fmt.Sprint(e.Type, " ", e.Step, " ", e.Round, " ", e.Try, " ", e.Class)
	case "decided":
		return fmt.Sprint("decided ", e.Verb)
	case "closed":
		return "closed " + string(e.State)
	}
	return ""
}

func joined(lines []string) string {
	var b strings.Builder
	for _, l := range lines {
		if l != "" {
			b.WriteString(l + "\n")
		}
	}
	return b.String()
}
