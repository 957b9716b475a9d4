package handoff

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"belay/internal/exactjson"
	"belay/internal/people"
	"belay/internal/runlog"
	"belay/internal/steps"
	"belay/internal/wire"
)

// ErrSignIn refuses a decision about what an agent does to somebody who is known for being at this machine alone: the agent
// may be there too. It is a [people.ErrForbidden].
var ErrSignIn = fmt.Errorf("%w before you sign in", people.ErrForbidden)

// howToSignIn is what whoever is refused does.
const howToSignIn = "it is about what an agent does, and an agent may be on this machine too: show the sign-in code that `dispatcher dev` printed when it " +
	"started, or an API token (BELAY_API_TOKEN for commands, Authorization: Bearer ... over HTTP, /login in the console)"

// Admits returns an [ErrSignIn] if this actor may not decide an escalation before signing in. That is asked of nobody who
// has shown who they are, and reads nothing then.
func (k *Desk) Admits(ctx context.Context, who people.Actor, id string) error {
	if !who.Local {
		return nil
	}
	run, ok := steps.RunOfEscalation(id)
	if !ok || !wire.ValidName(run) {
		return nil // it belongs to no run
	}
	agents, err := k.forAgent(ctx, run)
	if err == nil && agents {
		err = fmt.Errorf("%w: %s", ErrSignIn, howToSignIn)
	}
	return err
}

// admitsAll is Admits for a list, before anything of it is decided.
func (k *Desk) admitsAll(ctx context.Context, who people.Actor, list []Chosen) error {
	for _, c := range list {
		if err := k.Admits(ctx, who, c.ID); err != nil {
			return fmt.Errorf("%s: %w", c.ID, err)
		}
	}
	return nil
}

// mostRetries is how many runs back it is looked for an agent that a run goes back to.
const mostRetries = 100

// forAgent reports whether a run does what an agent wants: a step of its plan is one, or a client of MCP has started it, or
// the run that it is a retry or a replay of. Where that cannot be read any more, it counts as one.
func (k *Desk) forAgent(ctx context.Context, run string) (bool, error) {
	for range mostRetries {
		s, err := k.Runs.Submitted(ctx, run)
		if errors.Is(err, runlog.ErrFrozen) {
			return true, nil
		}
		if err != nil || s == nil {
			return false, err
		}
		if s.Via == "mcp" || hasAgent(s.Document) {
			return true, nil
		}
		switch {
		case s.RetryOf != "":
			run = s.RetryOf
		case s.Replay != nil:
			run = s.Replay.Run
		default:
			return false, nil
		}
	}
	return true, nil
}

// hasAgent reports whether a step of a run's plan is an agent, also where the plan cannot be read.
func hasAgent(document json.RawMessage) bool {
	var doc steps.Definition
	err := exactjson.Unmarshal(document, &doc)
	return err != nil || slices.ContainsFunc(doc.Plan.Steps, func(s steps.Step) bool { return s.Agent != nil })
}
