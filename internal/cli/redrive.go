package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
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
		Use: "redrive VERB", Short: "Decide many alike, in growing waves that stop when a run stops again or fails",
		Long: "Decides all open escalations that the filters pick: retry, skip, verify, reject or abort. First it shows each with what will\n" +
			"happen to it; that list is what is decided, whatever comes later. Waves of 1, 2, 4, 8 ... wait until their runs rest: it stops\n" +
			"when one of them stops again or fails, and when you may not decide so. Runs that are at work longer than --patience are\n" +
			"said to be under way, and the next wave is no larger. `--dry-run -o json` writes the list down for `--list`.\n\n" + redriveCodes,
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

const redriveCodes = `The exit code is that of the worst that happened, in this order:
  77   you may not decide so; nothing further was decided
  69   no dispatcher answers; nothing further was decided
  130  interrupted
  1    an unexpected error
  75   runs stopped again or failed, somebody else was first, or runs are still under way
  66   an item is not there any more
  65   a decision is not complete
  64   it cannot be decided so
  0    all were decided, and their runs rest well
`

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
type itemFilter struct {
	kind, tool, workflow, class, fingerprint, run string

	mine  bool          // claimed by whoever sits here, or assigned to them
	older time.Duration // open for longer than that
}

func (f *itemFilter) add(fl *pflag.FlagSet) {
	fl.StringVar(&f.kind, "kind", "", "only this kind: approval, failure, unknown, question, deadline, dead_letter")
	fl.StringVar(&f.tool, "tool", "", "only of this tool")
	fl.StringVar(&f.workflow, "workflow", "", "only of this plan")
	fl.StringVar(&f.run, "run", "", "only of this run; the end of its id will do")
	fl.BoolVar(&f.mine, "mine", false, "only what you have claimed, or what is assigned to you")
	fl.DurationVar(&f.older, "older", 0, "only what has been open for longer than this")
	fl.StringVar(&f.class, "class", "", "only with this class of fault")
	fl.StringVar(&f.fingerprint, "fingerprint", "", "only alike ones (`esc show -o json`)")
}

func (f itemFilter) picks(it handoff.Item) bool {
	for want, have := range map[string]string{f.kind: string(it.Kind), f.tool: it.Tool, f.workflow: it.Workflow, f.class: string(it.Class), f.fingerprint: it.Fingerprint} {
		if want != "" && want != have {
			return false
		}
	}
	if f.mine && it.Assigned != me() && (it.Claim == nil || it.Claim.By != me()) {
		return false
	}
	return strings.HasSuffix(it.Run, typed(f.run)) && time.Since(it.Opened) >= f.older
}

func readRedrive(path string) ([]redriveLine, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("--list: %w", err)
	}
	var lines []redriveLine
	if err := json.Unmarshal(data, &lines); err != nil {
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
	results := redriven{app: a, all: []handoff.RedriveResult{}}
	err := r.Run(ctx, a.person(), ids, act, results.tell)
	if a.json() {
		if err := a.printJSON(results.all); err != nil {
			return err
		}
	} else {
		fmt.Fprintln(a.Out, plain(handoff.Summary(act.Verb, results.all)))
	}
	return err
}

// redriven is what has become of each item so far.
type redriven struct {
	*app
	all []handoff.RedriveResult
}

// tell shows what became of an item, and keeps the last that is known of it.
func (r *redriven) tell(res handoff.RedriveResult) {
	if n := slices.IndexFunc(r.all, func(k handoff.RedriveResult) bool { return k.ID == res.ID }); n >= 0 {
		r.all[n] = res
	} else {
		r.all = append(r.all, res)
	}
	if r.json() || res.Result == handoff.RedriveDecided {
		return
	}
	wave := "-"
	if res.Wave > 0 {
		wave = strconv.Itoa(res.Wave)
	}
	fmt.Fprintf(r.Out, "wave %-3s %s  %s%s\n", wave, short(res.ID), plain(res.Words()), next(res.Next))
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
