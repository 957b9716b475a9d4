package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"belay/internal/bus"
	"belay/internal/cli"
	"belay/internal/handoff"
	"belay/internal/people"
	"belay/internal/schedules"
	"belay/internal/steps"
	"belay/internal/text"
)

func (a *app) schedulesCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "schedules", Short: "Start runs of a plan again and again, at the times of a cron expression",
		Long: "A schedule starts a run of a plan whenever its time has come, on whichever dispatcher is there, and once only. It says what becomes of\n" +
			"a firing while the run before is open (overlap), and of those that were missed because no dispatcher was there (catch-up). The plan,\n" +
			"its tools and its input are pinned when it is added, as for a run.",
		Example: "  dispatcher schedules add report.yaml --cron '0 9 * * 1-5' --tz Europe/Berlin\n  dispatcher schedules ls\n  dispatcher schedules pause report --reason \"new numbers on Monday\"",
		RunE:    cli.NeedSubcommand,
	}
	c.AddCommand(a.schedulesAdd(), a.schedulesLs(), a.schedulesShow(), a.schedulesPause(), a.schedulesResume(), a.schedulesFire(), a.schedulesRm())
	return c
}

// scheduleFlags are the flags of `schedules add`.
type scheduleFlags struct {
	runFlags
	schedule         schedules.Schedule
	overlap, catchUp string
	window, jitter   time.Duration
	replace          bool
}

func (a *app) schedulesAdd() *cobra.Command {
	var f scheduleFlags
	c := &cobra.Command{Use: "add PLAN --cron EXPRESSION", Short: "Add a schedule, or replace one",
		Long: "Adds a schedule of a plan. It is checked as `run` checks it, and its runs are those of whoever has added it. Adding the same once more\n" +
			"changes nothing; --replace takes the place of another one with the same name. It takes an admin, because the plan is one's own.\n\n" +
			"Where clocks are put forward, what would fire in the hour that is left out fires at its end; where they are put back, what fires at a\n" +
			"named hour does so the first time only. What fires in every hour goes by the time that passes.",
		Example: "  dispatcher schedules add report.yaml --cron '0 9 * * 1-5' --tz Europe/Berlin\n" +
			"  dispatcher schedules add sync.yaml --cron '*/5 * * * *' --overlap wait --jitter 30s -i region=eu --name sync-eu\n" +
			"  dispatcher schedules add bill.yaml --cron '0 3 1 * *' --overlap queue --catch-up all --catch-up-window 168h",
		Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error { return a.addSchedule(c.Context(), args[0], f) }}
	fl := c.Flags()
	fl.StringVar(&f.schedule.Cron, "cron", "", "when: minute, hour, day of the month, month, day of the week, or one like @daily (required)")
	fl.StringVar(&f.schedule.TZ, "tz", "UTC", "`zone` of the IANA database in which the times are meant")
	fl.StringVar(&f.schedule.Name, "name", "", "`name` of the schedule (default: that of the plan)")
	fl.Var(cli.OneOf(&f.overlap, string(schedules.Skip), words(schedules.Overlaps())...), "overlap", "a firing while the run before is open: skip it; wait, one at a time; queue, up to 100; cancel the run before; allow both")
	fl.Var(cli.OneOf(&f.catchUp, string(schedules.CatchLast), words(schedules.CatchUps())...), "catch-up", "firings that were missed for more than a minute: none, the last one, or all, up to 100; all needs --overlap queue or allow")
	fl.DurationVar(&f.window, "catch-up-window", time.Hour, "how long ago a firing is made up for, at most 31 days")
	fl.DurationVar(&f.jitter, "jitter", 0, "begin each run up to so much after its firing, at most 1h: always the same for one firing")
	fl.BoolVar(&f.replace, "replace", false, "replace the schedule of this name; it keeps what it has done, and goes on from now")
	f.addInput(fl)
	fl.StringArrayVarP(&f.labels, "label", "l", nil, "a label of its runs, `key=value`; all have schedule=NAME")
	fl.BoolVar(&f.strict, "strict", false, "do not add a plan of which prove has a warning that is not waived")
	return c
}

