package dispatcher

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"belay/internal/access"
	"belay/internal/schedules"
	"belay/internal/text"
)

func (a *app) schedulesLs() *cobra.Command {
	return &cobra.Command{Use: "ls", Short: "List schedules: when they fire next, and what became of the last run", Example: "  dispatcher schedules ls\n  dispatcher runs ls --label schedule=report",
		Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
			s, err := a.open(c.Context(), carry{})
			if err != nil {
				return err
			}
			defer s.close()
			all, err := schedules.List(c.Context(), s.Bus, s.Runs, access.Ended)
			if err != nil {
				return err
			}
			if a.JSON() {
				return a.PrintJSON(all)
			}
			return a.listSchedules(all)
		}}
}

func (a *app) listSchedules(all []schedules.Schedule) error {
	if len(all) == 0 {
		fmt.Fprintln(a.Out, "No schedules.")
		return nil
	}
	var rows [][]any
	for i := range all {
		s := &all[i]
		last, run := "-", "-"
		if len(s.Firings) > 0 {
			f := s.Firings[0]
			last, run = zoned(f.At, s.TZ), firingState(&f)
		}
		rows = append(rows, []any{s.Name, text.Line(s.Plan), nextText(s), last, run, text.Line(s.Cron), text.Cut(text.Line(s.By), 16)})
	}
	if err := a.List([]any{"NAME", "PLAN", "NEXT", "LAST", "RUN", "CRON", "BY"}, rows); err != nil {
		return err
	}
	for i := range all {
		if p := all[i].Problem; p != "" {
			fmt.Fprintf(a.Out, "careful: %s: %s\n", all[i].Name, text.Line(p))
		}
	}
	return nil
}

func nextText(s *schedules.Schedule) string {
	switch {
	case s.Paused != nil:
		return "paused by " + text.Cut(text.Line(s.Paused.By), 16)
	case s.Next == nil:
		return "never"
	}
	return zoned(*s.Next, s.TZ)
}

// firingState is what has become of a firing, in a word.
func firingState(f *schedules.Firing) string {
	switch {
	case f.Error != "":
		return "refused"
	case f.State == "":
		return "not kept"
	}
	return string(f.State)
}

func (a *app) schedulesShow() *cobra.Command {
	return &cobra.Command{Use: "show NAME", Short: "Show a schedule: its rules, when it fires next, and its last runs", Example: "  dispatcher schedules show report",
		Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
			s, err := a.open(c.Context(), carry{})
			if err != nil {
				return err
			}
			defer s.close()
			sc, err := schedules.Find(c.Context(), s.Bus, s.Runs, args[0], access.Ended)
			if err != nil {
				return scheduleError(err)
			}
			if a.JSON() {
				return a.PrintJSON(sc)
			}
			a.showSchedule(&sc)
			return nil
		}}
}

func (a *app) showSchedule(s *schedules.Schedule) {
	line := func(name, format string, args ...any) {
		fmt.Fprintf(a.Out, "%-9s "+format+"\n", append([]any{name}, args...)...)
	}
	line("schedule", "%s of plan %s, added by %s at %s", s.Name, text.Line(s.Plan), text.Line(s.By), clock(s.Since))
	line("cron", "%s %s", text.Line(s.Cron), s.TZ)
	if s.Jitter > 0 {
		line("jitter", "up to %s", time.Duration(s.Jitter))
	}
	line("overlap", "%s", s.Overlap)
	line("catch-up", "%s, of the last %s", s.CatchUp, time.Duration(s.Window))
	if p := s.Paused; p != nil {
		line("paused", "%s by %s%s", clock(p.At), text.Line(p.By), text.Line(note(p.Reason)))
	} else {
		for _, at := range s.Times(s.Upto, 3) {
			line("next", "%s", zoned(at, s.TZ))
		}
	}
	for _, f := range s.Waiting {
		line("waiting", "%s  %s", zoned(f.At, s.TZ), f.Run)
	}
	for i := range s.Firings {
		f := &s.Firings[i]
		line("fired", "%s  %s  %s%s%s", zoned(f.At, s.TZ), f.Run, firingState(f), byHand(f), text.Line(note(f.Error)))
	}
	if m := s.Missed; m != nil {
		line("missed", "%d, the last at %s", m.N, zoned(m.Last, s.TZ))
	}
	if l := s.Skipped; l != nil {
		line("skipped", "%d, the last at %s", l.N, zoned(l.Last, s.TZ))
	}
	if s.Problem != "" {
		line("careful", "%s", text.Line(s.Problem))
	}
}

func byHand(f *schedules.Firing) string {
	if f.By == "" {
		return ""
	}
	return ", fired by " + text.Line(f.By)
}
