package cli

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"belay/internal/approval"
	"belay/internal/audit"
	"belay/internal/engine"
)

func (a *app) auditCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "audit", Short: "The trail of what people did, and whether it was left alone",
		RunE: needSubcommand,
	}
	c.AddCommand(a.auditLs(), a.auditVerify(), a.auditExport())
	return c
}

// auditTrail reads the trail. Where this process records it, what has come is recorded first.
func (a *app) auditTrail(ctx context.Context, s *session) (audit.Trail, error) {
	if s.Recorder != nil {
		if err := s.Recorder.Sweep(ctx); err != nil {
			return audit.Trail{}, err
		}
	}
	return audit.New(s.Bus).Read(ctx)
}

// recordAct records what somebody did at this terminal beside decisions.
func (a *app) recordAct(ctx context.Context, s *session, action, on string, after any) error {
	r := audit.Record{ID: "act/" + uuid.NewString(), At: time.Now().UTC(), Who: me(), Via: "cli", Action: action, On: on}
	if after != nil {
		body, err := json.Marshal(after)
		if err != nil {
			return fmt.Errorf("audit record: %w", err)
		}
		r.After = body
	}
	return audit.New(s.Bus).Append(ctx, r)
}

// withTrail does something with the trail.
func (a *app) withTrail(ctx context.Context, f func(*session, audit.Trail) error) error {
	s, err := a.open(ctx, carry{})
	if err != nil {
		return err
	}
	defer s.close()
	t, err := a.auditTrail(ctx, s)
	if err != nil {
		return err
	}
	return f(s, t)
}

func (a *app) auditLs() *cobra.Command {
	var on, run string
	c := &cobra.Command{Use: "ls", Short: "List what people did, the oldest first", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		return a.withTrail(c.Context(), func(_ *session, t audit.Trail) error { return a.listRecords(picked(t, on, run)) })
	}}
	c.Flags().StringVar(&on, "on", "", "only about this escalation, token or key")
	c.Flags().StringVar(&run, "run", "", "only about this run")
	return c
}

func picked(t audit.Trail, on, run string) []audit.Record {
	list := []audit.Record{}
	for _, raw := range t.Records {
		var r audit.Record
		if json.Unmarshal(raw, &r) != nil || on != "" && r.On != on || run != "" && r.Run != run {
			continue
		}
		list = append(list, r)
	}
	return list
}

func (a *app) listRecords(list []audit.Record) error {
	if a.json() {
		return a.printJSON(list)
	}
	if len(list) == 0 {
		fmt.Fprintln(a.Out, "Nobody has done anything yet that this would list.")
		return nil
	}
	var rows [][]any
	for _, r := range list {
		what := r.Action
		if r.Counts != nil && !*r.Counts {
			what += " (did not count)"
		}
		rows = append(rows, []any{r.Index, r.At.Local().Format("2006-01-02 15:04:05"), cut(plain(r.Who), 12), r.Via, cut(what, 24), cutFront(short(r.On), 16), plain(recordWhy(r))})
	}
	return a.list([]any{"NO", "WHEN", "WHO", "VIA", "DID", "ON", "WHY"}, rows)
}

// recordWhy is why somebody did it, or why it did not count.
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
		Use: "verify", Short: "Say whether the trail was edited, cut or written anew",
		Long: "Checks that every record follows the one before it and agrees with all signed checkpoints: those in the trail, those in this\n" +
			"machine's state directory, and those in --checkpoint. Exit code 65 when something was changed.",
		Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error { return a.verifyTrail(c.Context(), f) },
	}
	fl := c.Flags()
	fl.StringVar(&f.file, "file", "", "an exported trail instead of the one in the store; needs no server")
	fl.StringVar(&f.checkpoints, "checkpoint", "", "checkpoints that somebody else has kept (audit.checkpoints of another dispatcher)")
	fl.StringVar(&f.trust, "trust", "", "file of the public keys that sign, as 'dispatcher keys export' writes it; empty = those that dispatchers publish")
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
	if a.json() {
		if err := a.printJSON(r); err != nil {
			return err
		}
	} else {
		a.printReport(r)
	}
	if !r.OK() {
		return &exitError{exitInvalid, errors.New("the audit trail is not what it was")}
	}
	return nil
}

func (a *app) printReport(r audit.Report) {
	for _, f := range r.Faults {
		fmt.Fprintln(a.Out, plain(f))
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
	s, err := a.open(ctx, carry{})
	if err != nil {
		return audit.Trail{}, nil, err
	}
	defer s.close()
	t, err := a.auditTrail(ctx, s)
	if err == nil && trusted == nil {
		trusted, err = publishedKeys(ctx, s)
	}
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
		return t, nil, &exitError{exitInvalid, err}
	}
	if trusted == nil {
		trusted = keys
	}
	return t, trusted, nil
}

// trustedKeys are those in a file; nil without one.
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

// keptCheckpoints are those outside the store that can be found: this machine's, unless a file is checked that may come
// from elsewhere, and those that were named.
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
	dir, err := a.stateDir()
	if err != nil {
		return nil, err
	}
	server := a.conn.Server
	if server == "" && a.conn.Context == "" {
		if server, err = engine.Find(dir); errors.Is(err, engine.ErrNoServer) {
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
		if a.conn.Server != "" || a.conn.Context != "" {
			break // a server somewhere else: the store here is another one
		}
	}
	return all, err
}

func (a *app) auditExport() *cobra.Command {
	return &cobra.Command{Use: "export", Short: "Print the whole trail, for `audit verify --file` anywhere", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		return a.withTrail(c.Context(), func(s *session, t audit.Trail) error {
			keys, err := publishedKeys(c.Context(), s)
			if err != nil {
				return err
			}
			return audit.Export(a.Out, t, keys)
		})
	}}
}
