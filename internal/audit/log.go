package audit

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"belay/internal/bus"
	"belay/internal/exactjson"
	"belay/internal/wire"
)

// Log is the trail in the stream. It is safe for concurrent use, also by several processes: records are appended by
// compare-and-set, and the loser appends after the winner.
type Log struct {
	bus   *bus.Bus
	names wire.Names
	mu    sync.Mutex
	head  head
}

// head is the end of the trail as last seen.
type head struct {
	known bool
	next  int64  // index of the next record
	prev  string // hash of the last one
	seq   uint64 // of the last one in the stream
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
	r.Index, r.Prev = l.head.next, l.head.prev
	body, err := json.Marshal(r)
	if err != nil {
		return false, fmt.Errorf("audit record: %w", err)
	}
	seq, err := l.bus.PublishWait(ctx, l.names.AuditStream(), bus.Message{Subject: l.names.AuditRecord(), Data: body, Expect: &l.head.seq})
	if err != nil {
		l.head.known = false
	}
	switch {
	case errors.Is(err, bus.ErrConflict):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("audit record: %w", err)
	}
	l.head = head{true, r.Index + 1, sum(body), seq}
	return true, nil
}

// find reads where the trail ends.
func (l *Log) find(ctx context.Context) error {
	if l.head.known {
		return nil
	}
	e, ok, err := l.bus.Last(ctx, l.names.AuditStream(), l.names.AuditRecord())
	if err != nil {
		return fmt.Errorf("end of the audit trail: %w", err)
	}
	l.head = head{known: true}
	if !ok {
		return nil
	}
	var r Record
	if err := exactjson.Unmarshal(e.Data, &r); err != nil {
		return fmt.Errorf("the last audit record cannot be read, so none can follow it: %w", err)
	}
	l.head = head{true, r.Index + 1, sum(e.Data), e.Seq}
	return nil
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

// checkpoints signs checkpoints of the trail as it grows.
type checkpoints struct {
	log  *Log
	tree tree
	seq  uint64    // of the last record in the tree
	size int64     // of the last checkpoint
	made time.Time // when it was made; of one of another process, when this one began
}

// resume continues after the last checkpoint, so that a new process does not sign everything again. A forged checkpoint is
// found when the trail is verified.
func (c *checkpoints) resume(ctx context.Context) error {
	l := c.log
	e, ok, err := l.bus.Last(ctx, l.names.AuditStream(), l.names.AuditCheckpoint())
	if err != nil || !ok {
		return err
	}
	c.size = sizeOf(Origin(l.names.Prefix), string(e.Data))
	return nil
}

// storeEvery is how often a checkpoint is made although nobody has done anything, because runs go on.
const storeEvery = time.Hour

// sizeOf is how many records a signed checkpoint covers; 0 if it is not one. It is not verified.
func sizeOf(origin, checkpoint string) int64 {
	text, _, _ := strings.Cut(checkpoint, "\n\n")
	size, _, _, err := parseCheckpoint(origin, text+"\n")
	if err != nil {
		return 0
	}
	return size
}

// make stores a checkpoint of all records and returns it; it returns "" if there are no new records and the last checkpoint
// covers no more than the first kept records, which are covered outside the store; but where store, which may be nil, says
// something of the log of runs, at least one is made each [storeEvery].
func (c *checkpoints) make(ctx context.Context, key ed25519.PrivateKey, now time.Time, kept int64, store func(context.Context) ([]string, error)) (text string, err error) {
	l := c.log
	if c.made.IsZero() {
		c.made = now
	}
	if c.seq == 0 {
		if err := c.resume(ctx); err != nil {
			return "", err
		}
	}
	entries, err := l.bus.ReadSubject(ctx, l.names.AuditStream(), l.names.AuditRecord(), c.seq)
	if err != nil {
		return "", fmt.Errorf("audit checkpoint: %w", err)
	}
	for _, e := range entries {
		if err := c.tree.add(e.Data); err != nil {
			return "", err
		}
		c.seq = e.Seq
	}
	if due := store != nil && now.Sub(c.made) >= storeEvery; c.tree.size == c.size && kept >= c.size && !due {
		return "", nil
	}
	var lines []string
	if store != nil {
		if lines, err = store(ctx); err != nil {
			return "", fmt.Errorf("audit checkpoint: %w", err)
		}
	}
	root, err := c.tree.root(c.tree.size)
	if err != nil {
		return "", fmt.Errorf("audit checkpoint: %w", err)
	}
	if text, err = signed(key, checkpointText(Origin(l.names.Prefix), c.tree.size, root, now, lines...)); err != nil {
		return "", err
	}
	if _, err := l.bus.PublishWait(ctx, l.names.AuditStream(), bus.Message{Subject: l.names.AuditCheckpoint(), Data: []byte(text)}); err != nil {
		return "", fmt.Errorf("audit checkpoint: %w", err)
	}
	c.size, c.made = c.tree.size, now
	return text, nil
}
