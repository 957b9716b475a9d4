package tally

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"belay/internal/exactjson"
)

// Kind says what has happened to the log.
type Kind string

const (
	Missing  Kind = "missing"     // entries are not there any more, and nobody has removed them
	Changed  Kind = "changed"     // entries say something else than they did
	Rolled   Kind = "rolled_back" // the log ends before entries that it had
	Replaced Kind = "replaced"    // the stream is another one
	Unsynced Kind = "unsynced"    // the machine went down, and the server confirms what is not on disk yet: the last seconds may be gone
	Restored Kind = "restored"    // somebody says that it is an old copy
	Forked   Kind = "forked"      // not of the log: the audit trail is another one than what was signed
)

// Damage is something that has happened to the log behind Belay's back.
type Damage struct {
	ID        string   `json:"id"`        // unique
	Kind      Kind     `json:"kind"`      // what has happened
	Partition int      `json:"partition"` // of the log; -1 where it is not about the log
	From      uint64   `json:"from"`      // the first sequence that is affected
	To        uint64   `json:"to"`        // the last one
	Entries   int      `json:"entries"`   // how many are affected; some between may be whole
	Runs      []string `json:"runs"`      // whose entries they are, sorted
	Unnamed   int      `json:"unnamed"`   // runs of which nothing is known but that they are affected too
	// All was there at the time Since, and at the time Found it was found that it is not.
	Since time.Time `json:"since,omitzero"` // zero: not known
	Found time.Time `json:"found"`

	Head uint64 `json:"head"`          // the last sequence of the partition then
	By   string `json:"by,omitempty"`  // who says that it has happened, of a restored one; empty = it was found
	Why  string `json:"why,omitempty"` // in that person's words; of a forked trail what does not fit
	Any  bool   `json:"any,omitempty"` // it may be about any run that was there: the end of the log is gone, and what it said in its last second

	Accepted   time.Time `json:"accepted,omitzero"`     // when somebody said that work may go on
	AcceptedBy string    `json:"accepted_by,omitempty"` // who
	Reason     string    `json:"reason,omitempty"`      // in that person's words
	Calls      Calls     `json:"calls,omitempty"`       // what becomes of the calls of its runs
	Choices    []Choice  `json:"choices,omitempty"`     // for some of them before the rest, oldest first
}

// Text puts it into words.
func (d Damage) Text() string {
	text := d.brief()
	switch {
	case len(d.Runs) > 0:
		text += "; of " + plural(len(d.Runs)+d.Unnamed, "run", "runs") + ": " + strings.Join(d.Runs[:min(len(d.Runs), 10)], ", ")
		if more := len(d.Runs) + d.Unnamed - min(len(d.Runs), 10); more > 0 {
			text += fmt.Sprintf(" and %d more", more)
		}
	case d.Unnamed > 0:
		text += "; of " + plural(d.Unnamed, "run", "runs") + " whose id is not known any more"
	}
	if d.Any && d.Kind != Restored && d.Kind != Unsynced {
		text += "; of any other run what it said right before the end may be lost too"
	}
	return text
}

// brief says it without the runs.
func (d Damage) brief() string {
	if d.Kind == Forked {
		return "the audit trail is not the one that was signed: " + d.Why + "; no more of it is signed until that is accepted"
	}
	if d.Kind == Restored {
		return fmt.Sprintf("partition %d of the log is an old copy, says %s (%s): of any run in it what came after sequence %d is lost", d.Partition, d.By, d.Why, d.Head)
	}
	if d.Kind == Unsynced {
		return fmt.Sprintf("partition %d of the log: this machine went down, and the server confirms what is not on disk yet: of any run in it the last second may be lost", d.Partition)
	}
	what := map[Kind]string{Missing: "missing", Changed: "changed", Rolled: "lost: the log ended before", Replaced: "lost: the stream was made anew"}[d.Kind]
	return fmt.Sprintf("partition %d of the log: %s %s (sequences %d to %d)", d.Partition, plural(d.Entries, "entry", "entries"), what, d.From, d.To)
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprint(n, " ", many)
}

// damages is what was found, newest last.
type damages []Damage

func (ds damages) open() (open damages) {
	for _, d := range ds {
		if d.Accepted.IsZero() {
			open = append(open, d)
		}
	}
	return open
}

// with merges two lists. What was accepted in one of them is.
func (ds damages) with(others damages) damages {
	all := slices.Clone(ds)
	for _, o := range others {
		i := slices.IndexFunc(all, func(d Damage) bool { return d.ID == o.ID })
		switch {
		case i < 0:
			all = append(all, o)
		case all[i].Accepted.IsZero() && (!o.Accepted.IsZero() || len(o.Choices) >= len(all[i].Choices)):
			all[i] = o
		}
	}
	slices.SortStableFunc(all, func(a, b Damage) int { return a.Found.Compare(b.Found) })
	return all
}

// fileOf is where what was found is kept outside the store.
func fileOf(dir string) string { return filepath.Join(dir, "damage.json") }

func readDamages(dir string) (ds damages, err error) {
	if dir == "" {
		return nil, nil
	}
	b, err := os.ReadFile(fileOf(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil {
		err = exactjson.Unmarshal(b, &ds)
	}
	return ds, err
}

func writeDamages(dir string, ds damages) error {
	if dir == "" {
		return nil
	}
	b, err := json.MarshalIndent(ds, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	next := fileOf(dir) + ".new"
	f, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(next, fileOf(dir))
}

// damages reads what the bucket has, and its revision for swapDamages.
func (s shelf) damages(ctx context.Context) (ds damages, revision uint64, err error) {
	b, err := s.bucket(ctx)
	if err != nil {
		return nil, 0, err
	}
	it, ok, err := b.Get(ctx, damageKey)
	if err != nil || !ok {
		return nil, it.Revision, err
	}
	return ds, it.Revision, exactjson.Unmarshal(it.Value, &ds)
}

// swapDamages writes what was found, if nobody else has since that revision.
func (s shelf) swapDamages(ctx context.Context, ds damages, revision uint64) error {
	b, err := s.bucket(ctx)
	if err != nil {
		return err
	}
	body, err := json.Marshal(ds)
	if err != nil {
		return err
	}
	_, err = b.Swap(ctx, damageKey, body, revision)
	return err
}
