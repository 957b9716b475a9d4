package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"belay/internal/handoff"
	"belay/internal/steps"
)

// redriveFlags are the flags of `esc redrive`.
type redriveFlags struct {
	itemFilter
	list, reason string
	dryRun, yes  bool
	rate         float64
	patience     time.Duration
}

func (a *app) escRedrive() *cobra.Command {
	var f redriveFlags
	c := &cobra.Command{
		Use: "redrive VERB", Short: "Decide many alike, in growing waves that stop when the same fault comes back",
		Long: "Decides all open escalations that the filters pick: retry, skip, verify, reject or abort. First it shows each with what will\n" +
			"happen to it; that list is what is decided, whatever comes later. Waves of 1, 2, 4, 8 ... wait for what became of them, and it\n" +
			"stops when the same fault comes back (exit code 75). `--dry-run -o json` writes the list down for `--list`.",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return a.redrive(c.Context(), steps.Verb(args[0]), f)
		},
	}
	fl := c.Flags()
	f.add(fl)
	fl.StringVar(&f.list, "list", "", "decide exactly what a --dry-run -o json has written into this file")
	fl.StringVar(&f.reason, "reason", "", "why; kept with every decision")
	fl.BoolVar(&f.dryRun, "dry-run", false, "only show the list")
	fl.BoolVarP(&f.yes, "yes", "y", false, "do not ask")
	fl.Float64Var(&f.rate, "rate", 10, "decisions a second at most")
	fl.DurationVar(&f.patience, "patience", 30*time.Second, "how long a wave waits for what becomes of it")
	return c
}

// redriveLine is one item of the list, and what the decision does to it.
type redriveLine struct {
	ID     string `json:"id"`
	Step   string `json:"step"`
	Tool   string `json:"tool"`
	Class  string `json:"class"`
	Effect string `json:"effect"` // empty: this decision is not possible here
}

func (a *app) redrive(ctx context.Context, verb steps.Verb, f redriveFlags) error {
	act := handoff.Act{Verb: handoff.Action(verb), Reason: f.reason}
	if err := handoff.CheckRedrive(act); err != nil {
		return err
	}
	if f.rate <= 0 {
		return usage("--rate is more than 0")
	}
	s, err := a.open(ctx, carry{})
	if err != nil {
		return err
	}
	defer s.close()
	if s.embedded && !f.dryRun {
		return usage("redrive needs a server where the runs go on: start `dispatcher dev`, or name one with --server")
	}
	lines, err := a.redriveList(ctx, s, verb, f)
	if err != nil {
		return err
	}
	if err := a.showRedrive(verb, lines, f.dryRun); err != nil || f.dryRun {
		return err
	}
	return a.sendBack(ctx, s, act, lines, f)
}

// redriveList is the list in the file, or what the filters pick now.
func (a *app) redriveList(ctx context.Context, s *session, verb steps.Verb, f redriveFlags) ([]redriveLine, error) {
	if f.list != "" {
		return readRedrive(f.list)
	}
	items, err := s.desk().Items(ctx)
	if err != nil {
		return nil, err
	}
	lines := []redriveLine{}
	for _, it := range items {
		if !f.picks(it) {
			continue
		}
		line := redriveLine{ID: it.ID, Step: it.Step, Tool: it.Tool, Class: string(it.Class)}
		c, err := s.desk().Card(ctx, it.ID)
		if errors.Is(err, handoff.ErrNoEscalation) {
			continue // decided meanwhile
		}
		if err != nil {
			return nil, err
		}
		for _, o := range c.Dossier.Offers {
			if o.Verb == verb {
				line.Effect = o.Effect
			}
		}
		lines = append(lines, line)
	}
	return lines, nil
}

// itemFilter picks open escalations.
type itemFilter struct{ kind, tool, workflow, class, fingerprint string }

