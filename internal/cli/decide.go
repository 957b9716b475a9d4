package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"belay/internal/handoff"
	"belay/internal/steps"
)

// decideFlags are the flags of `esc decide`.
type decideFlags struct {
	reason, answer, params string
	digest                 string
	set                    []string
	wait, take             bool
}

func (a *app) escDecide() *cobra.Command {
	var f decideFlags
	c := &cobra.Command{
		Use: "decide ID VERB", Short: "Decide: approve, reject, retry, edit, answer, skip, verify or abort",
		Long: "Decides an escalation. The first decision counts; somebody who comes later is told who was first (exit code 75).\n" +
			"Where no server is running, the run is moved on to its next rest.",
		Args: cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			return a.decide(c.Context(), args[0], steps.Verb(args[1]), f)
		},
	}
	fl := c.Flags()
	fl.StringVar(&f.reason, "reason", "", "why; kept in the run's log, and read by the plan when you reject")
	fl.StringVar(&f.digest, "digest", "", "approve: only if this is the digest of what is asked (approval.digest of 'esc show -o json')")
	fl.StringArrayVar(&f.set, "set", nil, "edit: a parameter, path=value, typed by the tool's input schema")
	fl.StringVar(&f.params, "params", "", "edit: the whole parameters as JSON")
	fl.StringVar(&f.answer, "answer", "", "answer: the step's output as JSON")
	fl.BoolVar(&f.take, "take", false, "decide it although somebody else has claimed it; they are told")
	fl.BoolVar(&f.wait, "wait", false, "wait for people too when the run is moved on here")
	return c
}

func (a *app) decide(ctx context.Context, id string, verb steps.Verb, f decideFlags) error {
	if err := f.check(verb); err != nil {
		return err
	}
	var full string
	s, run, err := a.openForRun(ctx, func(s *session) (run string, err error) {
		if full, err = handoff.Find(ctx, s.Runs, typed(id)); err != nil {
			return "", err
		}
		run, ok := handoff.RunOf(full)
		if !ok && verb != steps.VerbSkip { // what belongs to no run can be removed
			return "", fmt.Errorf("%w: %q", handoff.ErrNoEscalation, full)
		}
		return run, nil
	})
	if err != nil {
		return err
	}
	defer s.close()
	act, err := f.act(ctx, s, full, verb)
	if err != nil {
		return err
	}
	done, err := s.People.Act(ctx, a.person(), full, act)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.Err, "%s: %s\n", full, came(done))
	if done.Discarded {
		return nil
	}
	return a.afterDecision(ctx, s, run, f.wait)
}

// came says what came of a decision that counts.
func came(d handoff.Done) string {
	what := string(d.Action) + " by " + d.By + " counts"
	if d.Again {
		what = string(d.Action)
	}
	return plain(what + note(d.Effect))
}

// act is the decision, with what it takes of what is shown now.
func (f decideFlags) act(ctx context.Context, s *session, id string, verb steps.Verb) (handoff.Act, error) {
	act := handoff.Act{Verb: handoff.Action(verb), Reason: f.reason, Answer: json.RawMessage(f.answer), Digest: f.digest, Take: f.take}
	var err error
	switch verb {
	case steps.VerbEdit:
		act.Params, err = edited(ctx, s, id, f)
	case steps.VerbApprove:
		act.Digest, err = f.approves(ctx, s, id)
	}
	return act, err
}

// approves is the digest of what is asked: what this very moment's `esc show` shows.
func (f decideFlags) approves(ctx context.Context, s *session, id string) (string, error) {
	if f.digest != "" {
		return f.digest, nil
	}
	c, err := s.desk().Card(ctx, id)
	if err != nil || c.Dossier.Approval == nil {
		return "", err
	}
	return c.Dossier.Approval.Digest, nil
}

// check refuses flags that the verb has no use for, and asks for those that it needs.
func (f decideFlags) check(verb steps.Verb) error {
	hasParams := len(f.set) > 0 || f.params != ""
	switch {
	case verb == steps.VerbEdit && !hasParams:
		return usage("edit needs --set path=value or --params JSON: what is to be different")
	case verb != steps.VerbEdit && hasParams:
		return usage("--set and --params belong to edit, not to %s", verb)
	case verb != steps.VerbApprove && f.digest != "":
		return usage("--digest belongs to approve, not to %s", verb)
	case verb == steps.VerbAnswer && f.answer == "":
		return usage("answer needs --answer JSON: the step's output")
	case verb != steps.VerbAnswer && f.answer != "":
		return usage("--answer belongs to answer, not to %s", verb)
	case steps.CheckDepth(f.answer) != nil:
		return &exitError{exitInvalid, fmt.Errorf("--answer: %w", steps.CheckDepth(f.answer))}
	case steps.CheckDepth(f.params) != nil:
		return &exitError{exitInvalid, fmt.Errorf("--params: %w", steps.CheckDepth(f.params))}
	case f.answer != "" && !json.Valid([]byte(f.answer)):
		return &exitError{exitInvalid, fmt.Errorf("--answer is no JSON (a text needs its quotes: '\"...\"')")}
	case f.params != "" && !json.Valid([]byte(f.params)):
		return &exitError{exitInvalid, errors.New("--params is no JSON")}
	}
	return nil
}

// edited is the parameters with a person's changes.
func edited(ctx context.Context, s *session, id string, f decideFlags) (json.RawMessage, error) {
	c, err := s.desk().Card(ctx, id)
	if err != nil {
		return nil, err
	}
	if c.Dossier.Failing == nil {
		return nil, usage("%s is about the run as a whole; it has no parameters to edit", id)
	}
	params, schema := c.RawParams()
	if f.params != "" {
		params = json.RawMessage(f.params)
	}
	out, err := handoff.ApplySet(params, schema, f.set...)
	if err != nil {
		return nil, &exitError{exitInvalid, err}
	}
	return out, nil
}

// afterDecision moves the run on where nobody else does. The decision counted, so the exit code is 0 wherever the run
// then rests.
func (a *app) afterDecision(ctx context.Context, s *session, run string, wait bool) error {
	if !s.embedded {
		if a.json() {
			return a.printJSON(map[string]string{"id": run})
		}
		return nil
	}
	err := a.follow(ctx, s, run, wait)
	var e *exitError
	if errors.As(err, &e) && e.err == nil {
		return nil
	}
	return err
}
