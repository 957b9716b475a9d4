package requests

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"belay/internal/exactjson"
	"belay/internal/people"
	"belay/internal/runlog"
	"belay/internal/steps"
)

// Rights say who may do what to runs. To a submitter there are only the runs that it has started.
type Rights struct {
	Runs *runlog.Log
	// Named gives the name of the plan of the server that makes a document; nil = the server has no plans.
	Named func(document []byte) (name string, ok bool)
}

// Cancels is the act of an actor who cancels a run that they may see.
func Cancels(who people.Actor) people.Action { return who.ToOwn(people.Cancel) }

// Steers is the act of an actor who writes to an agent of a run that they may see.
func Steers(who people.Actor) people.Action { return who.ToOwn(people.Steer) }

// Own is a [runlog.ErrNoRun] to a submitter who has not started a run. A run is started by whose token was shown for it; a name that
// somebody gave is not enough. What goes on from a run of their own under another plan is theirs too.
func (r Rights) Own(ctx context.Context, who people.Actor, run string) error {
	if who.Role != people.Submitter {
		return nil
	}
	there, err := r.Runs.Submitted(ctx, run)
	for err == nil && there != nil && there.Migrates != nil && !started(who, *there) {
		there, err = r.Runs.Submitted(ctx, there.Migrates.Run)
	}
	switch {
	case err == nil && there != nil && started(who, *there):
		return nil
	case err == nil || errors.Is(err, runlog.ErrFrozen):
		return fmt.Errorf("%w: you have started no run %s", runlog.ErrNoRun, run)
	}
	return err
}

func started(who people.Actor, s steps.Submitted) bool { return s.Token != "" && s.By == who.Name }

// Permitted says why a submitter may not start a document: the tools of a whole plan must be in its limits, and so must unsafe
// effects, whoever has written the plan.
func Permitted(who people.Actor, act people.Action, document json.RawMessage) error {
	if who.Role != people.Submitter {
		return nil
	}
	var doc steps.Definition
	if err := exactjson.Unmarshal(document, &doc); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(doc.Tools)) {
		if act == people.SubmitWhole {
			if err := who.MayStart("", name); err != nil {
				return err
			}
		}
		if tool := doc.Tools[name]; tool.Effects.Unsafe() {
			if err := who.MayUseUnsafe(name); err != nil {
				return err
			}
		}
	}
	return nil
}

// MayRetry says why a submitter may not go on from a run of its own: another token of the same person may have started it, one that
// may start more.
func (r Rights) MayRetry(ctx context.Context, who people.Actor, run string) error {
	if who.Role != people.Submitter {
		return nil
	}
	there, err := r.Runs.Submitted(ctx, run)
	if err != nil || there == nil || there.Token == who.Token {
		return err // what is not there is refused where it is read
	}
	if plan, ok := r.named(there.Document); ok {
		return named(who, plan, there.Document)
	}
	return whole(who, there.Document)
}

// mayRerun says why somebody may not go on from a run, or do it again by its own plan.
func (r Rights) mayRerun(ctx context.Context, who people.Actor, run string) error {
	if err := who.May(people.Submit); err != nil {
		return err
	}
	return r.MayRetry(ctx, who, run)
}

// ToMany says why somebody may not cancel or retry many runs, and gives what says so of each: it takes the right that the same to that run alone
// takes.
func (r Rights) ToMany(who people.Actor, verb people.Action) (allowed func(ctx context.Context, run string) error, err error) {
	allowed = func(ctx context.Context, run string) error { return r.Own(ctx, who, run) }
	if verb == people.Retry {
		allowed = func(ctx context.Context, run string) error {
			if err := r.Own(ctx, who, run); err != nil {
				return err
			}
			return r.mayRerun(ctx, who, run)
		}
	}
	return allowed, who.May(who.ToOwn(verb))
}

// MayMigrate says why somebody may not let a run go on under a document: that ends the run, and has another one begin.
func (r Rights) MayMigrate(ctx context.Context, who people.Actor, run string, document json.RawMessage) error {
	return cmp.Or(who.May(Cancels(who)), who.May(people.Submit), r.MayRetry(ctx, who, run), r.start(who, document))
}

// start says why somebody may not start a document that they have sent: one that a plan of the server makes is that plan, and it is
// one of their own too, as it would be with another name.
func (r Rights) start(who people.Actor, document json.RawMessage) error {
	plan, ok := r.named(document)
	if !ok {
		return whole(who, document)
	}
	err := named(who, plan, document)
	if err != nil && whole(who, document) == nil {
		return nil
	}
	return err
}

func (r Rights) named(document json.RawMessage) (plan string, ok bool) {
	if r.Named == nil {
		return "", false
	}
	return r.Named(document)
}

func named(who people.Actor, plan string, document json.RawMessage) error {
	return cmp.Or(who.May(people.Submit), who.MayStart(plan, ""), Permitted(who, people.Submit, document))
}

func whole(who people.Actor, document json.RawMessage) error {
	return cmp.Or(who.May(people.SubmitWhole), Permitted(who, people.SubmitWhole, document))
}
