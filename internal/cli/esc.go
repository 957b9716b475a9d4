package cli

import (
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"belay/internal/dlq"
	"belay/internal/handoff"
	"belay/internal/runlog"
	"belay/internal/steps"
)

func (a *app) escCommand() *cobra.Command {
	c := &cobra.Command{Use: "esc", Short: "List, show and decide escalations: what waits for a person"}
	c.AddCommand(a.escLs(), a.escShow(), a.escDecide())
	c.RunE = needSubcommand
	return c
}

func (a *app) escLs() *cobra.Command {
	return &cobra.Command{Use: "ls", Short: "List open escalations, the oldest first", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		s, err := a.open(c.Context(), carry{})
		if err != nil {
			return err
		}
		defer s.close()
		list, err := dlq.New(s.Bus).List(c.Context())
		if err != nil {
			return err
		}
		slices.SortFunc(list, func(x, y dlq.Letter) int { return cmp.Or(x.Opened.Compare(y.Opened), cmp.Compare(x.ID, y.ID)) })
		if a.json() {
			if list == nil {
				list = []dlq.Letter{}
			}
			return a.printJSON(list)
		}
		return a.listEscalations(list)
	}}
}

func (a *app) listEscalations(list []dlq.Letter) error {
	if len(list) == 0 {
		fmt.Fprintln(a.Out, "Nothing waits for a person. A step that no machine can finish shows up here.")
		return nil
	}
	var rows [][]any
	for _, e := range list {
		rows = append(rows, []any{cutFront(short(e.ID), 16), e.Kind, cut(e.Workflow, 10), cut(forPeople(e.Step), 12), ago(e.Opened), plain(e.Message)})
	}
	return a.list([]any{"ID", "KIND", "WORKFLOW", "STEP", "SINCE", "WHY"}, rows)
}

func (a *app) escShow() *cobra.Command {
	return &cobra.Command{Use: "show ID", Short: "Show an escalation with the whole context", Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		s, err := a.open(c.Context(), carry{})
		if err != nil {
			return err
		}
		defer s.close()
		id, err := handoff.Find(c.Context(), s.Runs, typed(args[0]))
		if err != nil {
			return err
		}
		return a.showEscalation(c.Context(), s, id)
	}}
}

func (a *app) showEscalation(ctx context.Context, s *session, id string) error {
	if _, letter := runlog.LetterRun(id); letter {
		l, err := dlq.New(s.Bus).Get(ctx, id)
		if err != nil {
			return err
		}
		if a.json() {
			return a.printJSON(l)
		}
		a.printLetter(l)
		return nil
	}
	d, err := dossier(ctx, s, id)
	if err != nil {
		return err
	}
	if a.json() {
		return a.printJSON(d)
	}
	return a.printDossier(d)
}

func dossier(ctx context.Context, s *session, id string) (steps.Dossier, error) {
	run, ok := handoff.RunOf(id)
	if !ok {
		return steps.Dossier{}, fmt.Errorf("%w: %q: an escalation's id is its run's id, - and a number", handoff.ErrNoEscalation, id)
	}
	st, err := s.Runs.Load(ctx, run)
	if err != nil {
		return steps.Dossier{}, err
	}
	n := st.FindEscalation(id)
	if n < 0 {
		return steps.Dossier{}, fmt.Errorf("%w: %s", handoff.ErrNoEscalation, id)
	}
	return steps.MakeDossier(st, n), nil
}

// printLetter shows a dead letter: a message that no program here can read, with its bytes.
func (a *app) printLetter(l dlq.Letter) {
	p := func(format string, args ...any) { fmt.Fprintf(a.Out, format, args...) }
	p("%s  %s, open since %s\n%s\n\n", l.ID, l.Kind, l.Opened.Local().Format("2006-01-02 15:04:05"), plain(l.Message))
	if o := l.Origin; o != nil {
		p("subject   %s, sequence %d, %d bytes\n", plain(o.Subject), o.Sequence, o.Size)
		for line := range strings.Lines(hex.Dump(o.Raw[:min(len(o.Raw), 256)])) {
			p("          %s", line)
		}
		if len(o.Raw) > 256 {
			p("          ... -o json has %d bytes, in base64\n", len(o.Raw))
		}
	}
	if len(l.Allowed) > 0 {
		p("\ndecide    dispatcher esc decide %s %s\n", short(l.ID), example(l.Allowed))
	}
	for _, v := range l.Allowed {
		if does := letterEffects[v]; does != "" {
			p("          %-7s %s\n", v, does)
		}
	}
}

var letterEffects = map[steps.Verb]string{
	steps.VerbRetry: "read it again, with a version that can",
	steps.VerbSkip:  "leave it out of the run's history for good; the run goes on without it",
}

