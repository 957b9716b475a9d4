package cli

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"belay/internal/dlq"
	"belay/internal/handoff"
	"belay/internal/herald"
	"belay/internal/steps"
)

func (a *app) escCommand() *cobra.Command {
	c := &cobra.Command{Use: "esc", Short: "List, show and decide escalations: what waits for a person"}
	c.AddCommand(a.escLs(), a.escShow(), a.escDecide(), a.escDrain(), a.escRedrive(), a.escClaim(), a.escRelease(), a.escAssign(), a.escSnooze(), a.escNote())
	c.RunE = needSubcommand
	return c
}

func (a *app) escLs() *cobra.Command {
	var f itemFilter
	var by string
	c := &cobra.Command{Use: "ls", Short: "List open escalations, the most urgent first", Args: cobra.NoArgs, Long: escLsHelp, RunE: func(c *cobra.Command, _ []string) error {
		if by != "" && by != byCause {
			return usage("--by is %s", byCause)
		}
		s, err := a.open(c.Context(), carry{})
		if err != nil {
			return err
		}
		defer s.close()
		list, err := s.desk().Items(c.Context())
		if err != nil {
			return err
		}
		a.tellTaken(c.Context(), s)
		if list = f.pick(list); by != "" {
			return a.listCauses(causesOf(list))
		}
		if a.json() {
			return a.printJSON(list)
		}
		return a.listEscalations(list)
	}}
	f.add(c.Flags())
	c.Flags().StringVar(&by, "by", "", "`cause`: one line for what is alike, with how many there are")
	return c
}

// tellTaken says what others have done lately about questions that whoever sits here had claimed. The list is there
// without it too.
func (a *app) tellTaken(ctx context.Context, s *session) {
	news, _ := s.desk().Taken(ctx, me())
	for _, t := range news {
		fmt.Fprintf(a.Err, "%s: you had claimed it; %s %s at %s\n", short(t.ID), plain(t.By), t.Did, t.At.Local().Format("15:04:05"))
	}
}

// desk is where escalations are read; acts go through s.People, which may be in another process.
func (s *session) desk() *handoff.Desk {
	if s.Desk != nil {
		return s.Desk
	}
	d := handoff.NewDesk(s.Runs, dlq.New(s.Bus), handoff.NewClaims(s.Bus), nil)
	d.Told = herald.Told(s.Bus)
	return d
}

func (a *app) listEscalations(list []handoff.Item) error {
	if len(list) == 0 {
		fmt.Fprintln(a.Out, nothingWaits)
		return nil
	}
	head, rows := []any{"ID", "KIND", "WORKFLOW", "STEP", "DUE", "SINCE", "WHO"}, [][]any{}
	for _, e := range list {
		rows = append(rows, []any{
			a.idCell(e.ID), e.Kind, a.cell(e.Workflow, 8), a.cell(forPeople(e.Step), 10), left(e.Deadline), ago(e.Opened), a.cell(holder(e.Claim), 8),
		})
	}
	if terminal(a.Out) {
		for i, e := range list {
			rows[i] = append(rows[i], besideVotes(e, cmp.Or(e.Summary, e.Message)))
		}
		return a.listCut(append(head, "ABOUT"), rows, steps.CutSummary)
	}
	for i, e := range list {
		rows[i] = append(rows[i], cmp.Or(plain(e.Summary), "-"), besideVotes(e, e.Message))
	}
	return a.table(append(head, "ABOUT", "WHY"), rows)
}

// besideVotes is a text about an item, behind who has approved it where others must too.
func besideVotes(e handoff.Item, text string) string {
	if e.Approved != "" {
		text = e.Approved + ": " + text
	}
	return plain(text)
}

// holder is who is at an item.
func holder(c *handoff.Claim) string {
	if c == nil {
		return "-"
	}
	return plain(c.By)
}

// left is the time until a deadline, as people say it.
func left(t *time.Time) string {
	if t == nil {
		return "-"
	}
	switch d := time.Until(*t); {
	case d <= 0:
		return "now"
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return t.Local().Format("2006-01-02")
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

// act is one of the acts that decide nothing.
func (a *app) act(ctx context.Context, id string, what handoff.Act) error {
	s, err := a.open(ctx, carry{})
	if err != nil {
		return err
	}
	defer s.close()
	full, err := handoff.Find(ctx, s.Runs, typed(id))
	if err != nil {
		return err
	}
	done, err := s.People.Act(ctx, a.person(), full, what)
	if err != nil {
		return err
	}
	if a.json() {
		return a.printJSON(done)
	}
	fmt.Fprintf(a.Out, "%s: %s\n", short(full), plain(done.Effect))
	return nil
}

// person is who sits at this terminal.
func (a *app) person() handoff.Person { return handoff.Person{Name: me(), Via: "cli"} }

func (a *app) escClaim() *cobra.Command {
	var take bool
	c := &cobra.Command{Use: "claim ID", Short: "Say that you are at it; others are not told of it meanwhile", Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		return a.act(c.Context(), args[0], handoff.Act{Verb: handoff.ActClaim, Take: take})
	}}
	c.Flags().BoolVar(&take, "take", false, "take it over from somebody else; they are told")
	return c
}

func (a *app) escRelease() *cobra.Command {
	return &cobra.Command{Use: "release ID", Short: "Leave it to others again", Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		return a.act(c.Context(), args[0], handoff.Act{Verb: handoff.ActRelease})
	}}
}

func (a *app) escAssign() *cobra.Command {
	return &cobra.Command{Use: "assign ID WHO", Short: "Say who is to decide it", Args: cobra.ExactArgs(2), RunE: func(c *cobra.Command, args []string) error {
		return a.act(c.Context(), args[0], handoff.Act{Verb: handoff.ActAssign, To: args[1]})
	}}
}

func (a *app) escSnooze() *cobra.Command {
	var d time.Duration
	c := &cobra.Command{Use: "snooze ID", Short: "Let nobody be told of it for a while; its deadline stands", Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		return a.act(c.Context(), args[0], handoff.Act{Verb: handoff.ActSnooze, Until: time.Now().Add(d)})
	}}
	c.Flags().DurationVar(&d, "for", 30*time.Minute, "how long, a week at most")
	return c
}

func (a *app) escNote() *cobra.Command {
	return &cobra.Command{Use: "note ID TEXT", Short: "Leave a word for whoever decides", Args: cobra.ExactArgs(2), RunE: func(c *cobra.Command, args []string) error {
		return a.act(c.Context(), args[0], handoff.Act{Verb: handoff.ActNote, Text: args[1]})
	}}
}