func (a *app) addSchedule(ctx context.Context, path string, f scheduleFlags) error {
	sub, _, err := a.submission(path, f.runFlags)
	if err != nil {
		return err
	}
	sc := f.schedule
	sc.Plan, sc.Overlap, sc.CatchUp = definition(sub).Plan.Name, schedules.Overlap(f.overlap), schedules.CatchUp(f.catchUp)
	if sc.Window, sc.Jitter = steps.Duration(f.window), steps.Duration(f.jitter); sc.Name == "" {
		sc.Name = sc.Plan
	}
	if err := sc.Check(); err != nil {
		return cli.Usage("%w\nSee 'dispatcher schedules add --help'", err)
	}
	return a.onSchedule(ctx, schedules.Request{Add: &sc, Order: &sub, Replace: f.replace}, func(s *session, who people.Actor) (d schedules.Done, err error) {
		d.Schedule, err = s.AddSchedule(ctx, who, sc, sub, f.replace)
		return d, err
	}, func(s *session, d schedules.Done) {
		fmt.Fprintf(a.Err, "schedule %s: %s %s\n", d.Schedule.Name, text.Line(d.Schedule.Cron), d.Schedule.TZ)
		for _, at := range d.Schedule.Times(d.Schedule.Upto, 3) {
			fmt.Fprintf(a.Err, "  fires at %s\n", zoned(at, d.Schedule.TZ))
		}
		if p := d.Schedule.Problem; p != "" {
			fmt.Fprintf(a.Err, "careful: %s\n", text.Line(p))
		}
		a.sayIdle(s)
	})
}

// sayIdle says that nothing fires here.
func (a *app) sayIdle(s *session) {
	if s.embedded {
		fmt.Fprintln(a.Err, a.Named("no dispatcher runs on this store: nothing fires until you start one, with: dispatcher dev"))
	}
}

// zoned is a time in a schedule's zone.
func zoned(t time.Time, tz string) string {
	if loc, err := time.LoadLocation(tz); err == nil {
		t = t.In(loc)
	}
	return t.Format("2006-01-02 15:04:05 MST")
}

// onSchedule has something done about a schedule, here or by a dispatcher, and says what came of it.
func (a *app) onSchedule(ctx context.Context, r schedules.Request, here func(*session, people.Actor) (schedules.Done, error), say func(*session, schedules.Done)) error {
	s, err := a.open(ctx, carry{})
	if err != nil {
		return err
	}
	defer s.close()
	var d schedules.Done
	if s.Desk != nil {
		d, err = here(s, people.Trusted(me(), "cli"))
	} else {
		r.Token, r.Name, r.Via, r.At = a.APIToken, me(), "cli", s.Bus.Now()
		d, err = schedules.Ask(ctx, s.Bus, r)
	}
	if err != nil {
		return scheduleError(err)
	}
	say(s, d)
	switch {
	case a.JSON() && d.Firing != nil:
		return a.PrintJSON(d.Firing)
	case a.JSON():
		return a.PrintJSON(d.Schedule)
	}
	return nil
}

// scheduleError is an error of what is done about a schedule with its exit code.
func scheduleError(err error) error {
	switch {
	case errors.Is(err, schedules.ErrDenied):
		return cli.WithCode(cli.ExitNotAllowed, err)
	case errors.Is(err, schedules.ErrNone):
		return cli.WithCode(cli.ExitNotFound, err)
	case errors.Is(err, schedules.ErrExists), errors.Is(err, schedules.ErrPaused), errors.Is(err, schedules.ErrNotPaused), errors.Is(err, schedules.ErrBusy):
		return cli.WithCode(cli.ExitTemporary, err)
	case errors.Is(err, schedules.ErrWrong):
		return cli.WithCode(cli.ExitInvalid, err)
	case errors.Is(err, bus.ErrNobody):
		return cli.WithCode(cli.ExitUnreachable, handoff.ErrNoDesk)
	}
	return err
}

