package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"belay/internal/bus"
	"belay/internal/wire"
)

// Log is the trail in the stream. It is safe for concurrent use, also by several processes: records are appended by
// compare-and-set, and the loser appends after the winner.
type Log struct {
	bus   *bus.Bus
	names wire.Names
	mu    sync.Mutex
	end   follower
	known bool // end is where the trail ends, unless another process has appended since
}

// New makes a Log on a connected bus.
func New(b *bus.Bus) *Log { return &Log{bus: b, names: b.Names()} }

// doubts is how often a record is written until the server confirms it.
const doubts = 3

// Append adds a record; Index and Prev are filled in. It returns once the record is stored. One that was not confirmed is
// appended again, and may then be there twice, with the same ID: being readable does not prove that it is stored.
func (l *Log) Append(ctx context.Context, r Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	r.Before, r.After = bounded(r.Before), bounded(r.After)
	for doubt := 0; ; {
		if err := l.find(ctx); err != nil {
			return err
		}
		stored, err := l.try(ctx, r)
		if errors.Is(err, bus.ErrUncertain) && doubt < doubts {
			doubt++
			continue
		}
		if stored || err != nil {
			return err
		}
	}
}

// try appends after the known head; false means that another process was first.
func (l *Log) try(ctx context.Context, r Record) (bool, error) {
	r.Index, r.Prev = l.end.next.index, l.end.next.prev
	body, err := json.Marshal(r)
	if err != nil {
		return false, fmt.Errorf("audit record: %w", err)
	}
	seq, err := l.bus.PublishWait(ctx, l.names.AuditStream(), bus.Message{Subject: l.names.AuditRecord(), Data: body, Expect: &l.end.seq})
	if err != nil {
		l.known = false
	}
	switch {
	case errors.Is(err, bus.ErrConflict):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("audit record: %w", err)
	}
	hash := sum(body)
	l.end = follower{place{r.Index + 1, hash}, seq, hash}
	return true, nil
}

// find reads where the trail ends.
func (l *Log) find(ctx context.Context) error {
	if l.known {
		return nil
	}
	none := func([]byte) error { return nil }
	err := l.end.read(ctx, l, none)
	if errors.Is(err, errAnother) {
		l.end = follower{}
		err = l.end.read(ctx, l, none)
	}
	l.known = err == nil
	return err
}

// Read reads the whole trail.
func (l *Log) Read(ctx context.Context) (Trail, error) {
	t := Trail{Origin: Origin(l.names.Prefix)}
	records, err := l.bus.ReadSubject(ctx, l.names.AuditStream(), l.names.AuditRecord(), 0)
	if err != nil {
		return t, fmt.Errorf("audit trail: %w", err)
	}
	for _, e := range records {
		t.Records = append(t.Records, e.Data)
	}
	notes, err := l.bus.ReadSubject(ctx, l.names.AuditStream(), l.names.AuditCheckpoint(), 0)
	if err != nil {
		return t, fmt.Errorf("audit checkpoints: %w", err)
	}
	for _, e := range notes {
		t.Checkpoints = append(t.Checkpoints, string(e.Data))
	}
	return t, nil
}
