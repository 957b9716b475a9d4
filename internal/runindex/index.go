package runindex

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"belay/internal/bus"
	"belay/internal/runlog"
	"belay/internal/steps"
	"belay/internal/wire"
)

// Index is the index of all runs of an installation. It is safe for concurrent use and implements [runlog.Picker].
type Index struct {
	bus    *bus.Bus
	names  wire.Names
	logger *slog.Logger
	parts  []*part

	words words
	waits waits
}

// part is the index of a partition.
type part struct {
	p      int
	stream string

	reading sync.Mutex   // who has it brings the rows up to date
	file    *file        // nil where none is kept
	scan    atomic.Int64 // when the scan in progress began, in nanoseconds since born; 0 = there is none
	checked time.Time    // when the connection was made over which the log was found to be the one that the rows are of

	mu    sync.RWMutex
	rows  *rows
	at    position
	early map[string]ending // of runs whose submissions have yet to be read
}

// position is how far the log has been read.
type position struct {
	plan, result point // the last message on the subjects of submissions and of results
}

// point is a message of the log. Its time tells it from another that has got its sequence, after a server whose disk failed
// has lost the end of the log.
type point struct {
	seq  uint64 // 0 = before the first message
	time int64  // when it was stored, in nanoseconds
}

// Open makes an index. Dir is where its files are kept; empty = nowhere, and all logs are read. What is in the files and
// does not belong to these logs is not used. Close it when done.
func Open(ctx context.Context, b *bus.Bus, dir string, logger *slog.Logger) (*Index, error) {
	x := &Index{bus: b, names: b.Names(), logger: logger}
	for p := range b.Partitions() {
		t := &part{p: p, stream: x.names.RunsStream(p), rows: newRows()}
		x.parts = append(x.parts, t)
		if dir == "" {
			continue
		}
		info, err := b.About(ctx, t.stream)
		if err != nil {
			return nil, fmt.Errorf("open the index of runs: %w", err)
		}
		if err := x.load(t, dir, info); err != nil {
			logger.Warn("the index of runs is kept in memory only, and is made anew at every start", "error", err)
		}
	}
	return x, nil
}

// Close ends the files.
func (x *Index) Close() error {
	var errs []error
	for _, t := range x.parts {
		t.reading.Lock()
		if t.file != nil {
			errs = append(errs, t.file.close())
			t.file = nil
		}
		t.reading.Unlock()
	}
	return errors.Join(errs...)
}

// How often the index is brought up to date while nobody asks: what it would read anyway is read before somebody waits
// for it. Where nothing comes it looks less often.
const (
	oftenest = time.Second
	rarest   = 30 * time.Second
)

