package dispatcher

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"belay/internal/approval"
	"belay/internal/audit"
	"belay/internal/cli"
	"belay/internal/text"
)

func (a *app) auditCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "audit", Short: "List, verify and export the audit trail of what people did",
		RunE: cli.NeedSubcommand,
	}
	c.AddCommand(a.auditLs(), a.auditVerify(), a.auditExport())
	return c
}

// auditLog gives the trail. If this process records it, everything up to now is recorded first.
func (a *app) auditLog(ctx context.Context, s *session) (*audit.Log, error) {
	if s.Recorder != nil {
		if err := s.Recorder.Sweep(ctx); err != nil {
			return nil, err
		}
	}
	return audit.New(s.Bus), nil
}

// recordAct records what somebody did at this terminal that is not a decision.
func (a *app) recordAct(ctx context.Context, s *session, action, on string, after any) error {
	return a.recordActFor(ctx, s, action, on, "", after)
}

// recordActFor is recordAct with that person's reason.
func (a *app) recordActFor(ctx context.Context, s *session, action, on, reason string, after any) error {
	r := audit.Record{ID: "act/" + uuid.NewString(), At: s.Bus.Now(), Who: me(), Via: "cli", Action: action, On: on, Reason: reason}
	if after != nil {
		body, err := json.Marshal(after)
		if err != nil {
			return fmt.Errorf("audit record: %w", err)
		}
		r.After = body
	}
	return audit.New(s.Bus).Append(ctx, r)
}

// withAudit calls f with the trail, in which everything up to now is recorded.
func (a *app) withAudit(ctx context.Context, f func(*session, *audit.Log) error) error {
	s, err := a.open(ctx, carry{})
	if err != nil {
		return err
	}
	defer s.close()
	l, err := a.auditLog(ctx, s)
	if err != nil {
		return err
	}
	return f(s, l)
}

func (a *app) auditLs() *cobra.Command {
	var on, run string
	var limit int
	c := &cobra.Command{Use: "ls", Short: "List what people did, oldest first", Example: "  dispatcher audit ls --run refund-1009", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		if limit < 0 {
			return cli.Usage("--limit %d: must be 0 (all) or more", limit)
		}
		keep := func(r *audit.Record) bool { return (on == "" || r.Names(on)) && (run == "" || r.About(run)) }
		return a.withAudit(c.Context(), func(_ *session, l *audit.Log) error { return a.listAudit(c.Context(), l, limit, keep) })
	}}
	c.Flags().StringVar(&on, "on", "", "only about the escalation, gate, schedule, token or key with this `id`, or what was done to the run with it")
	c.Flags().StringVar(&run, "run", "", "only about the run with this `id`, and what is of it: its escalations and its agents")
	c.Flags().IntVar(&limit, "limit", 1000, "the newest so many; 0 = all")
	return c
}

func (a *app) listAudit(ctx context.Context, l *audit.Log, limit int, keep func(*audit.Record) bool) error {
	list, more, err := l.Newest(ctx, limit, keep)
	if err != nil {
		return err
	}
	if more {
		fmt.Fprintf(a.Err, "These are the newest %d; older ones are shown with --limit 0, or a larger one.\n", limit)
	}
	return a.listRecords(list)
}

func (a *app) listRecords(list []audit.Record) error {
	if a.JSON() {
		return a.PrintJSON(list)
	}
	if len(list) == 0 {
		fmt.Fprintln(a.Out, "The audit trail has no such records yet.")
		return nil
	}
	var rows [][]any
	for _, r := range list {
		what := r.Action
		if r.Counts != nil && !*r.Counts {
			what += " (did not count)"
		}
		rows = append(rows, []any{r.Index, r.At.Local().Format("2006-01-02 15:04:05"), text.Cut(text.Line(r.Who), 12), r.Via, text.Cut(what, 24), text.CutFront(short(r.On), 16), text.Line(recordWhy(r))})
	}
	return a.List([]any{"NO", "WHEN", "WHO", "VIA", "DID", "ON", "WHY"}, rows)
}

// recordWhy is why somebody did it and, if it did not count, why not.
func recordWhy(r audit.Record) string {
	why := r.Reason
	if r.Over != "" {
		why = strings.TrimPrefix(why+"; over the claim of "+r.Over, "; ")
	}
	if r.Counts != nil && !*r.Counts {
		why = strings.TrimPrefix(why+"; "+r.Effect, "; ")
	}
	return why
}

type verifyFlags struct{ file, checkpoints, trust string }

func (a *app) auditVerify() *cobra.Command {
	var f verifyFlags
	c := &cobra.Command{
		Use: "verify", Short: "Check that the trail was not edited, shortened or rewritten",
		Long: "Checks that each record follows the one before it, and that the records agree with all signed checkpoints: those in the trail,\n" +
			"those in the state directory of this machine, and those in --checkpoint. If anything was changed, the exit code is 65.",
		Example: "  dispatcher audit verify --trust keys.txt\n  dispatcher audit verify --file trail.jsonl --checkpoint backup/audit.checkpoints",
		Args:    cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error { return a.verifyTrail(c.Context(), f) },
	}
	fl := c.Flags()
	fl.StringVar(&f.file, "file", "", "check this exported `file` instead of the trail in the store; needs no server")
	fl.StringVar(&f.checkpoints, "checkpoint", "", "`file` of checkpoints kept elsewhere, like audit.checkpoints of another dispatcher")
	fl.StringVar(&f.trust, "trust", "", "`file` of the public keys that sign checkpoints, as 'dispatcher keys export' writes it (default: the keys that dispatchers publish)")
	return c
}

