package dispatcher

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"belay/internal/cli"
	"belay/internal/handoff"
	"belay/internal/runlog"
	"belay/internal/text"
)

func (a *app) runsArchive() *cobra.Command {
	var older, where, to string
	var remove bool
	c := &cobra.Command{
		Use: "archive", Short: "Write ended runs into a file that can be checked, or show and verify one", Args: cobra.NoArgs,
		Long: "Writes the whole logs of ended runs into a file, one JSON document per line, with a digest of each run and of all. It is synced to\n" +
			"disk, read again and checked before it gets its name: a file that is there is whole. A folder gets a file that is named after the\n" +
			"time. Nothing is removed from the log; `serve --retention` does that in its time, and --remove at once, once the file is there and\n" +
			"for each run whose log still has the digest that the file says. It takes an admin, and is in the audit trail. Interrupted, it has\n" +
			"lost nothing: repeat it with another --to for the runs that are left.",
		Example: "  dispatcher runs archive --older-than 30d --to /backup/runs\n  dispatcher runs archive --older-than 1d --where 'refund state:failed' --to failed.jsonl\n" +
			"  dispatcher runs archive --older-than 30d --to /backup/runs --remove\n" +
			"  dispatcher runs archive verify failed.jsonl\n  dispatcher runs archive show failed.jsonl refund-1009",
		RunE: func(c *cobra.Command, _ []string) error { return a.archive(c.Context(), older, where, to, remove) },
	}
	c.Flags().StringVar(&older, "older-than", "", "runs that ended before this `time`: 30d, 2h, or an RFC 3339 time (required)")
	c.Flags().StringVar(&where, "where", "", "only runs that this `query` finds, as in runs ls --where")
	c.Flags().StringVar(&to, "to", "", "`file` that is not there yet, or a folder (required)")
	c.Flags().BoolVar(&remove, "remove", false, "remove from the log what the file has, once it is on disk and was read again")
	c.AddCommand(a.archiveShow(), a.archiveVerify())
	return c
}

func (a *app) archive(ctx context.Context, older, where, to string, remove bool) error {
	if older == "" || to == "" {
		return cli.Usage("say which runs and where to: --older-than 30d --to FILE")
	}
	f, err := runlog.ParseQuery(where, cli.Now())
	if err != nil {
		return cli.Usage("--where %v", err)
	}
	if f.EndedUntil, err = parseTime("older-than", older); err != nil { // before anything is asked
		return err
	}
	s, err := a.open(ctx, carry{})
	if err != nil {
		return err
	}
	defer s.close()
	if f.EndedUntil, err = parseTime("older-than", older); err != nil { // by the server's clock
		return err
	}
	if about, err := os.Stat(to); err == nil && about.IsDir() {
		to = filepath.Join(to, "runs-"+cli.Now().UTC().Format("20060102T150405Z")+".jsonl")
	} else if !errors.Is(err, fs.ErrNotExist) {
		return cli.Usage("--to %s: it is there already; an archive is never written over", to)
	}
	end, err := writeArchive(ctx, s.Runs, f, to)
	if err != nil {
		return err
	}
	says := map[string]any{"file": to, "runs": end.Runs, "entries": end.Entries, "sha256": end.SHA256}
	if !a.JSON() {
		fmt.Fprintf(a.Out, "%s: runs %d, entries %d, sha256 %s\n", to, end.Runs, end.Entries, end.SHA256)
	}
	if remove {
		says["removed"], err = a.removeArchived(ctx, s, to, end.Runs)
	}
	if a.JSON() {
		return errors.Join(a.PrintJSON(says), err)
	}
	if remove {
		fmt.Fprintf(a.Out, "removed from the log: %d of %d\n", says["removed"], end.Runs)
	}
	return err
}

// removeArchived removes from the log the runs of an archive that is there, and returns how many of them it has no longer. A run that
// cannot be removed is said, and does not keep the others.
func (a *app) removeArchived(ctx context.Context, s *session, file string, runs int) (removed int, err error) {
	var list []runlog.ArchiveRun
	_, _, err = readArchive(file, func(r runlog.ArchiveRun, _ []byte) error {
		list = append(list, r)
		return nil
	})
	if err != nil {
		return 0, err
	}
	if abs, err := filepath.Abs(file); err == nil {
		file = abs
	}
	became, err := handoff.Removals{Act: s.People.Act, Who: a.person(), File: file}.Do(ctx, handoff.RemovalsOf(list))
	for _, r := range became {
		switch r.Result {
		case handoff.RunRemoved, handoff.RunGone:
			removed++
		case handoff.RunKept:
			fmt.Fprintln(a.Err, text.Line(r.Detail))
		}
	}
	if errors.Is(err, handoff.ErrUnrecorded) {
		err = cli.WithCode(cli.ExitTemporary, err)
	}
	if err != nil {
		return removed, err
	}
	if removed < runs {
		return removed, cli.WithCode(cli.ExitTemporary, fmt.Errorf("runs that are archived and still in the log: %d; archive them once more, with another --to", runs-removed))
	}
	return removed, nil
}

