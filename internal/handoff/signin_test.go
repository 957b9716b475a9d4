package handoff

import (
	"encoding/json"
	"errors"
	"testing"

	"belay/internal/bus"
	"belay/internal/people"
	"belay/internal/steps"
	"belay/internal/wire"
)

// starts submits a run of one step that asks a person, or of an agent.
func starts(t *testing.T, l *office, run string, agent bool, e steps.Submitted) {
	t.Helper()
	d := steps.Definition{
		Plan:  steps.Plan{Name: "p", Steps: []steps.Step{{ID: "s", Tool: "t", OnFailure: steps.OnFailureEscalate}}},
		Tools: map[string]steps.Tool{"t": {Name: "t", Effects: steps.EffectsIdempotent, Rungs: []steps.Rung{{Name: "primary", Executor: "go", Retry: steps.RetryPolicy{MaxAttempts: 1, Factor: 2}}}}},
	}
	if agent {
		d.Plan.Steps = append(d.Plan.Steps, steps.Step{ID: "a", Tool: "t", Needs: []string{"s"}, Agent: &steps.Agent{Prompt: json.RawMessage(`"hello"`), Limits: steps.AgentLimits{Turns: 1, Calls: 1, Repeats: 1}}})
	}
	var err error
	if e.Document, err = json.Marshal(d); err != nil {
		t.Fatal(err)
	}
	e.Input = json.RawMessage(`{}`)
	if _, err := l.Submit(t.Context(), run, e); err != nil {
		t.Fatal(err)
	}
	fail(t, l, run, 0)
}

// TestWhoeverIsOnlyLocalDecidesNothingOfAgents: what an agent does is known from how its run began; whoever has shown who
// they are is admitted everywhere, and nobody has to for what decides nothing.
func TestWhoeverIsOnlyLocalDecidesNothingOfAgents(t *testing.T) {
	t.Parallel()
	l, b := newLog(t)
	starts(t, l, "plain", false, steps.Submitted{Via: "api"})
	starts(t, l, "plain-again", false, steps.Submitted{Via: "cli", RetryOf: "plain"})
	starts(t, l, "of-one-gone", false, steps.Submitted{Via: "cli", RetryOf: "nobody"})
	starts(t, l, "agent", true, steps.Submitted{})
	starts(t, l, "mcp", false, steps.Submitted{Via: "mcp"})
	starts(t, l, "again", false, steps.Submitted{Via: "cli", RetryOf: "mcp"})
	starts(t, l, "again-again", false, steps.Submitted{Via: "api", RetryOf: "again"})
	starts(t, l, "round", false, steps.Submitted{RetryOf: "round"})
	p := wire.Partition("broken", b.Partitions())
	if _, err := b.PublishWait(t.Context(), b.Names().RunsStream(p), bus.Message{Subject: b.Names().Log(p, "broken", wire.KindPlan), Header: map[string][]string{}, Data: []byte("{")}); err != nil {
		t.Fatal(err)
	}
	here, mia := people.Trusted("mia", "api"), people.Trusted("mia", "api")
	here.Local = true
	for run, agents := range map[string]bool{"plain": false, "plain-again": false, "of-one-gone": false, "nobody": false, "agent": true, "mcp": true, "again": true, "again-again": true, "round": true, "broken": true} {
		for _, id := range []string{run + "-1", steps.DeadLetterID(run, 1)} {
			err := l.desk.Admits(t.Context(), here, id)
			if errors.Is(err, ErrSignIn) != agents || errors.Is(err, people.ErrForbidden) != agents {
				t.Errorf("%s: %v", id, err)
			}
			if err := l.desk.Admits(t.Context(), mia, id); err != nil {
				t.Errorf("%s, signed in: %v", id, err)
			}
			if !agents || run == "broken" || run == "round" {
				continue
			}
			if _, err := l.desk.Act(t.Context(), here, id, people.Act{Verb: people.Skip}); !errors.Is(err, ErrSignIn) {
				t.Errorf("%s is decided: %v", id, err)
			}
		}
	}
}
