package dispatcher

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"belay/internal/approval"
	"belay/internal/cli"
	"belay/internal/dlq"
	"belay/internal/handoff"
	"belay/internal/notify"
	"belay/internal/people"
	"belay/internal/steps/view"
	"belay/internal/text"
)

func (a *app) escCommand() *cobra.Command {
	c := &cobra.Command{Use: "esc", Short: "List, show and decide escalations, the questions that wait for a person"}
	c.AddCommand(a.escLs(), a.escShow(), a.escDecide(), a.escDrain(), a.escRedrive(), a.escClaim(), a.escRelease(), a.escAssign(), a.escSnooze(), a.escNote())
	c.RunE = cli.NeedSubcommand
	return c
}

func (a *app) escLs() *cobra.Command {
	var f itemFilter
	var by string
	c := &cobra.Command{Use: "ls", Short: "List open escalations, the most urgent first", Args: cobra.NoArgs, Long: escLsHelp, Example: escLsExample, RunE: func(c *cobra.Command, _ []string) error {
		if by != "" && by != byCause {
			return cli.Usage("--by %q: must be %s", by, byCause)
		}
		s, err := a.open(c.Context(), carry{})
		if err != nil {
			return err
		}
		defer s.close()
		list, err := s.items(c.Context(), f)
		if err != nil {
			return err
		}
		a.sayNews(c.Context(), s)
		if by != "" {
			return a.listCauses(causesOf(list))
		}
		if a.JSON() {
			return a.PrintJSON(list)
		}
		return a.listEscalations(list)
	}}
	f.add(c.Flags())
	c.Flags().StringVar(&by, "by", "", "group by `cause`: one line for escalations that are alike, with their number")
	return c
}

// sayNews says which escalations that were claimed here others have lately decided or taken over. If that is not known,
// it says nothing.
func (a *app) sayNews(ctx context.Context, s *session) {
	news, _ := s.desk().TakenOver(ctx, me())
	for _, t := range news {
		fmt.Fprintf(a.Err, "%s: you had claimed it; %s %s at %s\n", short(t.ID), text.Line(t.By), t.Did, t.At.Local().Format("15:04:05"))
	}
}

// desk reads escalations. Decisions go through s.People, which may be in another process.
func (s *session) desk() *handoff.Desk {
	if s.Desk != nil {
		return s.Desk
	}
	d := handoff.NewDesk(s.Runs, dlq.New(s.Bus), handoff.NewClaims(s.Bus), nil)
	d.Notified, d.Proofs = notify.Notified(s.Bus), approval.NewPublished(s.Bus)
	return d
}

// findEscalation finds an escalation by its id, or by the end of it.
func (s *session) findEscalation(ctx context.Context, id string) (string, error) {
	full, err := handoff.Find(ctx, s.Runs, dlq.New(s.Bus), typed(id))
	return full, listed(err)
}

func (a *app) listEscalations(list []handoff.Item) error {
	if len(list) == 0 {
		fmt.Fprintln(a.Out, nothingWaits)
		return nil
	}
	head, rows := []any{"ID", "KIND", "WORKFLOW", "STEP", "DUE", "SINCE", "WHO"}, [][]any{}
	for _, e := range list {
		rows = append(rows, []any{
			a.idCell(e.ID), e.Kind, a.cell(e.Workflow, 8), a.cell(forPeople(e.Step), 10), left(e.Deadline), cli.Ago(e.Opened), a.cell(claimant(e.Claim), 8),
		})
	}
	if cli.Terminal(a.Out) {
		for i, e := range list {
			rows[i] = append(rows[i], besideVotes(e, cmp.Or(e.Summary, e.Message)))
		}
		return a.ListCut(append(head, "ABOUT"), rows, view.CutSummary)
	}
	for i, e := range list {
		rows[i] = append(rows[i], cmp.Or(text.Line(e.Summary), "-"), besideVotes(e, e.Message))
	}
	return a.Table(append(head, "ABOUT", "WHY"), rows)
}

