package api

import (
	"bufio"
	"errors"
	"fmt"
	"net/http"
	"time"

	"belay/internal/handoff"
	"belay/internal/people"
	"belay/internal/runlog"
)

// removalOrder says which runs of an archive are to be removed from the log.
type removalOrder struct {
	Items   []handoff.Removal `json:"items"`
	Archive string            `json:"archive"` // where it is, for the audit trail
}

// removals says what became of them.
type removals struct {
	Items   []handoff.Removed `json:"items"`
	Removed int               `json:"removed"` // how many of them the log has no longer
}

// archive writes the runs that a query finds as an archive. One that could not be written to its end has no last line, and its
// connection breaks.
func (a *api) archive(w http.ResponseWriter, r *http.Request) {
	f, err := a.archived(r)
	if err != nil {
		refuse(w, err)
		return
	}
	out := &slowly{w: w, to: http.NewResponseController(w)}
	file := bufio.NewWriterSize(out, 64<<10)
	if _, err = a.Runs.Archive(r.Context(), f, file); err == nil {
		err = file.Flush()
	}
	switch {
	case err == nil:
	case out.begun:
		panic(http.ErrAbortHandler) // what there is must not look whole
	default:
		refuse(w, err)
	}
}

// archived are the runs that an archive is asked for.
func (a *api) archived(r *http.Request) (runlog.Filter, error) {
	q := r.URL.Query()
	f, err := runlog.ParseQuery(q.Get("where"), a.Desk.Now())
	if err != nil {
		return f, fault{http.StatusBadRequest, "invalid", "where", err.Error()}
	}
	if f.EndedUntil, err = time.Parse(time.RFC3339, q.Get("ended_until")); err != nil {
		return f, fault{http.StatusBadRequest, "invalid", "this is not a time", "ended_until must be a time like 2026-01-31T08:00:00Z: runs that ended before it are archived"}
	}
	return f, nil
}

// slowly writes to a caller who may take [slowest] for each piece.
type slowly struct {
	w     http.ResponseWriter
	to    *http.ResponseController
	begun bool
}

func (s *slowly) Write(b []byte) (int, error) {
	if !s.begun {
		s.begun = true
		h := s.w.Header()
		h.Set("Content-Type", "application/x-ndjson")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
	}
	if err := s.to.SetWriteDeadline(time.Now().Add(slowest)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, err
	}
	return s.w.Write(b)
}

// removeArchived removes from the log what the caller has in an archive.
func (a *api) removeArchived(w http.ResponseWriter, r *http.Request) {
	var o removalOrder
	err := decode(w, r, &o)
	who := a.Who(r)
	if err == nil {
		err = who.May(people.RemoveRun)
	}
	switch n := len(o.Items); {
	case err != nil:
	case n == 0 || n > largestPage:
		err = fmt.Errorf("%w: %d runs; from 1 to %d are removed at a time", handoff.ErrInvalid, n, largestPage)
	case o.Archive == "":
		err = fmt.Errorf("%w: archive says where the archive is, for the audit trail", handoff.ErrInvalid)
	}
	var became []handoff.Removed
	if err == nil {
		became, err = handoff.Removals{Act: a.Desk.Act, Who: who, File: o.Archive}.Do(r.Context(), o.Items)
	}
	if err != nil {
		refuse(w, err)
		return
	}
	done := removals{Items: became}
	for _, it := range became {
		if it.Result == handoff.RunRemoved || it.Result == handoff.RunGone {
			done.Removed++
		}
	}
	answer(w, done)
}