// printDossier shows a card in the order in which a person needs it.
func (a *app) printDossier(d steps.Dossier) error {
	p := func(format string, args ...any) { fmt.Fprintf(a.Out, format, args...) }
	p("%s  %s, %s since %s\n", d.ID, d.Kind, d.State, d.Opened.Local().Format("2006-01-02 15:04:05"))
	p("%s\n\n", plain(d.Message))
	p("asked     %s of %s, by %s\n", cut(plain(string(d.Input)), 300), d.Workflow, plain(cmp.Or(d.By, "unknown")))
	p("plan      ")
	for i, l := range d.Plan {
		if i > 0 {
			p(" > ")
		}
		p("%s (%s)", forPeople(l.Step), l.State)
	}
	p("\n")
	for _, l := range d.Done {
		p("done      %s by %s, side effect %s, key %s\n          -> %s\n", forPeople(l.Step), l.Tool, l.SideEffect, l.Key, cut(plain(string(l.Output)), 300))
	}
	if f := d.Failing; f != nil {
		p("failing   %s by %s/%s, side effect %s, key %s\n", forPeople(f.Step), f.Tool, f.Rung, f.Effects, f.Key)
		p("target    %s\nparams    %s\n", plain(f.Target), plain(string(f.Params)))
	}
	for _, at := range d.Attempts {
		p("attempt   %d-%s-%d %s", at.Round, at.Rung, at.Try, at.State)
		if at.Wait > 0 {
			p(" after %s", wait(at.Wait))
		}
		if at.Class != "" {
			p(": %s: %s", at.Class, plain(at.Message))
		}
		p(" (%s, %s)\n", cmp.Or(byName(at.Worker), "no worker"), time.Duration(at.Took).Round(time.Millisecond))
		if at.Detail != "" {
			for line := range strings.Lines(cutMiddle(strings.TrimSpace(at.Detail), 1500)) {
				p("          %s\n", plain(strings.TrimSuffix(line, "\n")))
			}
		}
	}
	if d.Decision != nil {
		p("\ndecided   %s by %s%s\n", d.Decision.Verb, plain(d.Decision.By), plain(note(d.Decision.Reason)))
		return nil
	}
	p("\ndecide    dispatcher esc decide %s %s\n", short(d.ID), example(d.Allowed))
	return nil
}

// decideFlags are the flags of `esc decide`.
type decideFlags struct {
	reason, answer, params string
	set                    []string
	wait                   bool
}

func (a *app) escDecide() *cobra.Command {
	var f decideFlags
	c := &cobra.Command{
		Use: "decide ID VERB", Short: "Decide: retry, edit, answer, skip or abort",
		Long: "Decides an escalation. The first decision counts; somebody who comes later is told who was first (exit code 75).\n" +
			"Where no server is running, the run is moved on to its next rest.",
		Args: cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			return a.decide(c.Context(), args[0], steps.Verb(args[1]), f)
		},
	}
	fl := c.Flags()
	fl.StringVar(&f.reason, "reason", "", "why; kept in the run's log")
	fl.StringArrayVar(&f.set, "set", nil, "edit: a parameter, path=value, typed by the tool's input schema")
	fl.StringVar(&f.params, "params", "", "edit: the whole parameters as JSON")
	fl.StringVar(&f.answer, "answer", "", "answer: the step's output as JSON")
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
		if !ok {
			return "", fmt.Errorf("%w: %q", handoff.ErrNoEscalation, full)
		}
		return run, nil
	})
	if err != nil {
		return err
	}
	defer s.close()
	d := steps.Decided{Verb: verb, By: me(), Via: "cli", Reason: f.reason, Answer: json.RawMessage(f.answer)}
	if verb == steps.VerbEdit {
		if d.Params, err = edited(ctx, s, full, f); err != nil {
			return err
		}
	}
	if d, err = handoff.Decide(ctx, s.Runs, full, d); err != nil {
		return err
	}
	fmt.Fprintf(a.Err, "%s: %s by %s counts\n", full, d.Verb, d.By)
	return a.afterDecision(ctx, s, run, f.wait)
}

// check refuses flags that the verb has no use for, and asks for those that it needs.
func (f decideFlags) check(verb steps.Verb) error {
	hasParams := len(f.set) > 0 || f.params != ""
	switch {
	case verb == steps.VerbEdit && !hasParams:
		return usage("edit needs --set path=value or --params JSON: what is to be different")
	case verb != steps.VerbEdit && hasParams:
		return usage("--set and --params belong to edit, not to %s", verb)
	case verb == steps.VerbAnswer && f.answer == "":
		return usage("answer needs --answer JSON: the step's output")
	case verb != steps.VerbAnswer && f.answer != "":
		return usage("--answer belongs to answer, not to %s", verb)
	case f.answer != "" && !json.Valid([]byte(f.answer)):
		return &exitError{exitInvalid, fmt.Errorf("--answer is no JSON (a text needs its quotes: '\"...\"')")}
	case f.params != "" && !json.Valid([]byte(f.params)):
		return &exitError{exitInvalid, errors.New("--params is no JSON")}
	}
	return nil
}

// edited is the parameters with a person's changes.
func edited(ctx context.Context, s *session, id string, f decideFlags) (json.RawMessage, error) {
	d, err := dossier(ctx, s, id)
	if err != nil {
		return nil, err
	}
	if d.Failing == nil {
		return nil, usage("%s is about the run as a whole; it has no parameters to edit", id)
	}
	params := d.Failing.Params
	if f.params != "" {
		params = json.RawMessage(f.params)
	}
	run, _ := handoff.RunOf(id)
	st, err := s.Runs.Load(ctx, run)
	if err != nil {
		return nil, err
	}
	out, err := handoff.ApplySet(params, st.Tool(st.Unit(d.Step)).InputSchema, f.set...)
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
