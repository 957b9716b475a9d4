package dispatch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"belay/internal/bus"
	"belay/internal/wire"
)

// progress is the last event delivered, and the head of the log, at the last check.
type progress struct{ delivered, head uint64 }

func (d *Dispatcher) checkPins(ctx context.Context) error {
	var errs []error
	for _, p := range d.parts {
		errs = append(errs, p.checkPin(ctx))
	}
	return errors.Join(errs...)
}

// checkPin finds out whether another dispatcher gets the partition's events now, because this one is not notified; or nobody does,
// because the server takes them for delivered. It looks closer if no event was delivered since the last check, although the log had
// one by then that was never delivered.
func (p *partition) checkPin(ctx context.Context) error {
	head, err := p.Bus.LastSeq(ctx, p.p)
	if err != nil {
		return err
	}
	silent, pin := false, ""
	err = p.do(ctx, func() {
		was := p.seen
		p.seen = progress{p.delivered, head}
		silent, pin = p.pinned && was.delivered == p.delivered && was.head > p.known(), p.pin
	})
	if err != nil || !silent {
		return err
	}
	c, err := p.Bus.LogConsumer(ctx, p.p)
	if err != nil {
		return fmt.Errorf("partition %d: %w", p.p, err)
	}
	return p.do(ctx, func() {
		switch {
		case !p.pinned || p.pin != pin:
		case c.Pin != pin:
			p.release()
		case c.Pending == 0 && head > p.known():
			p.skipped(p.known()+1, head)
		}
	})
}

// known is up to where this dispatcher knows the partition: what was there at the take-over is read by the sweep after it, and what
// came since was delivered.
func (p *partition) known() uint64 { return max(p.delivered, p.note) }

// mostSkipped is how many entries that were not delivered are looked at one by one.
const mostSkipped = 256

// skipped reads the runs of all entries again that should have been delivered under this pin and were not. Most often there are none:
// what was there has been removed.
func (p *partition) skipped(from, to uint64) {
	pin := p.pin
	go func() {
		entries, err := p.between(from, to)
		p.box.call(func() {
			if !p.pinned || p.pin != pin {
				return // whoever takes over reads everything
			}
			if err != nil {
				p.complain("", err)
				p.at(time.Now().Add(retryAfter), func() {
					if p.pin == pin {
						p.skipped(from, to)
					}
				})
				return
			}
			p.delivered = max(p.delivered, to)
			p.catchUpWith(entries)
		})
	}()
}

// between gives the entries from one sequence to another, asking the leader: what is behind does not know of the last ones.
func (p *partition) between(from, to uint64) (entries []bus.Entry, err error) {
	for from <= to && len(entries) < mostSkipped {
		e, there, err := p.Bus.Next(p.work, p.stream(), p.names.RunsSubjects(p.p), from)
		if err != nil {
			return nil, err
		}
		if !there || e.Seq > to {
			break
		}
		entries, from = append(entries, e), e.Seq+1
	}
	return entries, nil
}

func (p *partition) catchUpWith(entries []bus.Entry) {
	if len(entries) == 0 {
		return
	}
	p.logger.Warn("events of the log were not delivered; their runs are read again", "from", entries[0].Seq, "to", entries[len(entries)-1].Seq, "events", len(entries))
	if len(entries) == mostSkipped {
		p.anew()
		return
	}
	runs := map[string]bool{}
	for _, e := range entries {
		p.Received(p.p, e)
		_, id, _, ok := p.names.ParseLog(e.Subject)
		if ok && wire.ValidName(id) && p.owns(id) && !runs[id] {
			runs[id] = true
			p.reopen(id, true, func() {})
		}
	}
}
