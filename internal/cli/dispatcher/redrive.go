package dispatcher

import (
	"bufio"
	"context"
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

	"belay/internal/cli"
	"belay/internal/dlq"
	"belay/internal/exactjson"
	"belay/internal/handoff"
	"belay/internal/people"
	"belay/internal/steps"
	"belay/internal/text"
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
		Use: "redrive VERB", Short: "Decide many escalations alike, in growing waves that stop when a run stops or fails again",
		Long: "Decides all open escalations that the filters pick alike: retry, skip, verify, reject or abort. It first lists them, with what\n" +
			"the decision does to each; exactly this list is decided, whatever opens later. The waves of 1, 2, 4, 8 ... wait until their\n" +
			"runs end or wait for a person. It stops when one of these runs stops or fails again, or when you are not allowed to decide.\n" +
			"Runs that take longer than --patience are reported as under way, and the next wave does not grow. `--dry-run -o json` prints\n" +
			"the list for `--list`.\n\n" + redriveCodes,
		Example: "  dispatcher esc redrive retry --tool parcels.ship --dry-run\n" +
			"  dispatcher esc redrive retry --tool parcels.ship --class unavailable --reason \"carrier is back\"\n" +
			"  dispatcher esc redrive skip --list chosen.json --yes",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return a.redrive(c.Context(), steps.Verb(args[0]), f)
		},
	}
	fl := c.Flags()
	f.add(fl)
	fl.StringVar(&f.list, "list", "", "decide exactly what --dry-run -o json has written into this `file`")
	fl.StringVar(&f.reason, "reason", "", "why; kept with each decision")
	fl.BoolVar(&f.dryRun, "dry-run", false, "only print the list")
	fl.BoolVarP(&f.yes, "yes", "y", false, "do not ask before deciding")
	fl.Float64Var(&f.rate, "rate", 10, "at most this many decisions per second")
	fl.DurationVar(&f.patience, "patience", 30*time.Second, "how long a wave waits for its runs")
	return c
}

const redriveCodes = `The exit code is that of the worst that happened, the worst first:
  77   you are not allowed to decide this; nothing further was decided
  69   no dispatcher answers; nothing further was decided
  130  interrupted
  1    unexpected error
  75   runs stopped or failed again, somebody else decided first, or runs are still under way
  66   an escalation no longer exists
  65   a decision is incomplete
  64   this decision is not possible
  0    all were decided, and none of their runs stopped or failed again
`

// redriveLine is one escalation of the list.
type redriveLine struct {
	ID     string `json:"id"`
	Step   string `json:"step"`
	Tool   string `json:"tool"`
	Class  string `json:"class"`
	Effect string `json:"effect"` // what the decision does to it; empty = it is not possible, and the escalation stays
}

func (a *app) redrive(ctx context.Context, verb steps.Verb, f redriveFlags) error {
	act := people.Act{Verb: people.Action(verb), Reason: f.reason}
	if err := handoff.CheckRedrive(act); err != nil {
		return err
	}
	if f.rate <= 0 {
		return cli.Usage("--rate must be more than 0")
	}
	s, err := a.open(ctx, carry{})
	if err != nil {
		return err
	}
	defer s.close()
	if s.embedded && !f.dryRun {
		return cli.Usage("redrive needs a server on which the runs go on; start `dispatcher dev`, or name one with --server")
	}
	lines, err := a.redriveList(ctx, s, verb, f)
	if err != nil {
		return err
	}
	if err := a.showRedrive(verb, lines, f.dryRun); err != nil || f.dryRun {
		return err
	}
	return a.decideAll(ctx, s, act, lines, f)
}