// writeArchive writes an archive beside its place, checks what is on disk, and puts it there.
func writeArchive(ctx context.Context, runs *runlog.Log, f runlog.Filter, to string) (end runlog.ArchiveEnd, err error) {
	part, err := os.CreateTemp(filepath.Dir(to), filepath.Base(to)+".part-*")
	if err != nil {
		return end, fmt.Errorf("--to: %w", err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(part.Name())
		}
	}()
	defer func() { _ = part.Close() }()
	if end, err = runs.Archive(ctx, f, part); err != nil {
		return end, err
	}
	if err = part.Sync(); err != nil {
		return end, err
	}
	if _, err = part.Seek(0, 0); err != nil {
		return end, err
	}
	_, found, err := runlog.ReadArchive(part, nil)
	if err == nil && found != end {
		err = runlog.ErrDamaged
	}
	if err == nil {
		err = os.Link(part.Name(), to) // fails where somebody else has made it meanwhile
	}
	if err == nil {
		err = os.Remove(part.Name())
	}
	if err != nil {
		return end, fmt.Errorf("%s: %w", to, err)
	}
	return end, syncDir(filepath.Dir(to))
}

// syncDir makes the name of a new file outlive a power cut.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (a *app) archiveVerify() *cobra.Command {
	return &cobra.Command{Use: "verify FILE", Short: "Check that an archive is whole, and what was written", Example: "  dispatcher runs archive verify failed.jsonl", Args: cobra.ExactArgs(1), RunE: func(_ *cobra.Command, args []string) error {
		head, end, err := readArchive(args[0], nil)
		if err != nil {
			return err
		}
		if a.JSON() {
			return a.PrintJSON(map[string]any{"file": args[0], "made": head.Made, "where": head.Where, "runs": end.Runs, "entries": end.Entries, "sha256": end.SHA256})
		}
		fmt.Fprintf(a.Out, "whole: runs %d, entries %d, made %s, sha256 %s\n", end.Runs, end.Entries, head.Made.Format("2006-01-02T15:04:05Z"), end.SHA256)
		return nil
	}}
}

func (a *app) archiveShow() *cobra.Command {
	return &cobra.Command{Use: "show FILE [ID]", Short: "List the runs of an archive, or print the log of one", Example: "  dispatcher runs archive show failed.jsonl\n  dispatcher runs archive show failed.jsonl refund-1009", Args: cobra.RangeArgs(1, 2), RunE: func(_ *cobra.Command, args []string) error {
		list, id := []runlog.ArchiveRun{}, ""
		if len(args) == 2 {
			id = args[1]
		}
		var log []byte
		_, _, err := readArchive(args[0], func(r runlog.ArchiveRun, lines []byte) error {
			list = append(list, r)
			if r.ID == id {
				log = bytes.Clone(lines)
			}
			return nil
		})
		switch {
		case err != nil:
			return err
		case id != "" && log == nil:
			return fmt.Errorf("%s: %w: %s", args[0], runlog.ErrNoRun, id)
		case id != "":
			_, err := a.Out.Write(log)
			return err
		case a.JSON():
			return a.PrintJSON(list)
		}
		rows := make([][]any, len(list))
		for i, r := range list {
			rows[i] = []any{r.ID, strings.TrimSpace(r.Workflow), r.State, r.Ended.Format("2006-01-02T15:04:05Z"), r.Entries}
		}
		return a.Table([]any{"RUN", "WORKFLOW", "STATE", "ENDED", "ENTRIES"}, rows)
	}}
}

func readArchive(path string, f func(runlog.ArchiveRun, []byte) error) (runlog.ArchiveHead, runlog.ArchiveEnd, error) {
	file, err := os.Open(path)
	if err != nil {
		return runlog.ArchiveHead{}, runlog.ArchiveEnd{}, cli.WithCode(cli.ExitInvalid, err)
	}
	defer func() { _ = file.Close() }()
	head, end, err := runlog.ReadArchive(file, f)
	if err != nil {
		err = cli.WithCode(cli.ExitInvalid, fmt.Errorf("%s: %w", path, err))
	}
	return head, end, err
}
