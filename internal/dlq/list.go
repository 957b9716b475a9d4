package dlq

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"belay/internal/bus"
	"belay/internal/exactjson"
	"belay/internal/steps"
	"belay/internal/steps/view"
	"belay/internal/wire"
)

// List returns all entries, the oldest first. A Queue keeps them and reads only what has changed since the last call,
// because there may be many and people look often.
func (q *Queue) List(ctx context.Context) ([]Entry, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := q.refresh(ctx); err != nil {
		return nil, fmt.Errorf("list escalations: %w", err)
	}
	list := make([]Entry, 0, len(q.known))
	for _, l := range q.known {
		if l.ID != "" { // otherwise its subject names no escalation, and the dispatcher writes a dead letter about it
			list = append(list, l)
		}
	}
	slices.SortFunc(list, func(a, b Entry) int { return cmp.Or(a.Opened.Compare(b.Opened), cmp.Compare(a.ID, b.ID)) })
	return list, nil
}

// refresh updates the known entries.
func (q *Queue) refresh(ctx context.Context) error {
	conn := q.bus.ConnectedAt()
	mark, err := q.bus.Mark(ctx, q.names.EscalationsStream())
	if err != nil || mark == q.mark && conn.Equal(q.conn) {
		return err
	}
	if conn != q.conn || mark.Last < q.last { // never read, a server that may have lost the end, or the stream was made anew
		q.known, q.last, q.conn = map[string]Entry{}, 0, conn
	}
	entries, err := q.bus.ReadSubject(ctx, q.names.EscalationsStream(), q.names.EscalationsSubjects(), q.last)
	if err != nil {
		return err
	}
	for _, e := range entries {
		q.known[e.Subject], q.last = q.decode(e), e.Seq
	}
	if uint64(len(q.known)) != mark.Messages {
		if err := q.dropRemoved(ctx); err != nil {
			return err
		}
	}
	q.mark = mark
	return nil
}

// dropRemoved drops the entries that are no longer in the stream.
func (q *Queue) dropRemoved(ctx context.Context) error {
	subjects, err := q.bus.Subjects(ctx, q.names.EscalationsStream(), q.names.EscalationsSubjects())
	if err != nil {
		return err
	}
	for s := range q.known {
		if _, there := slices.BinarySearch(subjects, s); !there {
			delete(q.known, s)
		}
	}
	return nil
}

// decode reads a stored entry. If it cannot be read, the entry says so, and the others are listed all the same.
func (q *Queue) decode(e bus.Entry) Entry {
	kind, tool, id, _ := q.names.ParseEscalation(e.Subject)
	v := view.Escalation{ID: id, Kind: kind, Tool: tool}
	var s stored
	if err := exactjson.Unmarshal(e.Data, &s); err == nil && s.V == wire.Version && s.ID == id {
		return s.Entry
	}
	if v.Tool == noTool {
		v.Tool = ""
	}
	v.State, v.Opened, v.Allowed = steps.EscalationOpen, e.Time.UTC(), []steps.Verb{steps.VerbSkip}
	v.Message = "this escalation cannot be read: another version of the program wrote it, or somebody who may not; show the run itself"
	return Entry{Escalation: v, Origin: &Origin{Subject: e.Subject, Sequence: e.Seq, Size: len(e.Data), Raw: e.Data[:min(len(e.Data), maxRaw)]}}
}