// redriveList is the list in --list, or what the filters pick now.
func (a *app) redriveList(ctx context.Context, s *session, verb steps.Verb, f redriveFlags) ([]redriveLine, error) {
	if f.list != "" {
		return readRedrive(f.list)
	}
	items, err := s.items(ctx, f.itemFilter)
	if err != nil {
		return nil, err
	}
	lines := []redriveLine{}
	for _, it := range items {
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

// itemFilter picks open escalations: all that its fields say must fit. An empty field fits every escalation.
type itemFilter struct {
	kind, tool, workflow, class, fingerprint, run string

	mine  bool          // claimed by the person at this terminal, or assigned to them
	older time.Duration // open for at least this long
}

func (f *itemFilter) add(fl *pflag.FlagSet) {
	fl.Var(cli.OneOf(&f.kind, "", words(steps.EscalationKinds())...), "kind", "only escalations of this kind")
	fl.StringVar(&f.tool, "tool", "", "only of this `tool`")
	fl.StringVar(&f.workflow, "workflow", "", "only of the plan with this `name`")
	fl.StringVar(&f.run, "run", "", "only of the run with this `id`, or the end of one")
	fl.BoolVar(&f.mine, "mine", false, "only those that you have claimed or that are assigned to you")
	fl.DurationVar(&f.older, "older", 0, "only those that have been open for at least this long")
	fl.Var(cli.OneOf(&f.class, "", words(steps.Classes())...), "class", "only those with this class of fault")
	fl.StringVar(&f.fingerprint, "fingerprint", "", "only those that are alike, by their `fingerprint` (in 'esc show -o json')")
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
	return strings.HasSuffix(it.Run, typed(f.run)) && cli.Now().Sub(it.Opened) >= f.older
}

func readRedrive(path string) ([]redriveLine, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("--list: %w", err)
	}
	var lines []redriveLine
	if err := exactjson.Unmarshal(withoutMark(data), &lines); err != nil {
		return nil, cli.WithCode(cli.ExitInvalid, fmt.Errorf("--list %s is not what `dispatcher esc redrive VERB --dry-run -o json` prints: %w", path, err))
	}
	return lines, nil
}

func (a *app) showRedrive(verb steps.Verb, lines []redriveLine, dryRun bool) error {
	if a.JSON() {
		if !dryRun {
			return nil // the results follow
		}
		return a.PrintJSON(lines)
	}
	if len(lines) == 0 {
		fmt.Fprintln(a.Out, a.Named("No open escalation fits the filters: `dispatcher esc ls` lists what is open."))
		return nil
	}
	var rows [][]any
	for _, l := range lines {
		effect := l.Effect
		if effect == "" {
			effect = "not possible; it stays open"
		}
		rows = append(rows, []any{text.CutFront(short(l.ID), 16), text.Cut(l.Tool, 20), l.Class, text.Line(effect)})
	}
	if err := a.List([]any{"ID", "TOOL", "CLASS", "WHAT " + strings.ToUpper(string(verb)) + " DOES"}, rows); err != nil {
		return err
	}
	fmt.Fprintf(a.Out, "%d in all\n", len(lines))
	return nil
}

func (a *app) decideAll(ctx context.Context, s *session, act people.Act, lines []redriveLine, f redriveFlags) error {
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
	r := handoff.Waves{Desk: a.decider(s), Runs: s.Runs, Interval: time.Duration(float64(time.Second) / f.rate), Patience: f.patience}
	results := redriven{app: a, all: []handoff.RedriveResult{}}
	err := r.Run(ctx, a.person(), ids, act, results.note)
	s.listed(ctx, results.all)
	if a.JSON() {
		if err := a.PrintJSON(results.all); err != nil {
			return err
		}
	} else {
		fmt.Fprintln(a.Out, text.Line(handoff.Summary(act.Verb, results.all)))
	}
	return err
}

// listTime is how long a redrive waits at most until what is asked anew is listed. If that takes longer, it comes later.
const listTime = 5 * time.Second

// listed waits until the list of escalations has what is asked anew: the same command given again must find it.
func (s *session) listed(ctx context.Context, results []handoff.RedriveResult) {
	ctx, cancel := context.WithTimeout(ctx, listTime)
	defer cancel()
	box, seen := dlq.New(s.Bus), map[string]bool{}
	for _, r := range results {
		run, ok := steps.RunOfEscalation(r.Next)
		if !ok || seen[run] {
			continue
		}
		seen[run] = true
		if st, err := s.Runs.Load(ctx, run); err == nil {
			box.AwaitOpen(ctx, st)
		}
	}
}

// redriven is what has become of each escalation so far.
type redriven struct {
	*app
	all []handoff.RedriveResult
}

// note prints what became of an escalation, and keeps the latest of it.
func (r *redriven) note(res handoff.RedriveResult) {
	if n := slices.IndexFunc(r.all, func(k handoff.RedriveResult) bool { return k.ID == res.ID }); n >= 0 {
		r.all[n] = res
	} else {
		r.all = append(r.all, res)
	}
	if r.JSON() || res.Result == handoff.ItemDecided {
		return
	}
	wave := "-"
	if res.Wave > 0 {
		wave = strconv.Itoa(res.Wave)
	}
	fmt.Fprintf(r.Out, "wave %-3s %s  %s%s\n", wave, short(res.ID), text.Line(res.Words()), next(res.Next))
}

// confirm asks on a terminal; elsewhere it needs --yes.
func (a *app) confirm(question string, yes bool) error {
	if yes {
		return nil
	}
	in, ok := a.In.(*os.File)
	if !ok || !isatty.IsTerminal(in.Fd()) {
		return cli.Usage("%s Nobody can be asked here: give --yes, or look first with --dry-run", question)
	}
	fmt.Fprintf(a.Err, "%s [y/N] ", question)
	answer, _ := bufio.NewReader(in).ReadString('\n')
	if !strings.EqualFold(strings.TrimSpace(answer), "y") {
		return cli.Usage("nothing was decided")
	}
	return nil
}
