package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"belay/internal/bus"
	"belay/internal/cli"
	"belay/internal/gates"
	"belay/internal/handoff"
	"belay/internal/injection"
	"belay/internal/people"
	"belay/internal/text"
)

func (a *app) gateCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "gate", Short: "Hold calls back for the whole cluster, and let them go",
		Long: "A closed gate holds back the calls that it covers, of a tool, a plan, a run, a target, a label or of everything: none of them begins,\n" +
			"on any worker, until somebody opens it. What runs, runs on. Nothing fails by that and no try is used up; while only the gate is in\n" +
			"the way, the run's deadline and the step's budget stand. Who closed it and why stands on every run that it holds back, and in the\n" +
			"audit trail. Probes (`verify`) and people's steps are not held back; what undoes a step is.",
		Example: "  dispatcher gate close --tool 'payments.*' --reason \"wrong amounts\"\n  dispatcher gate ls\n  dispatcher gate open g3f9c1a20 --reason mended",
		RunE:    cli.NeedSubcommand,
	}
	c.AddCommand(a.gateClose(), a.gateOpen(), a.gateLs(), a.gateShow())
	return c
}

// gateFlags are the flags of `gate close`.
type gateFlags struct {
	id             string
	covers         gates.Covers
	labels         []string
	reason         string
	lasts, timeout time.Duration
	noWait         bool
}

func (a *app) gateClose() *cobra.Command {
	var f gateFlags
	c := &cobra.Command{Use: "close --reason TEXT", Short: "Close a gate, and wait until nothing that it covers runs",
		Long: "Closes a gate and waits: first until nothing that it covers can begin any more, then until what was under way has ended. It says how\n" +
			"long that took, and what still runs when --timeout is over; the gate stays closed then. All that is given must fit a call.\n" +
			"It takes an operator. Exit code 75 if something still runs, or could still begin.",
		Example: "  dispatcher gate close --tool 'payments.*' --reason \"wrong amounts\"\n" +
			"  dispatcher gate close --all --reason \"kill switch\" --no-wait\n" +
			"  dispatcher gate close --target api.bank.example --label tenant=acme --for 30m --reason \"their maintenance\"",
		Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error { return a.closeGate(c.Context(), f) }}
	fl := c.Flags()
	fl.StringVar(&f.covers.Tool, "tool", "", "calls of this `tool`; * stands for any letters, here and below")
	fl.StringVar(&f.covers.Plan, "plan", "", "calls of runs of this `plan`")
	fl.StringVar(&f.covers.Run, "run", "", "calls of this `run`")
	fl.StringVar(&f.covers.Target, "target", "", "calls that talk to this `host`, with its port if the tools file has one")
	fl.StringSliceVar(&f.labels, "label", nil, "calls of runs with this label, as `name=value`; may be repeated")
	fl.StringVar(&f.id, "id", "", "name of the gate (default: one is made up)")
	fl.BoolVar(&f.covers.All, "all", false, "every call: the kill switch")
	fl.StringVar(&f.reason, "reason", "", "why, for everybody who meets it (required)")
	fl.DurationVar(&f.lasts, "for", 0, "open it by itself after this time (default: somebody opens it)")
	fl.DurationVar(&f.timeout, "timeout", time.Minute, "how long to wait until nothing that it covers runs")
	fl.BoolVar(&f.noWait, "no-wait", false, "do not wait")
	return c
}

// gate is the gate that the flags ask for.
func (f gateFlags) gate(now time.Time) (g gates.Gate, err error) {
	g = gates.Gate{ID: orWhat(f.id, "new"), Covers: f.covers, Reason: f.reason, Since: now}
	if f.lasts != 0 {
		g.Until = now.Add(f.lasts)
	}
	if g.Covers.Labels, err = injection.ParseLabels(f.labels); err == nil {
		err = g.Check()
	}
	if err != nil {
		return g, cli.Usage("%w\nSee 'dispatcher gate close --help'", err)
	}
	g.ID = f.id
	return g, nil
}