// Run keeps the index near the end of the logs until ctx ends.
func (x *Index) Run(ctx context.Context) error {
	pause, pruned := oftenest, time.Time{}
	for {
		n, err := x.Catch(ctx)
		if err == nil && time.Since(pruned) > pruneEvery {
			if err = x.prune(ctx); err == nil {
				pruned = time.Now()
			}
		}
		switch {
		case err != nil:
			x.logger.Debug("the index of runs cannot be brought up to date; trying again", "error", err)
			pause = rarest
		case n > 0:
			pause = oftenest
		default:
			pause = min(2*pause, rarest)
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
	}
}

// Drop forgets runs that are no longer kept.
func (x *Index) Drop(ids ...string) {
	for _, id := range ids {
		x.drop(x.parts[wire.Partition(id, len(x.parts))], id)
	}
}

func (x *Index) drop(t *part, ids ...string) {
	t.reading.Lock()
	defer t.reading.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, id := range ids {
		if place := t.rows.drop(id); place >= 0 {
			t.file.drop(place)
		}
	}
	if !t.rows.sparse() {
		x.flush(t)
		return
	}
	t.rows = t.rows.dense()
	if err := t.file.rewrite(t.rows, t.at, x.words.word); err != nil {
		x.warn(t, err)
	}
}

// flush writes what is new into the file.
func (x *Index) flush(t *part) {
	if err := t.file.flush(t.at); err != nil {
		x.warn(t, err)
	}
}

// warn says once that a file is not written any more. What it holds stays true, and the rest is read from the log.
func (x *Index) warn(t *part, err error) {
	x.logger.Warn("the index of runs is kept in memory only from now on, and is read from the log at the next start", "file", t.file.path, "error", err)
}

// patience is how long somebody who asks for a list waits for the index to catch up. After that the tail of the logs has
// to do.
const patience = time.Second

// Pick is that of [runlog.Picker].
func (x *Index) Pick(ctx context.Context, f runlog.Filter, most int) (runlog.Picked, error) {
	if !x.ready(ctx) {
		return runlog.Tail{Bus: x.bus, Why: "The index of runs is being made"}.Pick(ctx, f, most)
	}
	after, err := x.placeOf(f.After)
	if err != nil {
		return runlog.Picked{}, err
	}
	q := wantedBy(f)
	if f.Workflow != "" {
		if q.workflow = x.words.known(f.Workflow); q.workflow == 0 {
			return runlog.Picked{}, nil
		}
	}
	if f.State == steps.RunWaiting {
		if q.only, err = x.waits.runs(ctx, x.bus); err != nil {
			return runlog.Picked{}, err
		}
	}
	return x.pick(q, after, most), nil
}

// wantedBy is what rows are compared with; all but the workflow, whose number the index knows.
func wantedBy(f runlog.Filter) *wanted {
	q := &wanted{
		state: f.State, since: nanos(f.Since), until: nanos(f.Until), ended: !f.EndedSince.IsZero() || !f.EndedUntil.IsZero(), endSince: nanos(f.EndedSince), endUntil: nanos(f.EndedUntil),
		faults: f.Class != "" || f.Reason != "" || f.Text != "", fault: faultKey(string(f.Class), string(f.Reason)),
	}
	for k, v := range f.Labels {
		q.keys = append(q.keys, labelKey(k, v))
	}
	if f.Owner != "" {
		q.keys = append(q.keys, ownerKey(f.Owner))
	}
	if f.Tool != "" {
		q.keys = append(q.keys, toolKey(f.Tool))
	}
	for path, text := range f.Input {
		q.keys = append(q.keys, inputKey(path, text))
	}
	return q
}

// placeOf is where a run stands in lists; the zero Ref where id is empty.
func (x *Index) placeOf(id string) (runlog.Ref, error) {
	if id == "" {
		return runlog.Ref{}, nil
	}
	t := x.parts[wire.Partition(id, len(x.parts))]
	t.mu.RLock()
	defer t.mu.RUnlock()
	i, _ := t.rows.find(id)
	if i < 0 {
		return runlog.Ref{}, runlog.NoPlace(id)
	}
	return runlog.Ref{ID: id, At: t.rows.all[i].at}, nil
}

// born is when this process began: what passes from then on does not depend on a clock that can be set.
var born = time.Now()

// takesLong reports whether a scan is in progress that nobody who asks for a list waits for any more.
func (t *part) takesLong() bool {
	began := t.scan.Load()
	return began != 0 && time.Since(born)-time.Duration(began) > patience
}

// ready brings the index up to date; false when that takes too long, or cannot be done.
func (x *Index) ready(ctx context.Context) bool {
	if slices.ContainsFunc(x.parts, (*part).takesLong) {
		return false
	}
	done := make(chan error, 1)
	ctx = context.WithoutCancel(ctx) // what is read serves the next one who asks
	go func() {
		_, err := x.Catch(ctx)
		done <- err
	}()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case err := <-done:
		return err == nil
	case <-timer.C:
		return false
	}
}

func (x *Index) pick(q *wanted, after runlog.Ref, most int) runlog.Picked {
	var picked runlog.Picked
	for _, t := range x.parts {
		t.mu.RLock()
		refs, total, more := t.rows.pick(q, after, most)
		t.mu.RUnlock()
		picked.Refs, picked.Total, picked.More = append(picked.Refs, refs...), picked.Total+total, picked.More || more
	}
	slices.SortFunc(picked.Refs, runlog.NewestFirst)
	if len(picked.Refs) > most {
		picked.Refs, picked.More = picked.Refs[:most], true
	}
	return picked
}

// OpenRuns lists the runs of a partition that have not ended, and none that was submitted after the call. It waits until
// the index has been made.
func (x *Index) OpenRuns(ctx context.Context, partition int) ([]string, error) {
	t := x.parts[partition]
	if _, err := x.catch(ctx, t); err != nil {
		return nil, err
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	var all []string
	for i := range t.rows.all {
		if w := &t.rows.all[i]; w.state == open {
			all = append(all, string(t.rows.idOf(w)))
		}
	}
	return all, nil
}

// EndingIn is that of [runlog.Picker].
func (x *Index) EndingIn(ctx context.Context, suffix string) ([]string, error) {
	if !x.ready(ctx) {
		return runlog.Tail{Bus: x.bus}.EndingIn(ctx, suffix)
	}
	var all []string
	for _, t := range x.parts {
		t.mu.RLock()
		all = t.rows.endingIn(suffix, all, runlog.MostEndingIn)
		t.mu.RUnlock()
	}
	return all, nil
}

// waits knows which runs have open escalations.
type waits struct {
	mu    sync.Mutex
	mark  bus.Mark
	known map[string]bool
}

// runs gives them. Nobody may change what it returns.
func (w *waits) runs(ctx context.Context, b *bus.Bus) (map[string]bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	names := b.Names()
	mark, err := b.Mark(ctx, names.EscalationsStream())
	if err != nil || mark == w.mark && w.known != nil {
		return w.known, err
	}
	subjects, err := b.Subjects(ctx, names.EscalationsStream(), names.EscalationsSubjects())
	if err != nil {
		return nil, err
	}
	known := make(map[string]bool, len(subjects))
	for _, s := range subjects {
		if _, _, id, ok := names.ParseEscalation(s); ok {
			if run, ok := steps.RunOfEscalation(id); ok {
				known[run] = true
			}
		}
	}
	w.mark, w.known = mark, known
	return known, nil
}