// besideVotes is a text about an escalation; if others must approve it too, behind who has approved it so far.
func besideVotes(e handoff.Item, about string) string {
	if e.Approved != "" {
		about = e.Approved + ": " + about
	}
	return text.Line(about)
}

// claimant is who has claimed an escalation.
func claimant(c *handoff.Claim) string {
	if c == nil {
		return "-"
	}
	return text.Line(c.By)
}

// left is the time until a deadline, for people.
func left(t *time.Time) string {
	if t == nil {
		return "-"
	}
	switch d := t.Sub(cli.Now()); {
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
	return &cobra.Command{Use: "show ID", Short: "Show an escalation with its whole context, and what may be decided", Example: "  dispatcher esc show refund-1009-1", Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		s, err := a.open(c.Context(), carry{})
		if err != nil {
			return err
		}
		defer s.close()
		id, err := s.findEscalation(c.Context(), args[0])
		if err != nil {
			return err
		}
		return a.showEscalation(c.Context(), s, id)
	}}
}

// act does something about an escalation that does not decide it.
func (a *app) act(ctx context.Context, id string, what people.Act) error {
	s, err := a.open(ctx, carry{})
	if err != nil {
		return err
	}
	defer s.close()
	full, err := s.findEscalation(ctx, id)
	if err != nil {
		return err
	}
	done, err := s.People.Act(ctx, a.person(), full, what)
	if err != nil {
		return err
	}
	if a.JSON() {
		return a.PrintJSON(done)
	}
	fmt.Fprintf(a.Out, "%s: %s\n", short(full), text.Line(done.Effect))
	return nil
}

// person is the one at this terminal.
func (a *app) person() people.Actor { return people.Trusted(me(), "cli") }

func (a *app) escClaim() *cobra.Command {
	var takeOver bool
	c := &cobra.Command{Use: "claim ID", Short: "Claim an escalation: you work on it, and nobody else is notified of it meanwhile", Example: "  dispatcher esc claim refund-1009-1\n  dispatcher esc claim refund-1009-1 --take   # somebody else has it", Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		return a.act(c.Context(), args[0], people.Act{Verb: people.Claim, TakeOver: takeOver})
	}}
	c.Flags().BoolVar(&takeOver, "take", false, "take over the claim of somebody else, who is notified")
	return c
}

func (a *app) escRelease() *cobra.Command {
	return &cobra.Command{Use: "release ID", Short: "Give your claim on an escalation back", Example: "  dispatcher esc release refund-1009-1", Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		return a.act(c.Context(), args[0], people.Act{Verb: people.Release})
	}}
}

func (a *app) escAssign() *cobra.Command {
	return &cobra.Command{Use: "assign ID WHO", Short: "Assign an escalation to the person who is to decide it", Example: "  dispatcher esc assign refund-1009-1 mia", Args: cobra.ExactArgs(2), RunE: func(c *cobra.Command, args []string) error {
		return a.act(c.Context(), args[0], people.Act{Verb: people.Assign, To: args[1]})
	}}
}

func (a *app) escSnooze() *cobra.Command {
	var d time.Duration
	c := &cobra.Command{Use: "snooze ID", Short: "Pause the notices of an escalation; its deadline stays", Example: "  dispatcher esc snooze refund-1009-1 --for 2h", Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		return a.act(c.Context(), args[0], people.Act{Verb: people.Snooze, Until: cli.Now().Add(d)})
	}}
	c.Flags().DurationVar(&d, "for", 30*time.Minute, "for how long, at most a week")
	return c
}

func (a *app) escNote() *cobra.Command {
	return &cobra.Command{Use: "note ID TEXT", Short: "Leave a note for whoever decides an escalation", Example: "  dispatcher esc note refund-1009-1 \"the customer calls back at three\"", Args: cobra.ExactArgs(2), RunE: func(c *cobra.Command, args []string) error {
		return a.act(c.Context(), args[0], people.Act{Verb: people.Note, Text: args[1]})
	}}
}
