package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"belay/internal/cli"
	"belay/internal/injection"
	"belay/internal/runlog"
	"belay/internal/steps"
	"belay/internal/text"
)

func (a *app) faultCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "fault", Short: "Inject faults on purpose into a running system, for a while",
		Long: "Lets calls of a tool fail on purpose, come late, lose their worker or the network: to see what becomes of real runs then.\n" +
			"Only workers that were started with --allow-faults do so. Each fault ends by itself, and says in every log line, run, card\n" +
			"and metric that it was injected, and by whom. Whoever can write to Belay's NATS streams can ask for faults.",
		RunE: cli.NeedSubcommand,
	}
	c.AddCommand(a.faultAdd(), a.faultLs(), a.faultRm())
	return c
}

// faultFlags are the flags of `fault add`.
type faultFlags struct {
	order             injection.Order
	kind, class, when string
	labels            []string
	retryAfter, delay time.Duration
	lasts             time.Duration
}

func (a *app) faultAdd() *cobra.Command {
	var f faultFlags
	c := &cobra.Command{Use: "add --tool TOOL --for DURATION", Short: "Ask for a fault, for a while",
		Long: "Asks workers that allow it to inject a fault into calls of a tool. One attempt always gets the same answer, however often it is\n" +
			"redelivered. A tool whose effects are unsafe must be named a second time with --unsafe: after a call that may have acted, people\n" +
			"are asked.",
		Example: "  dispatcher fault add --tool payments.refund --class unavailable --rate 0.2 --for 10m --unsafe payments.refund\n" +
			"  dispatcher fault add --tool orders.lookup --class rate_limited --retry-after 5s --label customer=acme --for 1h --reason \"game day\"\n" +
			"  dispatcher fault add --tool orders.lookup --kind slow --delay 3s --acted after --run refund-A-1009 --for 5m\n" +
			"  dispatcher fault add --tool orders.lookup --kind kill --rate 0.01 --for 10m",
		Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error { return a.addFault(c.Context(), f) }}
	fl := c.Flags()
	fl.StringVar(&f.order.Tool, "tool", "", "`tool` whose calls it is about")
	fl.StringVar(&f.order.Rung, "rung", "", "only this `rung` of its ladder (default every rung, but not its probe)")
	fl.StringVar(&f.order.Run, "run", "", "only this `run` (default every run)")
	fl.StringSliceVar(&f.labels, "label", nil, "only runs with this label, as `name=value`; may be repeated")
	fl.Var(cli.OneOf(&f.kind, string(injection.Fault), words(injection.Kinds())...), "kind", "fault: the call fails with --class; slow: it comes --delay late; kill: its worker's process dies; partition: its worker cannot reach NATS for --delay")
	fl.Var(cli.OneOf(&f.class, "", words(injection.Classes())...), "class", "how the call fails, of kind fault")
	fl.DurationVar(&f.retryAfter, "retry-after", 0, "how long the other side asks to wait, of kind fault")
	fl.Var(cli.OneOf(&f.when, "no", "no", string(injection.Before), string(injection.After)), "acted", "no or before: it happens before the tool is called, and kind fault does not call it; after: the tool is called, and its result is lost or late")
	fl.DurationVar(&f.delay, "delay", 0, "how long, of the kinds slow and partition")
	fl.Float64Var(&f.order.Rate, "rate", 1, "share of the attempts, above 0 and at most 1")
	fl.DurationVar(&f.lasts, "for", 0, "how long it lasts, at most 24h; it ends by itself")
	fl.StringVar(&f.order.Reason, "reason", "", "why, for whoever meets it")
	fl.StringVar(&f.order.Unsafe, "unsafe", "", "the `tool` a second time, where its effects are unsafe")
	return c
}

func words[T ~string](all []T) (list []string) {
	for _, w := range all {
		list = append(list, string(w))
	}
	return list
}

// made is the order that the flags ask for.
func (f faultFlags) made(now time.Time) (o injection.Order, err error) {
	o = f.order
	o.ID, o.By, o.Made = injection.NewID(), me(), now.UTC().Truncate(time.Millisecond)
	o.Until = o.Made.Add(f.lasts)
	o.Kind, o.Class = injection.Kind(f.kind), steps.Class(f.class)
	o.Delay, o.RetryAfter = steps.Duration(f.delay), steps.Duration(f.retryAfter)
	if o.Acted, err = injection.ParseWhen(f.when); err == nil {
		o.Labels, err = injection.ParseLabels(f.labels)
	}
	if err == nil {
		err = o.Check()
	}
	if err != nil {
		return o, cli.Usage("--%w\nSee 'dispatcher fault add --help'", err)
	}
	return o, nil
}