func (a *app) closeGate(ctx context.Context, f gateFlags) error {
	g, err := f.gate(cli.Now())
	if err != nil {
		return err
	}
	s, err := a.open(ctx, carry{})
	if err != nil {
		return err
	}
	defer s.close()
	if f.covers.Run != "" {
		if id, err := s.Runs.Find(ctx, f.covers.Run); err == nil {
			g.Covers.Run = id
		}
	}
	if s.Desk != nil {
		g, err = s.CloseGate(ctx, people.Trusted(me(), "cli"), g)
	} else {
		g, err = gates.Ask(ctx, s.Bus, gates.Request{Token: a.APIToken, Name: me(), Via: "cli", Close: &g})
	}
	if err != nil {
		return gateError(err)
	}
	fmt.Fprintf(a.Err, "gate %s is closed: %s%s\n", g.ID, text.Line(g.Covers.String()), untilText(&g))
	switch {
	case s.embedded:
		fmt.Fprintln(a.Err, "no dispatcher and no worker runs on this store: nothing is under way")
		return a.showGate(gates.Progress{Gate: g, Silent: []int{}, Which: []string{}})
	case f.noWait:
		return a.showGate(gates.Progress{Gate: g, Silent: []int{}, Which: []string{}})
	}
	return a.awaitDrain(ctx, s, g, f.timeout)
}

func untilText(g *gates.Gate) string {
	if g.Until.IsZero() {
		return ""
	}
	return ", until " + clock(g.Until)
}

// awaitDrain waits until nothing that the gate covers runs, and says how that goes.
func (a *app) awaitDrain(ctx context.Context, s *session, g gates.Gate, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	last, said, heard := gates.Progress{Gate: g}, "", false
	err := gates.Of(s.Bus).Watch(ctx, g.ID, func(p gates.Progress) bool {
		last, heard = p, true
		if line := drainLine(&p); line != said {
			said = line
			fmt.Fprintln(a.Err, line)
		}
		return !p.Over() && p.Closed()
	})
	if err != nil && ctx.Err() == nil {
		return err
	}
	if err := a.showGate(last); err != nil {
		return err
	}
	switch {
	case !heard || len(last.Silent) > 0:
		return cli.WithCode(cli.ExitTemporary, fmt.Errorf("the gate is closed, but no dispatcher has answered for partitions %v of the log: what is queued there may still begin; is one running (`dispatcher serve`)?", last.Silent))
	case last.Closed() && !last.Over():
		return cli.WithCode(cli.ExitTemporary, errors.New("the gate is closed and stays so; after "+timeout.String()+" "+drainLine(&last)+": look with `dispatcher gate show "+g.ID+"`"))
	}
	return nil
}

// drainLine says how far a gate is.
func drainLine(p *gates.Progress) string {
	switch {
	case !p.Closed():
		return "it was opened again"
	case len(p.Silent) > 0:
		return fmt.Sprintf("waiting for the dispatchers of %d of the log's partitions", len(p.Silent))
	case p.Waits > 0:
		return fmt.Sprintf("%d calls may still begin", p.Waits)
	case p.Runs > 0:
		return fmt.Sprintf("nothing new begins; %d calls are under way: %s", p.Runs, text.Line(strings.Join(p.Which, ", ")))
	}
	return fmt.Sprintf("nothing that it covers runs any more, %s after it was closed; %d calls are held back", p.Drained.Sub(p.Since).Round(time.Millisecond), p.Held)
}

// gateError is an error of closing or opening a gate with its exit code.
func gateError(err error) error {
	switch {
	case errors.Is(err, gates.ErrDenied):
		return cli.WithCode(cli.ExitNotAllowed, err)
	case errors.Is(err, gates.ErrNone):
		return cli.WithCode(cli.ExitNotFound, err)
	case errors.Is(err, gates.ErrOpen), errors.Is(err, gates.ErrClosed):
		return cli.WithCode(cli.ExitTemporary, err)
	case errors.Is(err, gates.ErrWrong):
		return cli.Usage("%w", err)
	case errors.Is(err, bus.ErrNobody):
		return cli.WithCode(cli.ExitUnreachable, handoff.ErrNoDesk)
	}
	return err
}

func (a *app) gateOpen() *cobra.Command {
	var reason string
	c := &cobra.Command{Use: "open ID", Short: "Open a gate: all that it holds back goes on", Example: "  dispatcher gate open g3f9c1a20 --reason mended",
		Long: "Opens a gate. All that it holds back goes on by itself, unless another closed gate covers it: of each target about five calls in the first\n" +
			"second, twice as many in each second after that, and what is left after ten. `dispatcher limits ls` shows how many wait for their\n" +
			"turn. It takes an operator.",
		Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error { return a.openGate(c.Context(), args[0], reason) }}
	c.Flags().StringVar(&reason, "reason", "", "why, for the audit trail")
	return c
}

