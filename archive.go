package belay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"belay/belaytype"
	"belay/internal/handoff"
	"belay/internal/people"
	"belay/internal/runlog"
)

// Archiving says which runs are archived.
type Archiving struct {
	EndedBefore time.Time // runs that ended before; it must be there
	Where       string    // only those that a search finds, as in `dispatcher runs ls --where`; empty = all
}

// Archive writes the whole logs of ended runs, the newest first, as `dispatcher runs archive` does: one JSON document per line, with a
// digest of each run and of all. Nothing is removed from the log. What is written is whole once Archive has returned without an error; have
// it on disk, and read it with [ReadArchive], before you call [Client.RemoveArchived].
func (c *Client) Archive(ctx context.Context, w io.Writer, a Archiving) (belaytype.Archive, error) {
	if a.EndedBefore.IsZero() {
		return belaytype.Archive{}, fmt.Errorf("belay: archive: %w: EndedBefore says which runs", ErrInvalid)
	}
	f, err := runlog.ParseQuery(a.Where, c.bus.Now())
	if err != nil {
		return belaytype.Archive{}, fmt.Errorf("belay: archive: %w: %w", ErrInvalid, err)
	}
	f.EndedUntil = a.EndedBefore
	end, err := c.runs.Archive(ctx, f, w)
	return belaytype.Archive(end), wrapped("archive", err)
}

// ReadArchive iterates over the runs of an archive, each once its entries are known to be whole. It takes no client and no server. What is not
// as it was written is an [ErrDamaged], as the last element: only a loop that comes to its end without one has seen a whole archive.
func ReadArchive(r io.Reader) iter.Seq2[belaytype.Archived, error] {
	return func(yield func(belaytype.Archived, error) bool) {
		_, _, err := runlog.ReadArchive(r, func(run runlog.ArchiveRun, lines []byte) error {
			if !yield(archived(run, lines), nil) {
				return errStop
			}
			return nil
		})
		if err != nil && !errors.Is(err, errStop) {
			yield(belaytype.Archived{}, wrapped("archive", err))
		}
	}
}

// errStop says that a loop has ended.
var errStop = errors.New("enough")

func archived(r runlog.ArchiveRun, lines []byte) belaytype.Archived {
	return belaytype.Archived{ID: r.ID, Workflow: r.Workflow, State: belaytype.RunState(r.State), Started: r.Started, Ended: r.Ended, Entries: r.Entries, SHA256: r.SHA256, Log: lines}
}

// RemoveArchived removes from the log the runs that an archive has, several at a time, and says what became of each, in their order. Archive
// is where it is, for the audit trail. A run is removed if it has ended and its log still has the digest that the archive says; others
// are kept, and their results say why. It takes an admin. An error, of [ErrForbidden], [ErrNoDispatcher] and others, ends it; the same once
// more is safe, and goes on.
func (c *Client) RemoveArchived(ctx context.Context, by, archive string, runs []belaytype.Archived) ([]belaytype.Removed, error) {
	list := make([]handoff.Removal, len(runs))
	for i, r := range runs {
		list[i] = handoff.Removal{ID: r.ID, SHA256: r.SHA256}
	}
	became, err := handoff.Removals{Act: c.desk.Act, Who: people.Trusted(whoever(by), "go"), File: archive}.Do(ctx, list)
	return each(became, func(r handoff.Removed) belaytype.Removed {
		return belaytype.Removed{ID: r.ID, Result: string(r.Result), Code: r.Code, Detail: r.Detail}
	}), wrapped("remove archived runs", err)
}
