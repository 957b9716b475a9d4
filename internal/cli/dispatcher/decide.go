package dispatcher

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"belay/internal/cli"
	"belay/internal/handoff"
	"belay/internal/people"
	"belay/internal/steps"
	"belay/internal/text"
)

// decideFlags are the flags of `esc decide`.
type decideFlags struct {
	reason, answer, params string
	digest, scope          string
	set                    []string
	wait, takeOver         bool
}

func (a *app) escDecide() *cobra.Command {
	var f decideFlags
	c := &cobra.Command{
		Use: "decide ID VERB", Short: "Decide an escalation: approve, reject, retry, edit, answer, skip, verify, extend, finish or abort",
		Long: "Decides an escalation; `dispatcher esc show ID` says which verbs are possible and what each does. The first decision counts:\n" +
			"whoever decides later gets exit code 75, and reads who was first. If no server is running, this process moves the run on until\n" +
			"it ends or waits for a person once more.",
		Example: "  dispatcher esc decide refund-A-1009-1 approve\n" +
			"  dispatcher esc decide refund-A-1009-1 reject --reason \"paid twice\"\n" +
			"  dispatcher esc decide refund-A-1009-1 edit --set zip=10115 --reason \"customer called\"\n" +
			"  dispatcher esc decide refund-A-1009-1 answer --answer '{\"receipt\": 7}'",
		Args: cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			return a.decide(c.Context(), args[0], steps.Verb(args[1]), f)
		},
	}
	fl := c.Flags()
	fl.StringVar(&f.reason, "reason", "", "why; kept in the run's log, and visible to the plan after a reject")
	fl.StringVar(&f.digest, "digest", "", "approve: only if what is asked has this `digest` (approval.digest in 'esc show -o json')")
	fl.StringVar(&f.scope, "scope", "", "reject: what it covers beside exactly this call: `tool`, every other call of the tool by this step or agent, or target, every one to the same target")
	fl.StringArrayVar(&f.set, "set", nil, "edit: a changed parameter, `path=value`; it takes the type in the tool's input schema. extend: what the agent gets in addition, like turns=5 or usd=0.5")
	fl.StringVar(&f.params, "params", "", "edit: all parameters, as `JSON`. extend: what the agent gets in addition")
	fl.StringVar(&f.answer, "answer", "", "answer: the step's output, as `JSON`")
	fl.BoolVar(&f.takeOver, "take", false, "decide although somebody else has claimed it; they are notified")
	fl.BoolVar(&f.wait, "wait", false, "if this process moves the run on: do not exit while it waits for a person")
	return c
}