// changeSchedule makes a command that does one thing about a schedule.
func (a *app) changeSchedule(do schedules.Act, short, long, done, example string) *cobra.Command {
	var reason string
	verb := string(do)
	if do == schedules.DoRemove {
		verb = "rm"
	}
	c := &cobra.Command{Use: verb + " NAME", Short: short, Long: long, Example: example, Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		r := schedules.Request{Do: do, On: args[0], Reason: reason}
		return a.onSchedule(c.Context(), r, func(s *session, who people.Actor) (d schedules.Done, err error) {
			d.Schedule, err = s.ChangeSchedule(c.Context(), who, args[0], do, reason)
			return d, err
		}, func(s *session, d schedules.Done) {
			fmt.Fprintf(a.Err, "schedule %s %s\n", d.Schedule.Name, done)
			if do == schedules.DoResume && d.Schedule.Next != nil {
				fmt.Fprintf(a.Err, "  fires at %s\n", zoned(*d.Schedule.Next, d.Schedule.TZ))
				a.sayIdle(s)
			}
		})
	}}
	c.Flags().StringVar(&reason, "reason", "", "why, for whoever looks at it and the audit trail")
	return c
}

func (a *app) schedulesPause() *cobra.Command {
	return a.changeSchedule(schedules.DoPause, "Let a schedule fire no more until it is resumed",
		"Pauses a schedule. Its runs go on; what waits for its turn goes on waiting. It takes an operator.", "is paused",
		"  dispatcher schedules pause report --reason \"new numbers on Monday\"")
}

func (a *app) schedulesResume() *cobra.Command {
	return a.changeSchedule(schedules.DoResume, "Let a schedule fire again, from now on",
		"Resumes a schedule. What it would have fired while it was paused is not made up for. It takes an operator.", "fires again",
		"  dispatcher schedules resume report")
}

func (a *app) schedulesRm() *cobra.Command {
	return a.changeSchedule(schedules.DoRemove, "Remove a schedule; the runs that it has started stay",
		"Removes a schedule, and what waits for its turn. The runs that it has started go on. It takes an operator.", "is removed; its runs stay",
		"  dispatcher schedules rm report --reason \"nobody reads it\"")
}

func (a *app) schedulesFire() *cobra.Command {
	return &cobra.Command{Use: "fire NAME", Short: "Start a run of a schedule now", Example: "  dispatcher schedules fire report",
		Long: "Starts a run of a schedule now, also of one that is paused; when it fires next stays as it is. While the run before is open the rule for\n" +
			"overlaps holds: with skip, it is refused (exit code 75). It takes an operator.",
		Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
			ctx := c.Context()
			return a.onSchedule(ctx, schedules.Request{Do: schedules.DoFire, On: args[0]}, func(s *session, who people.Actor) (d schedules.Done, err error) {
				var f schedules.Firing
				d.Schedule, f, err = s.FireSchedule(ctx, who, args[0], s.Bus.Now())
				d.Firing = &f
				return d, err
			}, func(s *session, d schedules.Done) { a.sayFired(s, d) })
		}}
}

func (a *app) sayFired(s *session, d schedules.Done) {
	f, follow := d.Firing, a.Named("dispatcher runs watch ")+d.Firing.Run+a.Flags()
	switch waits := d.Schedule.Waits(f.Run); {
	case f.Error != "":
		fmt.Fprintf(a.Err, "there is no run: %s\n", text.Line(f.Error))
	case waits:
		fmt.Fprintf(a.Err, "run %s begins once the run before has ended\n", f.Run)
	case s.embedded:
		fmt.Fprintf(a.Err, "run %s is stored; no dispatcher is running, so it begins once somebody follows it: %s\n", f.Run, follow)
	default:
		fmt.Fprintf(a.Err, "run %s is started; follow it with: %s\n", f.Run, follow)
	}
}