func (f *itemFilter) add(fl *pflag.FlagSet) {
	fl.StringVar(&f.kind, "kind", "", "only this kind: approval, failure, unknown, question, deadline, dead_letter")
	fl.StringVar(&f.tool, "tool", "", "only of this tool")
	fl.StringVar(&f.workflow, "workflow", "", "only of this plan")
	fl.StringVar(&f.class, "class", "", "only with this class of fault")
	fl.StringVar(&f.fingerprint, "fingerprint", "", "only alike ones (`esc show -o json`)")
}

func (f itemFilter) picks(it handoff.Item) bool {
	for want, have := range map[string]string{f.kind: string(it.Kind), f.tool: it.Tool, f.workflow: it.Workflow, f.class: string(it.Class), f.fingerprint: it.Fingerprint} {
		if want != "" && want != have {
			return false
		}
	}
	return true
}

func readRedrive(path string) ([]redriveLine, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("--list: %w", err)
	}
	var lines []redriveLine
	if err := json.Unmarshal(withoutMark(data), &lines); err != nil {
		return nil, &exitError{exitInvalid, fmt.Errorf("--list %s: it is what `esc redrive VERB --dry-run -o json` writes: %w", path, err)}
	}
	return lines, nil
}

func (a *app) showRedrive(verb steps.Verb, lines []redriveLine, dryRun bool) error {
	if a.json() {
		if !dryRun {
			return nil // the results follow
		}
		return a.printJSON(lines)
	}
	if len(lines) == 0 {
		fmt.Fprintln(a.Out, "Nothing open fits: `dispatcher esc ls` shows what there is.")
		return nil
	}
	var rows [][]any
	for _, l := range lines {
		effect := l.Effect
		if effect == "" {
			effect = "not possible here; it stays as it is"
		}
		rows = append(rows, []any{cutFront(short(l.ID), 16), cut(l.Tool, 20), l.Class, plain(effect)})
	}
	if err := a.list([]any{"ID", "TOOL", "CLASS", "WHAT " + strings.ToUpper(string(verb)) + " DOES"}, rows); err != nil {
		return err
	}
	fmt.Fprintf(a.Out, "%d in all\n", len(lines))
	return nil
}

func (a *app) sendBack(ctx context.Context, s *session, act handoff.Act, lines []redriveLine, f redriveFlags) error {
	var ids []handoff.Chosen
	for _, l := range lines {
		if l.Effect != "" {
			ids = append(ids, handoff.Chosen{ID: l.ID})
		}
	}
	if len(ids) == 0 {
		return nil
	}
	if err := a.confirm(fmt.Sprintf("%s these %d?", act.Verb, len(ids)), f.yes); err != nil {
		return err
	}
	r := handoff.Redrive{Desk: s.People, Runs: s.Runs, Interval: time.Duration(float64(time.Second) / f.rate), Patience: f.patience}
	results := []handoff.RedriveResult{}
	err := r.Run(ctx, a.person(), ids, act, func(res handoff.RedriveResult) {
		if res.Result == handoff.RedriveDecided {
			return
		}
		results = append(results, res)
		if !a.json() {
			fmt.Fprintf(a.Out, "wave %-3d %s  %s%s\n", res.Wave, short(res.ID), res.Result, plain(note(res.Detail)))
		}
	})
	if a.json() {
		if err := a.printJSON(results); err != nil {
			return err
		}
	}
	if errors.Is(err, handoff.ErrCameBack) {
		return &exitError{exitTryAgain, err}
	}
	return err
}

// confirm asks on a terminal; elsewhere --yes must have been said.
func (a *app) confirm(question string, yes bool) error {
	if yes {
		return nil
	}
	in, ok := a.In.(*os.File)
	if !ok || !isatty.IsTerminal(in.Fd()) {
		return usage("%s Say --yes where nobody can be asked, or look first with --dry-run", question)
	}
	fmt.Fprintf(a.Err, "%s [y/N] ", question)
	answer, _ := bufio.NewReader(in).ReadString('\n')
	if !strings.EqualFold(strings.TrimSpace(answer), "y") {
		return usage("nothing was decided")
	}
	return nil
}