func (a *app) decide(ctx context.Context, id string, verb steps.Verb, f decideFlags) error {
	if err := f.check(verb); err != nil {
		return err
	}
	var full string
	s, run, err := a.openForRun(ctx, nil, func(s *session) (run string, err error) {
		if full, err = s.findEscalation(ctx, id); err != nil {
			return "", err
		}
		run, ok := steps.RunOfEscalation(full)
		if !ok && verb != steps.VerbSkip { // a dead letter that belongs to no run can be removed
			return "", listed(fmt.Errorf("%w: %q", handoff.ErrNoEscalation, full))
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
	done, err := a.decider(s).Act(ctx, a.person(), full, act)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.Err, "%s: %s\n", full, came(done))
	if done.Discarded {
		return nil
	}
	return a.afterDecision(ctx, s, run, f.wait)
}

// came says what came of a decision.
func came(d handoff.Done) string {
	what := string(d.Action) + " by " + d.By + " counts"
	if d.Repeated {
		what = string(d.Action)
	}
	return text.Line(what + note(d.Effect))
}

// act is the decision, complete with what `esc show` shows at this moment.
func (f decideFlags) act(ctx context.Context, s *session, id string, verb steps.Verb) (people.Act, error) {
	act := people.Act{Verb: people.Action(verb), Reason: f.reason, Scope: f.scope, Answer: json.RawMessage(f.answer), Digest: f.digest, TakeOver: f.takeOver}
	var err error
	switch verb {
	case steps.VerbEdit:
		act.Params, err = edited(ctx, s, id, f)
	case steps.VerbExtend:
		act.Params, err = f.more()
	case steps.VerbApprove:
		act.Digest, err = f.approves(ctx, s, id)
	}
	return act, err
}

// approves is the digest of what is approved: the one in --digest, or what `esc show` shows at this moment.
func (f decideFlags) approves(ctx context.Context, s *session, id string) (string, error) {
	if f.digest != "" {
		return f.digest, nil
	}
	d, err := handoff.Dossier(ctx, s.Runs, nil, id)
	if err != nil || d.Approval == nil {
		return "", err
	}
	return d.Approval.Digest, nil
}

// check refuses flags that do not belong to the verb, and a verb without the flags that it needs.
func (f decideFlags) check(verb steps.Verb) error {
	hasParams := len(f.set) > 0 || f.params != ""
	switch {
	case verb == steps.VerbEdit && !hasParams:
		return cli.Usage("edit needs --set path=value or --params JSON, which say what to change")
	case verb != steps.VerbEdit && verb != steps.VerbExtend && hasParams:
		return cli.Usage("--set and --params belong to edit and extend, not to %s", verb)
	case verb != steps.VerbReject && f.scope != "":
		return cli.Usage("--scope belongs to reject, not to %s", verb)
	case verb != steps.VerbApprove && f.digest != "":
		return cli.Usage("--digest belongs to approve, not to %s", verb)
	case verb == steps.VerbAnswer && f.answer == "":
		return cli.Usage("answer needs --answer JSON, the output of the step")
	case verb != steps.VerbAnswer && f.answer != "":
		return cli.Usage("--answer belongs to answer, not to %s", verb)
	case steps.CheckDepth(f.answer) != nil:
		return cli.WithCode(cli.ExitInvalid, fmt.Errorf("--answer: %w", steps.CheckDepth(f.answer)))
	case steps.CheckDepth(f.params) != nil:
		return cli.WithCode(cli.ExitInvalid, fmt.Errorf("--params: %w", steps.CheckDepth(f.params)))
	case f.answer != "" && !json.Valid([]byte(f.answer)):
		return cli.WithCode(cli.ExitInvalid, fmt.Errorf("--answer is not JSON (a text needs quotes: '\"...\"')"))
	case f.params != "" && !json.Valid([]byte(f.params)):
		return cli.WithCode(cli.ExitInvalid, errors.New("--params is not JSON"))
	}
	return nil
}

// more is what an agent gets in addition; nil leaves it to the plan.
func (f decideFlags) more() (json.RawMessage, error) {
	if f.params == "" && len(f.set) == 0 {
		return nil, nil
	}
	out, err := handoff.ApplySet(json.RawMessage(cmp.Or(f.params, "{}")), nil, f.set...)
	if err != nil {
		return nil, cli.WithCode(cli.ExitInvalid, err)
	}
	return out, nil
}

// edited is the parameters with the changes in the flags.
func edited(ctx context.Context, s *session, id string, f decideFlags) (json.RawMessage, error) {
	d, err := handoff.Dossier(ctx, s.Runs, nil, id)
	if err != nil {
		return nil, err
	}
	if d.Failing == nil {
		return nil, cli.Usage("%s is about the whole run and has no parameters to edit; `dispatcher esc show` lists what can be decided", id)
	}
	params, schema := handoff.RawParams(&d)
	if f.params != "" {
		params = json.RawMessage(f.params)
	}
	out, err := handoff.ApplySet(params, schema, f.set...)
	if err != nil {
		return nil, cli.WithCode(cli.ExitInvalid, err)
	}
	return out, nil
}

// afterDecision moves the run on if no other process does. The decision counted, so the exit code is 0 however the run
// goes on.
func (a *app) afterDecision(ctx context.Context, s *session, run string, wait bool) error {
	if !s.embedded {
		if a.JSON() {
			return a.PrintJSON(map[string]string{"id": run})
		}
		return nil
	}
	err := a.follow(ctx, s, run, wait)
	var e *cli.ExitError
	if errors.As(err, &e) && e.Err == nil {
		return nil
	}
	return err
}