func (a *app) openGate(ctx context.Context, id, reason string) error {
	s, err := a.open(ctx, carry{})
	if err != nil {
		return err
	}
	defer s.close()
	var g gates.Gate
	if s.Desk != nil {
		g, err = s.OpenGate(ctx, people.Trusted(me(), "cli"), id, reason)
	} else {
		g, err = gates.Ask(ctx, s.Bus, gates.Request{Token: a.APIToken, Name: me(), Via: "cli", Open: id, Reason: reason})
	}
	if err != nil {
		return gateError(err)
	}
	fmt.Fprintf(a.Err, "gate %s is open; it was closed for %s\n", g.ID, g.Opened.At.Sub(g.Since).Round(time.Second))
	if s.embedded {
		fmt.Fprintln(a.Err, a.Named("what it has held back goes on with: dispatcher runs watch ID"))
	}
	if a.JSON() {
		return a.PrintJSON(g)
	}
	return nil
}

func (a *app) gateLs() *cobra.Command {
	var all bool
	c := &cobra.Command{Use: "ls", Short: "List closed gates", Example: "  dispatcher gate ls\n  dispatcher gate ls --all",
		Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
			s, err := a.open(c.Context(), carry{})
			if err != nil {
				return err
			}
			defer s.close()
			list, err := gates.Of(s.Bus).List(c.Context())
			if err != nil {
				return err
			}
			rows := []gates.Progress{}
			for _, p := range list {
				if all || p.Closed() {
					rows = append(rows, p)
				}
			}
			if a.JSON() {
				return a.PrintJSON(rows)
			}
			return a.listGates(rows)
		}}
	c.Flags().BoolVar(&all, "all", false, "those too that were opened in the last 30 days")
	return c
}

func (a *app) listGates(all []gates.Progress) error {
	if len(all) == 0 {
		fmt.Fprintln(a.Out, "No gate is closed.")
		return nil
	}
	var rows [][]any
	for _, p := range all {
		state := "closed"
		if !p.Closed() {
			state = "open"
		}
		rows = append(rows, []any{p.ID, state, cli.Ago(p.Since), text.Cut(text.Line(p.By), 16), p.Held, p.Runs, text.Line(p.Covers.String()), text.Line(p.Reason)})
	}
	return a.List([]any{"ID", "STATE", "SINCE", "BY", "HELD", "RUNS", "COVERS", "REASON"}, rows)
}

func (a *app) gateShow() *cobra.Command {
	return &cobra.Command{Use: "show ID", Short: "Show a gate: who closed it and why, what it holds back, and what still runs", Example: "  dispatcher gate show g3f9c1a20",
		Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
			s, err := a.open(c.Context(), carry{})
			if err != nil {
				return err
			}
			defer s.close()
			p, err := gates.Of(s.Bus).Find(c.Context(), args[0])
			if err != nil {
				return gateError(err)
			}
			return a.showGate(p)
		}}
}

func (a *app) showGate(p gates.Progress) error {
	if a.JSON() {
		return a.PrintJSON(p)
	}
	fmt.Fprintf(a.Out, "gate      %s\ncovers    %s\nclosed    %s by %s: %s\n", p.ID, text.Line(p.Covers.String()), clock(p.Since), text.Line(p.By), text.Line(p.Reason))
	if !p.Until.IsZero() && p.Closed() {
		fmt.Fprintf(a.Out, "opens     %s, by itself\n", clock(p.Until))
	}
	if o := p.Opened; o != nil {
		fmt.Fprintf(a.Out, "opened    %s by %s%s\n", clock(o.At), orWhat(text.Line(o.By), "belay"), text.Line(note(o.Reason)))
		return nil
	}
	if p.Drained != nil || p.Held+p.Runs+p.Waits > 0 || len(p.Silent) > 0 {
		fmt.Fprintf(a.Out, "now       %s\n", drainLine(&p))
	}
	fmt.Fprintf(a.Out, "open      %s%s\n", a.Named("dispatcher gate open "+p.ID), a.Flags())
	return nil
}

func orWhat(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
