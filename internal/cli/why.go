package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"belay/internal/steps"
	"belay/internal/why"
)

func (a *app) runsWhy() *cobra.Command {
	return &cobra.Command{
		Use: "why ID", Short: "Say what a run waits for, and what will happen if nobody acts",
		Long: "Says what each step of a run waits for and since when: a person, a worker, a time, another step. Then what will happen by itself,\n" +
			"and when: the run's own rules run forward on its clock, while nobody decides and nothing that is out now ends.",
		Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
			return a.withRun(c.Context(), args[0], carry{}, func(s *session, run string) error {
				st, err := s.Runs.Load(c.Context(), run)
				if err != nil {
					return err
				}
				w, err := why.Asker{Bus: s.Bus, Items: s.desk().Items}.Of(c.Context(), st)
				if err != nil {
					return err
				}
				if s.embedded && w.Note != "" {
					w.Note = "no dispatcher runs here: none of this happens until one does; move the run on with: dispatcher runs watch " + short(run)
				}
				if a.json() {
					return a.printJSON(w)
				}
				a.showWhy(w)
				return nil
			})
		},
	}
}

func (a *app) showWhy(w steps.Why) {
	fmt.Fprintf(a.Out, "run %s  %s  %s  at %s UTC\n", short(w.Run), plain(w.Workflow), w.State, w.At.Format("2006-01-02 15:04:05"))
	if w.State.Ended() {
		fmt.Fprintln(a.Out, "It waits for nothing: it has ended.")
		return
	}
	if w.Note != "" {
		fmt.Fprintln(a.Err, w.Note)
	}
	fmt.Fprintln(a.Out, "waits for:")
	for _, x := range w.Waits {
		fmt.Fprintf(a.Out, "  %-14s %s%s\n", unitOf(x.Step, x.Count), plain(x.Text), waitsNote(x, w.At))
	}
	fmt.Fprintln(a.Out, "if nobody acts:")
	for _, h := range w.Then {
		at := strings.Repeat(" ", len(time.TimeOnly))
		if h.At != nil {
			at = steps.Clock(*h.At, w.At)
		}
		text := plain(h.Text)
		if h.Step != "" {
			text = unitOf(h.Step, h.Count) + ": " + text
		}
		fmt.Fprintf(a.Out, "  %s  %-10s %s\n", at, inSo(h), text)
	}
}

func inSo(h steps.Happening) string {
	if h.At == nil {
		return ""
	}
	return "in " + time.Duration(h.In).Round(time.Second).String()
}

// unitOf names a unit, or several items of a step.
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

// waitsNote says since when and until when, and who is at it.
func waitsNote(x steps.Wait, now time.Time) string {
	var all []string
	if x.Escalation != "" {
		all = append(all, short(x.Escalation))
	}
	if x.Claimed != "" {
		all = append(all, plain(x.Claimed)+" has claimed it")
	}
	if x.Assigned != "" {
		all = append(all, "assigned to "+plain(x.Assigned))
	}
	if x.Since != nil {
		all = append(all, "since "+steps.Clock(*x.Since, now))
	}
	if x.Until != nil {
		all = append(all, "until "+steps.Clock(*x.Until, now))
	}
	if len(all) == 0 {
		return ""
	}
	return "  (" + strings.Join(all, ", ") + ")"
}
