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
	"belay/internal/tally"
)

func (a *app) storeCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "store", Short: "Look whether the log is what it was, and accept what has happened to it",
		Long: "A dispatcher keeps, outside the store and inside it, what the log holds, and finds when entries are missing, say something else\n" +
			"or are behind its end, although nobody has removed them: a disk that errs, an old copy that was restored, somebody with the\n" +
			"rights. Then /readyz is 503 until somebody has looked and says that work may go on.",
		Example: "  dispatcher store check",
		RunE:    cli.NeedSubcommand,
	}
	c.AddCommand(a.storeCheck(), a.storeAccept())
	return c
}

func (a *app) storeCheck() *cobra.Command {
	return &cobra.Command{
		Use: "check", Short: "Read the whole log, and compare it with what it is known to hold", Example: "  dispatcher store check", Args: cobra.NoArgs,
		Long: "Reads every entry of the log and compares it with the tally inside the store. It changes nothing. What came in the last seconds is\n" +
			"not in the tally yet. Exit code 1 if something is wrong, or was found before and is not accepted.",
		RunE: func(c *cobra.Command, _ []string) error { return a.checkStore(c.Context()) },
	}
}

func (a *app) checkStore(ctx context.Context) error {
	s, err := a.open(ctx, carry{})
	if err != nil {
		return err
	}
	defer s.close()
	last, outside := time.Now(), ""
	if dir, err := a.StateDir(); err == nil && s.embedded {
		outside = tallyDir(dir, "")
	}
	r, err := tally.Check(ctx, s.Bus, outside, func(entries int) {
		if time.Since(last) > 2*time.Second {
			last = time.Now()
			fmt.Fprintf(a.Err, "%d entries read\n", entries)
		}
	})
	if err != nil {
		return err
	}
	code := cli.ExitOK
	if len(r.Open)+len(r.Found) > 0 {
		code = cli.ExitUnexpected
	}
	if a.JSON() {
		return errors.Join(a.PrintJSON(r), cli.Quiet(code))
	}
	for _, p := range r.Partitions {
		fmt.Fprintf(a.Out, "partition %d: %d entries compared, up to sequence %d of %d\n", p.Partition, p.Entries, p.UpTo, p.LastSeq)
	}
	for _, d := range r.Found {
		fmt.Fprintln(a.Out, "found now: "+d.Text())
	}
	for _, d := range r.Open {
		fmt.Fprintf(a.Out, "found %s: %s\n", d.Found.Local().Format("2006-01-02 15:04:05"), d.Text())
	}
	if code == cli.ExitOK {
		text := "Nothing is missing or changed."
		if r.Accepted > 0 {
			text = fmt.Sprintf("Nothing is missing or changed, beside what was accepted (%d times).", r.Accepted)
		}
		fmt.Fprintln(a.Out, text)
		return nil
	}
	fmt.Fprintln(a.Out, a.Named("Look at these runs (`dispatcher runs show`), and at what their tools did. Then: dispatcher store accept --reason TEXT"))
	return cli.Quiet(code)
}

func (a *app) storeAccept() *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use: "accept", Short: "Say that work may go on after the log was damaged", Example: "  dispatcher store accept --reason \"restored yesterday's copy; payments compared with the bank\"", Args: cobra.NoArgs,
		Long: "Accepts everything that was found about the log until now; /readyz says ready again. It takes an admin. Who accepted what, and why,\n" +
			"is in the audit trail.",
		RunE: func(c *cobra.Command, _ []string) error { return a.acceptStore(c.Context(), reason) },
	}
	c.Flags().StringVar(&reason, "reason", "", "why work may go on (required)")
	return c
}

func (a *app) acceptStore(ctx context.Context, reason string) error {
	if reason == "" {
		return cli.Usage("say with --reason why work may go on: it stands in the audit trail")
	}
	s, err := a.open(ctx, carry{})
	if err != nil {
		return err
	}
	defer s.close()
	accepted, err := a.acceptIn(ctx, s, reason)
	switch {
	case errors.Is(err, tally.ErrDenied):
		return cli.WithCode(cli.ExitNotAllowed, err)
	case errors.Is(err, bus.ErrNobody):
		return cli.WithCode(cli.ExitUnreachable, handoff.ErrNoDesk)
	case err != nil:
		return err
	case a.JSON():
		return a.PrintJSON(append([]tally.Damage{}, accepted...))
	case len(accepted) == 0:
		fmt.Fprintln(a.Out, "Nothing was found that is not accepted.")
	}
	for _, d := range accepted {
		fmt.Fprintln(a.Out, "accepted: "+d.Text())
	}
	return nil
}

func (a *app) acceptIn(ctx context.Context, s *session, reason string) ([]tally.Damage, error) {
	if s.Tally != nil {
		return s.AcceptDamage(ctx, people.Trusted(me(), "cli"), reason)
	}
	return tally.Ask(ctx, s.Bus, tally.Request{Token: a.APIToken, Name: me(), Via: "cli", Reason: reason})
}
