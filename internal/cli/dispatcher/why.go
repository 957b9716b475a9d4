package dispatcher

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"belay/internal/notify"
	"belay/internal/steps"
	"belay/internal/steps/view"
	"belay/internal/tally"
	"belay/internal/text"
)

func (a *app) runsWhy() *cobra.Command {
	return &cobra.Command{
		Use: "why ID", Short: "Explain what a run waits for, and what happens if nobody acts", Example: "  dispatcher runs why refund-1009",
		Long: "Says what each step of a run waits for and since when: a person, a worker, a time or another step. Then it says what will\n" +
			"happen by itself and when, provided that nobody decides and nothing that executes now ends.",
		Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
			return a.withRun(c.Context(), args[0], carry{}, func(s *session, run string) error {
				st, err := s.Runs.Load(c.Context(), run)
				if err != nil {
					return err
				}
				w, err := notify.Asker{Bus: s.Bus, Items: s.desk().Items, Doubt: tally.InDoubt(s.Bus)}.Of(c.Context(), st)
				if err != nil {
					return err
				}
				if s.embedded && w.Note != "" {
					w.Note = "no dispatcher is running: nothing of this happens until one does; move the run on with: " + watchLater(run, st)
				}
				if a.JSON() {
					return a.PrintJSON(w)
				}
				a.showWhy(w)
				return nil
			})
		},
	}
}

// watchLater is the command that moves a run on, also where its time has not come.
func watchLater(run string, st *steps.State) string {
	if st.Status() == steps.RunScheduled {
		return "dispatcher runs watch " + short(run) + " --wait"
	}
	return "dispatcher runs watch " + short(run)
}

func (a *app) showWhy(w view.Why) {
	fmt.Fprintf(a.Out, "run %s  %s  %s  at %s UTC\n", short(w.Run), text.Line(w.Workflow), w.State, w.At.Format("2006-01-02 15:04:05"))
	if w.State.Ended() {
		fmt.Fprintln(a.Out, "It waits for nothing, because it has ended.")
		return
	}
	if w.Note != "" {
		fmt.Fprintln(a.Err, w.Note)
	}
	fmt.Fprintln(a.Out, "waits for:")
	for _, x := range w.Waits {
		fmt.Fprintf(a.Out, "  %-14s %s%s\n", unitOf(x.Step, x.Count), text.Line(x.Text), waitsNote(x, w.At))
	}
	fmt.Fprintln(a.Out, "if nobody acts:")
	for _, h := range w.Then {
		at := strings.Repeat(" ", len(time.TimeOnly))
		if h.At != nil {
			at = view.Clock(*h.At, w.At)
		}
		text := text.Line(h.Text)
		if h.Step != "" {
			text = unitOf(h.Step, h.Count) + ": " + text
		}
		fmt.Fprintf(a.Out, "  %s  %-10s %s\n", at, inSo(h), text)
	}
}

func inSo(h view.Happening) string {
	if h.At == nil {
		return ""
	}
	return "in " + time.Duration(h.In).Round(time.Second).String()
}

// unitOf names a step, or several items of it, or the run.
func unitOf(step string, count int) string {
	name := "the run"
	if step != "" {
		name = forPeople(step)
	}
	if count > 1 {
		name += fmt.Sprintf(" × %d", count)
	}
	return name
}

// waitsNote says since when and until when a step waits, and who has claimed it.
func waitsNote(x view.Wait, now time.Time) string {
	var all []string
	if x.Escalation != "" {
		all = append(all, short(x.Escalation))
	}
	if x.Claimed != "" {
		all = append(all, text.Line(x.Claimed)+" has claimed it")
	}
	if x.Assigned != "" {
		all = append(all, "assigned to "+text.Line(x.Assigned))
	}
	if x.Since != nil {
		all = append(all, "since "+view.Clock(*x.Since, now))
	}
	if x.Until != nil {
		all = append(all, "until "+view.Clock(*x.Until, now))
	}
	if len(all) == 0 {
		return ""
	}
	return "  (" + strings.Join(all, ", ") + ")"
}