func (a *app) verifyTrail(ctx context.Context, f verifyFlags) error {
	t, keys, err := a.trailAndKeys(ctx, f)
	if err != nil {
		return err
	}
	kept, err := a.keptCheckpoints(f)
	if err != nil {
		return err
	}
	r := audit.Verify(t, kept, keys)
	if a.JSON() {
		if err := a.PrintJSON(r); err != nil {
			return err
		}
	} else {
		a.printReport(r)
	}
	if !r.OK() {
		return cli.WithCode(cli.ExitInvalid, errors.New("the audit trail was changed: the lines above say where"))
	}
	return nil
}

func (a *app) printReport(r audit.Report) {
	for _, f := range r.Faults {
		fmt.Fprintln(a.Out, text.Line(f))
	}
	for _, s := range r.Strays {
		fmt.Fprintln(a.Out, text.Line(s)+"; left out: somebody else has published it")
	}
	fmt.Fprintf(a.Out, "%d records, %d checkpoints agree and cover the first %d\n", r.Records, r.Checkpoints, r.Covered)
}

func (a *app) trailAndKeys(ctx context.Context, f verifyFlags) (audit.Trail, []ed25519.PublicKey, error) {
	trusted, err := trustedKeys(f.trust)
	if err != nil {
		return audit.Trail{}, nil, err
	}
	if f.file != "" {
		return exportedTrail(f.file, trusted)
	}
	var t audit.Trail
	err = a.withAudit(ctx, func(s *session, l *audit.Log) (err error) {
		if t, err = l.Read(ctx); err == nil && trusted == nil {
			trusted, err = publishedKeys(ctx, s)
		}
		return err
	})
	return t, trusted, err
}

func exportedTrail(path string, trusted []ed25519.PublicKey) (audit.Trail, []ed25519.PublicKey, error) {
	r, err := os.Open(path)
	if err != nil {
		return audit.Trail{}, nil, err
	}
	defer func() { _ = r.Close() }()
	t, keys, err := audit.Import(r)
	if err != nil {
		return t, nil, cli.WithCode(cli.ExitInvalid, err)
	}
	if trusted == nil {
		trusted = keys
	}
	return t, trusted, nil
}

// trustedKeys are the keys in a file; nil without a file.
func trustedKeys(path string) ([]ed25519.PublicKey, error) {
	if path == "" {
		return nil, nil
	}
	list, err := approval.ReadPinned(path)
	return rawKeys(list), err
}

func publishedKeys(ctx context.Context, s *session) ([]ed25519.PublicKey, error) {
	list, err := approval.NewPublished(s.Bus).List(ctx)
	return rawKeys(list), err
}

func rawKeys(list []approval.PublicKey) []ed25519.PublicKey {
	keys := make([]ed25519.PublicKey, len(list))
	for i, k := range list {
		keys[i] = k.Key
	}
	return keys
}

// keptCheckpoints are the checkpoints outside the store: those in --checkpoint, and those of this machine unless an
// exported file is checked, which may come from elsewhere.
func (a *app) keptCheckpoints(f verifyFlags) ([]string, error) {
	var all []string
	if f.checkpoints != "" {
		kept, err := audit.Kept(f.checkpoints)
		if err != nil {
			return nil, err
		}
		all = append(all, kept...)
	}
	if f.file != "" {
		return all, nil
	}
	dir, err := a.StateDir()
	if err != nil {
		return nil, err
	}
	server := a.Conn.Server
	if server == "" && a.Conn.Context == "" {
		if server, err = cli.FindServer(dir); errors.Is(err, cli.ErrNoServer) {
			server, err = "", nil
		}
	}
	for _, file := range []string{checkpointsFile(dir, a.trailAt(server)), checkpointsFile(dir, "")} {
		own, readErr := audit.Kept(file)
		if readErr == nil {
			return append(all, own...), nil
		}
		if !errors.Is(readErr, fs.ErrNotExist) {
			return nil, readErr
		}
		if a.Conn.Server != "" || a.Conn.Context != "" {
			break // a server elsewhere: the local store is a different one
		}
	}
	return all, err
}

func (a *app) auditExport() *cobra.Command {
	return &cobra.Command{Use: "export", Short: "Print the whole trail, for `dispatcher audit verify --file` anywhere", Example: "  dispatcher audit export > trail.jsonl", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		return a.withAudit(c.Context(), func(s *session, l *audit.Log) error {
			t, err := l.Read(c.Context())
			if err != nil {
				return err
			}
			keys, err := publishedKeys(c.Context(), s)
			if err != nil {
				return err
			}
			return audit.Export(a.Out, t, keys)
		})
	}}
}
