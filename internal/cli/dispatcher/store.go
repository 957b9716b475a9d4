package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"belay/internal/audit"
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
	c.AddCommand(a.storeCheck(), a.storeAccept(), a.storeRestored())
	return c
}

func (a *app) storeCheck() *cobra.Command {
	var f verifyFlags
	c := &cobra.Command{
		Use: "check", Short: "Read the whole log, and compare it with what it is known to hold", Example: "  dispatcher store check\n  dispatcher store check --checkpoint elsewhere/audit.checkpoints", Args: cobra.NoArgs,
		Long: "Reads every entry of the log and compares it with the tally inside the store, and with what the newest checkpoint of the audit trail\n" +
			"says of it: where store and tally have gone back together, only whoever has a checkpoint from elsewhere finds that. It changes nothing.\n" +
			"What came in the last seconds is not in the tally yet. Exit code 1 if something is wrong, or was found before and is not accepted.",
		RunE: func(c *cobra.Command, _ []string) error { return a.checkStore(c.Context(), f) },
	}
	c.Flags().StringVar(&f.checkpoints, "checkpoint", "", "`file` of checkpoints kept elsewhere, like audit.checkpoints of another dispatcher")
	c.Flags().StringVar(&f.trust, "trust", "", "`file` of the public keys that sign checkpoints, as 'dispatcher keys export' writes it (default: the keys that dispatchers publish)")
	return c
}

// checked is what `store check` says.
type checked struct {
	tally.Report
	Signed time.Time `json:"signed,omitzero"` // when the newest checkpoint was that says something of the log
	Back   []string  `json:"back"`            // what does not fit to it
}

func (a *app) checkStore(ctx context.Context, f verifyFlags) error {
	s, err := a.open(ctx, carry{})
	if err != nil {
		return err
	}
	defer s.close()
	last := time.Now()
	r := checked{Back: []string{}}
	r.Report, err = tally.Check(ctx, s.Bus, a.tallyOf(s), func(entries int) {
		if time.Since(last) > 2*time.Second {
			last = time.Now()
			fmt.Fprintf(a.Err, "%d entries read\n", entries)
		}
	})
	if err == nil {
		err = a.checkSigned(ctx, s, f, &r)
	}
	if err != nil {
		return err
	}
	code := cli.ExitOK
	if len(r.Open)+len(r.Found)+len(r.Back) > 0 {
		code = cli.ExitUnexpected
	}
	if a.JSON() {
		return errors.Join(a.PrintJSON(r), cli.Quiet(code))
	}
	a.printChecked(&r, code)
	return cli.Quiet(code)
}

// checkSigned compares the log with what the newest checkpoint says of it.
func (a *app) checkSigned(ctx context.Context, s *session, f verifyFlags, r *checked) error {
	keys, err := trustedKeys(f.trust)
	if err == nil && keys == nil {
		keys, err = publishedKeys(ctx, s)
	}
	if err != nil {
		return err
	}
	own, err := a.keptCheckpoints(verifyFlags{})
	if err != nil {
		return err
	}
	kept := [][]string{own}
	if f.checkpoints != "" {
		elsewhere, err := audit.Kept(f.checkpoints)
		if err != nil {
			return err
		}
		kept = append(kept, elsewhere)
	}
	for n, list := range kept { // apart from each other: of a log that has gone back, this machine may have newer ones
		lines, at := audit.Stored(audit.Origin(s.Bus.Names().Prefix), list, keys)
		if lines == nil && n > 0 {
			return fmt.Errorf("no checkpoint in %s that is signed by a known key says anything of the log; name the keys with --trust", f.checkpoints)
		}
		back, err := tally.Against(ctx, s.Bus, lines, at)
		if err != nil {
			return err
		}
		r.Signed, r.Back = at, append(r.Back, back...)
	}
	return nil
}

func (a *app) printChecked(r *checked, code int) {
	for _, p := range r.Partitions {
		fmt.Fprintf(a.Out, "partition %d: %d entries compared, up to sequence %d of %d\n", p.Partition, p.Entries, p.UpTo, p.LastSeq)
	}
	for _, text := range r.Back {
		fmt.Fprintln(a.Out, "signed: "+text)
	}
	for _, d := range r.Found {
		fmt.Fprintln(a.Out, "found now: "+d.Text())
	}
	for _, d := range r.Open {
		fmt.Fprintf(a.Out, "found %s: %s\n", d.Found.Local().Format("2006-01-02 15:04:05"), d.Text())
	}
	switch {
	case code == cli.ExitOK && r.Accepted > 0:
		fmt.Fprintf(a.Out, "Nothing is missing or changed, beside what was accepted (%d times).\n", r.Accepted)
	case code == cli.ExitOK:
		fmt.Fprintln(a.Out, "Nothing is missing or changed.")
	case len(r.Open)+len(r.Found) > 0:
		fmt.Fprintln(a.Out, a.Named("Look at these runs (`dispatcher runs show`), and at what their tools did. Then: dispatcher store accept --reason TEXT"))
	default:
		fmt.Fprintln(a.Out, a.Named("The log is an older copy, and nobody has said so yet. So that nothing is done twice: dispatcher store restored --reason TEXT"))
	}
}

// tallyOf is the folder outside the store of a command that has opened the store itself; empty where a server has it.
func (a *app) tallyOf(s *session) string {
	if dir, err := a.StateDir(); err == nil && s.embedded {
		return tallyDir(dir, "")
	}
	return ""
}