func (a *app) addFault(ctx context.Context, f faultFlags) error {
	if _, err := f.made(cli.Now()); err != nil { // before anything is asked
		return err
	}
	s, err := a.open(ctx, carry{})
	if err != nil {
		return err
	}
	defer s.close()
	o, err := f.made(cli.Now())
	if err != nil {
		return err
	}
	warnings, err := a.foresee(ctx, s, &o)
	if err != nil {
		return err
	}
	if err := injection.Of(s.Bus).Add(ctx, o); err != nil {
		return err
	}
	if err := a.recordActFor(ctx, s, "fault add", o.ID, o.Reason, o); err != nil {
		return err
	}
	if a.JSON() {
		err = a.PrintJSON(o)
	} else {
		fmt.Fprintf(a.Out, "fault %s on purpose: %s: %s, %s, until %s\n", o.ID, text.Line(o.Where()), o.Does(), howMany(&o), clock(o.Until))
		fmt.Fprintln(a.Out, a.Named("end it before that: dispatcher fault rm "+o.ID))
	}
	for _, w := range warnings {
		fmt.Fprintln(a.Err, "careful: "+text.Line(a.Named(w)))
	}
	return err
}

func howMany(o *injection.Order) string {
	if o.Rate == 1 {
		return "every attempt"
	}
	return o.Share() + " of the attempts"
}

// foresee says what the workers that run now will do about an order. The error is what they would refuse.
func (a *app) foresee(ctx context.Context, s *session, o *injection.Order) (warnings []string, err error) {
	switch id, err := s.Runs.Find(ctx, o.Run); {
	case o.Run == "":
	case err == nil:
		o.Run = id
	case errors.Is(err, runlog.ErrNoRun):
		warnings = append(warnings, "there is no run "+o.Run+" yet; this is about the one that will be submitted with this id")
	default:
		return nil, err
	}
	all, err := s.Bus.Workers(ctx)
	if err != nil {
		return nil, err
	}
	more, err := workersFor(all, o).foresee(o)
	return append(warnings, more...), err
}

func (a *app) faultRm() *cobra.Command {
	var all bool
	c := &cobra.Command{Use: "rm ID", Short: "End a fault before its time", Example: "  dispatcher fault rm 3f9c1a20\n  dispatcher fault rm --all",
		Args: cobra.MaximumNArgs(1), RunE: func(c *cobra.Command, args []string) error {
			if all == (len(args) == 1) {
				return cli.Usage("name one fault, as `dispatcher fault ls` lists them, or give --all")
			}
			s, err := a.open(c.Context(), carry{})
			if err != nil {
				return err
			}
			defer s.close()
			if all {
				args = append(args, "")
			}
			return a.removeFaults(c.Context(), s, args[0])
		}}
	c.Flags().BoolVar(&all, "all", false, "end all that are listed")
	return c
}

// removeFaults ends the order with this id; all of them if it is empty.
func (a *app) removeFaults(ctx context.Context, s *session, id string) error {
	orders := injection.Of(s.Bus)
	list, err := orders.List(ctx)
	if err != nil {
		return err
	}
	found := 0
	for _, o := range list {
		if id != "" && o.ID != id {
			continue
		}
		found++
		if o.Worker != "" && o.Active(cli.Now()) {
			fmt.Fprintf(a.Err, "fault %s is in the settings of worker %s: it ends at %s, or when that worker is stopped\n", o.ID, text.Line(o.Worker), clock(o.Until))
			continue
		}
		if err := orders.Remove(ctx, o); err != nil {
			return err
		}
		if err := a.recordAct(ctx, s, "fault rm", o.ID, nil); err != nil {
			return err
		}
		fmt.Fprintf(a.Out, "fault %s is over\n", o.ID)
	}
	switch {
	case found == 0 && id != "":
		return cli.WithCode(cli.ExitNotFound, fmt.Errorf("there is no fault %q: `dispatcher fault ls` lists them", id))
	case found == 0:
		fmt.Fprintln(a.Out, "There are no faults on purpose.")
	}
	return nil
}
