package tally

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"belay/internal/bus"
	"belay/internal/steps"
	"belay/internal/wire"
)

// Report is what a check of everything has found, by the tally inside the store.
type Report struct {
	Partitions []Checked `json:"partitions"` // in their order
	Accepted   int       `json:"accepted"`   // how often something was found and accepted
	Open       []Damage  `json:"open"`       // what was found before and nobody has accepted
	Found      []Damage  `json:"found"`      // what this check has found; a dispatcher that runs finds it too, and reports it
}

// Checked is what was read of a partition.
type Checked struct {
	Partition int    `json:"partition"`
	Entries   int    `json:"entries"` // that were compared
	UpTo      uint64 `json:"up_to"`   // the last sequence that was compared; what came later is not in the tally yet
	LastSeq   uint64 `json:"last"`    // of the partition
}

// Check reads all of the log and compares it with the tally inside the store. It changes nothing. Dir is the folder outside the
// store in which stands what was found before; empty = what the store has of that must do. Progress is told how many entries have
// been read.
func Check(ctx context.Context, b *bus.Bus, dir string, progress func(entries int)) (r Report, err error) {
	k := New(b, Options{})
	inside, _, err := k.shelf.damages(ctx)
	if err != nil {
		return r, err
	}
	outside, err := readDamages(dir)
	if err != nil {
		return r, err
	}
	found := inside.with(outside)
	r = Report{Open: append([]Damage{}, found.open()...), Found: []Damage{}}
	r.Accepted = len(found) - len(r.Open)
	read := 0
	for _, t := range k.parts {
		if err := k.load(ctx, t); err != nil {
			return r, fmt.Errorf("partition %d: %w", t.p, err)
		}
		c, found, err := k.checkAll(ctx, t, func() { read++; progress(read) })
		if err != nil {
			return r, fmt.Errorf("partition %d: %w", t.p, err)
		}
		r.Partitions, r.Found = append(r.Partitions, c), append(r.Found, found...)
	}
	return r, nil
}

// checkAll compares a whole partition with its tally.
func (k *Keeper) checkAll(ctx context.Context, t *part, read func()) (done Checked, found []Damage, err error) {
	info, err := k.bus.About(ctx, t.stream)
	if err != nil {
		return done, nil, err
	}
	done = Checked{Partition: t.p, UpTo: t.book.UpTo, LastSeq: info.LastSeq}
	c := k.comparison(t, 1)
	err = k.entries(ctx, t, 1, t.book.UpTo, func(e bus.Entry) error {
		done.Entries++
		read()
		return c.entry(ctx, e)
	})
	if err == nil {
		err = c.gap(ctx, t.book.UpTo+1)
	}
	if err != nil {
		return done, nil, err
	}
	all, err := c.findings()
	if err != nil {
		return done, nil, err
	}
	for _, f := range all {
		runs, err := k.whose(ctx, t, f.owners)
		if err != nil {
			return done, nil, err
		}
		slices.Sort(runs)
		found = append(found, Damage{Kind: f.kind, Partition: t.p, From: f.from, To: f.to, Entries: f.entries, Runs: runs, Unnamed: len(f.owners) - len(runs), Found: k.bus.Now()})
	}
	return done, found, nil
}

// Declare notes that the log is an old copy, so that nothing is done once more before somebody has accepted that: whoever restores
// one says so before a dispatcher is started on it. The keeper may be one that does not run.
func (k *Keeper) Declare(ctx context.Context, by, why string) (found []Damage, err error) {
	for _, t := range k.parts {
		info, err := k.bus.About(ctx, t.stream)
		if err != nil {
			return nil, err
		}
		if info.LastSeq == 0 {
			continue
		}
		found = append(found, Damage{
			ID: uuid.NewString(), Kind: Restored, Partition: t.p, From: info.LastSeq + 1, To: info.LastSeq + 1, Runs: []string{},
			Found: k.bus.Now(), Head: info.LastSeq, By: by, Why: why, Any: true,
		})
	}
	return found, k.change(ctx, func(all damages) damages { return all.with(found) })
}

// Open lists what the store has of what was found about the log and is not accepted, and when a dispatcher has looked at the log
// last, zero where none has.
func Open(ctx context.Context, b *bus.Bus) (open []Damage, looked time.Time, err error) {
	if there, err := b.BucketIfThere(ctx, b.Names().TallyBucket()); err != nil || there == nil {
		return nil, time.Time{}, err
	}
	s := shelf{b}
	found, _, err := s.damages(ctx)
	if err != nil {
		return nil, time.Time{}, err
	}
	looked, err = s.looked(ctx)
	return found.open(), looked, err
}

// InDoubt returns a function that says in words what has happened to the log that may concern a run, and that nobody has accepted
// for it; empty = nothing.
func InDoubt(b *bus.Bus) func(context.Context, *steps.State) (string, error) {
	return func(ctx context.Context, s *steps.State) (string, error) {
		open, _, err := Open(ctx, b)
		if err != nil {
			return "", fmt.Errorf("look at what was found about the log: %w", err)
		}
		var all []string
		for i := range open {
			d := &open[i]
			here := d.Partition == wire.Partition(s.Run, b.Partitions())
			if here && d.affects(s.Run, s.First(), s.Submitted) && d.choice(s.Run) == nil {
				all = append(all, d.brief())
			}
		}
		return strings.Join(all, "; "), nil
	}
}