func (a *app) storeRestored() *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use: "restored", Short: "Say, before a dispatcher is started, that the log is an old copy", Example: "  dispatcher store restored --reason \"the copy of 2 a.m., after the disk failed\"", Args: cobra.NoArgs,
		Long: "A log that was restored from a backup does not know what was done after it. Where the tally outside the store is newer, a\n" +
			"dispatcher finds that by itself; where it is lost too, nobody does, and calls that must not happen twice would be made again. After\n" +
			"this command they are held back, as after any other damage, until somebody says `dispatcher store accept`. It can be said while a\n" +
			"dispatcher runs, too.",
		RunE: func(c *cobra.Command, _ []string) error { return a.declareRestored(c.Context(), reason) },
	}
	c.Flags().StringVar(&reason, "reason", "", "which copy, and why (required)")
	return c
}

func (a *app) declareRestored(ctx context.Context, reason string) error {
	if reason == "" {
		return cli.Usage("say with --reason which copy was restored, and why: whoever accepts it reads that")
	}
	s, err := a.open(ctx, carry{})
	if err != nil {
		return err
	}
	defer s.close()
	found, err := s.DeclareRestored(ctx, people.Trusted(me(), "cli"), a.tallyOf(s), reason)
	switch {
	case err != nil:
		return err
	case a.JSON():
		return a.PrintJSON(append([]tally.Damage{}, found...))
	case len(found) == 0:
		fmt.Fprintln(a.Out, "There is nothing in the log.")
		return nil
	}
	for _, d := range found {
		fmt.Fprintln(a.Out, "noted: "+d.Text())
	}
	fmt.Fprintln(a.Out, a.Named("Calls that must not happen twice are held back from now on, until somebody says: dispatcher store accept --reason TEXT"))
	return nil
}

func (a *app) storeAccept() *cobra.Command {
	var v tally.Verdict
	var calls string
	c := &cobra.Command{
		Use: "accept", Short: "Say that work may go on after the log was damaged, and what becomes of calls that it may have forgotten",
		Example: "  dispatcher store accept --reason \"restored yesterday's copy; the probes will find what was paid\"\n" +
			"  dispatcher store accept --calls run --run order-7 --reason \"the bank knows of no payment\"", Args: cobra.NoArgs,
		Long: "Accepts everything that was found about the log until now; /readyz says ready again. It takes an admin. Who accepted what, and why,\n" +
			"is in the audit trail.\n\n" +
			"A call that must not happen twice may have happened, and the log has forgotten it. With --calls ask (the default) no such call of a\n" +
			"run that may be affected is made: it counts as unknown, and its tool's probe or a person settles it. With --calls run they are made.\n" +
			"With --run or --partition that is said of some only; the rest goes on waiting.",
		RunE: func(c *cobra.Command, _ []string) error {
			v.Calls = tally.Calls(calls)
			return a.acceptStore(c.Context(), v)
		},
	}
	c.Flags().StringVar(&v.Reason, "reason", "", "why work may go on (required)")
	c.Flags().StringVar(&calls, "calls", string(tally.CallsAsk), "what becomes of calls that the log may have forgotten: ask (not made; probes or people settle them) or run (made)")
	c.Flags().StringSliceVar(&v.Runs, "run", nil, "only what is about these runs (ids)")
	c.Flags().IntSliceVar(&v.Partitions, "partition", nil, "only what was found in these partitions")
	return c
}

func (a *app) acceptStore(ctx context.Context, v tally.Verdict) error {
	if v.Reason == "" {
		return cli.Usage("say with --reason why work may go on: it stands in the audit trail")
	}
	if err := v.Check(); err != nil {
		return cli.Usage("--%v", err)
	}
	s, err := a.open(ctx, carry{})
	if err != nil {
		return err
	}
	defer s.close()
	accepted, err := a.acceptIn(ctx, s, v)
	switch {
	case errors.Is(err, tally.ErrDenied):
		return cli.WithCode(cli.ExitNotAllowed, err)
	case errors.Is(err, bus.ErrNobody):
		return cli.WithCode(cli.ExitUnreachable, handoff.ErrNoDesk)
	case err != nil:
		return err
	case a.JSON():
		return a.PrintJSON(append([]tally.Damage{}, accepted...))
	case len(accepted) == 0 && v.Runs == nil && v.Partitions == nil:
		fmt.Fprintln(a.Out, "Nothing was found that is not accepted.")
	case len(accepted) == 0:
		fmt.Fprintln(a.Out, "Nothing was found about these that is not accepted.")
	}
	for _, d := range accepted {
		fmt.Fprintln(a.Out, "accepted: "+d.Text())
	}
	if slices.ContainsFunc(accepted, func(d tally.Damage) bool { return d.Kind != tally.Forked }) {
		text := v.Text()
		fmt.Fprintln(a.Out, strings.ToUpper(text[:1])+text[1:]+".")
	}
	return nil
}

func (a *app) acceptIn(ctx context.Context, s *session, v tally.Verdict) ([]tally.Damage, error) {
	if s.Tally != nil {
		return s.AcceptDamage(ctx, people.Trusted(me(), "cli"), v)
	}
	return tally.Ask(ctx, s.Bus, tally.Request{Token: a.APIToken, Name: me(), Via: "cli", Reason: v.Reason, Calls: v.Calls, Runs: v.Runs, Partitions: v.Partitions})
}
