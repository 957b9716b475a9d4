package runindex

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"belay/internal/bus"
	"belay/internal/runlog"
	"belay/internal/wire"
)

// Catch brings the index to the end of the logs: whatever was stored before the call is in it. It returns how many
// messages it has read.
func (x *Index) Catch(ctx context.Context) (read int, err error) {
	counts, errs := make([]int, len(x.parts)), make([]error, len(x.parts))
	var wg sync.WaitGroup
	for i, t := range x.parts {
		wg.Go(func() { counts[i], errs[i] = x.catch(ctx, t) })
	}
	wg.Wait()
	for _, n := range counts {
		read += n
	}
	return read, errors.Join(errs...)
}

func (x *Index) catch(ctx context.Context, t *part) (read int, err error) {
	t.reading.Lock()
	defer t.reading.Unlock()
	if err := x.check(ctx, t); err != nil {
		return 0, err
	}
	n, err := x.follow(ctx, t, wire.KindPlan, &t.at.plan, x.submitted)
	if err != nil {
		return n, err
	}
	m, err := x.follow(ctx, t, wire.KindResult, &t.at.result, x.ended)
	if err != nil || len(t.early) == 0 {
		return n + m, err
	}
	// Runs were submitted and have ended since the submissions were read.
	late, err := x.follow(ctx, t, wire.KindPlan, &t.at.plan, x.submitted)
	if err == nil {
		t.early = nil // what is left is of runs that are removed
		x.flush(t)
	}
	return n + m + late, err
}

// check makes the rows anew if the log is not the one that they are of: after a start and after a reconnect, the end that
// was read may be lost.
func (x *Index) check(ctx context.Context, t *part) error {
	conn := x.bus.ConnectedAt()
	if t.checked.Equal(conn) {
		return nil
	}
	for _, at := range []point{t.at.plan, t.at.result} {
		if at.seq == 0 {
			continue
		}
		e, there, err := x.bus.At(ctx, t.stream, at.seq)
		if err != nil {
			return fmt.Errorf("check the index of partition %d: %w", t.p, err)
		}
		if !there || e.Time.UnixNano() != at.time {
			x.logger.Debug("the log is not what the index of runs was made of; making it anew", "stream", t.stream, "sequence", at.seq)
			x.restart(t)
			break
		}
	}
	t.checked = conn
	return nil
}

// restart forgets all rows.
func (x *Index) restart(t *part) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rows, t.at, t.early = newRows(), position{}, nil
	if err := t.file.rewrite(t.rows, t.at, x.words.word); err != nil {
		x.warn(t, err)
	}
}

// follow reads what has come of one kind, and moves at on.
func (x *Index) follow(ctx context.Context, t *part, kind string, at *point, note func(*part, string, bus.Entry)) (read int, err error) {
	subject := x.names.LogKind(t.p, kind)
	keep := func(page []bus.Entry) {
		t.mu.Lock()
		for _, e := range page {
			if _, id, _, ok := x.names.ParseLog(e.Subject); ok {
				note(t, id, e)
			}
			*at = point{e.Seq, e.Time.UnixNano()}
		}
		t.mu.Unlock()
		if len(page) > 0 && len(t.early) == 0 {
			x.flush(t)
		}
		read += len(page)
	}
	once := func() error {
		page, more, err := x.bus.ReadPage(ctx, t.stream, subject, at.seq+1)
		if err != nil {
			return err
		}
		if keep(page); !more {
			return nil
		}
		t.scan.Store(int64(time.Since(born)))
		defer t.scan.Store(0)
		page = page[:0]
		err = x.bus.Scan(ctx, t.stream, subject, at.seq, func(e bus.Entry) {
			if page = append(page, e); len(page) == scanned {
				keep(page)
				page = page[:0]
			}
		})
		keep(page)
		return err
	}
	err = x.bus.ReadToEnd(ctx, t.stream, subject, func() (uint64, error) {
		err := once()
		return at.seq, err
	})
	if err != nil {
		return read, fmt.Errorf("index the runs of partition %d: %w", t.p, err)
	}
	return read, nil
}

// scanned is how many messages of a scan are put into the rows, and into the file, in one go.
const scanned = 512

func (x *Index) submitted(t *part, id string, e bus.Entry) {
	if !runlog.IsSubmission(e) {
		return
	}
	if e.IsFirst() { // the one of this id that was known has ended, and was removed by another dispatcher
		if place := t.rows.dropEnded(id); place >= 0 {
			t.file.drop(place)
		}
	}
	h := runlog.ReadHead(e.Data)
	n := run{id: id, at: e.Time.UnixNano(), workflow: x.words.number(h.Workflow)}
	n.keys, n.partial = keysOfHead(h)
	if t.rows.add(n) {
		t.file.run(n, h.Workflow)
	}
	if end, ended := t.early[id]; ended {
		delete(t.early, id)
		x.end(t, id, end)
	}
}

func (x *Index) ended(t *part, id string, e bus.Entry) {
	s := stateOf(runlog.EndOf(x.names, e))
	if s == open { // people must look at it
		return
	}
	met, known := runlog.ReadFaults(e)
	end := ending{state: s, at: e.Time.UnixNano(), faults: faultKeys(met), known: known}
	if place, _ := t.rows.find(id); place < 0 {
		if t.early == nil {
			t.early = map[string]ending{}
		}
		t.early[id] = end
		return
	}
	x.end(t, id, end)
}

func (x *Index) end(t *part, id string, e ending) {
	if place := t.rows.end(id, e); place >= 0 {
		t.file.end(place, e)
	}
}
