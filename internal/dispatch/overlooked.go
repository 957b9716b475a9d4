package dispatch

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"belay/internal/bus"
	"belay/internal/steps"
)

// mostOverlooked is how many attempts of a partition are queued again at once: where so many are overlooked, the queue is not well.
const mostOverlooked = 256

// passages follow the queue of each rung.
type passages struct {
	mu      sync.Mutex
	of      map[route]*steps.Passage
	checked time.Time // when the runs in memory were last compared with them
}

// lookForOverlooked compares the attempts that should have been begun with how far the queue is: one whose message is in nobody's hand any more,
// and that nobody has begun, is queued again. The looks are made at these backlogs, for which the server was asked at a time.
func (d *Dispatcher) lookForOverlooked(ctx context.Context, asked time.Time, backlogs []bus.Backlog) error {
	if mutant("no-reconcile") {
		return nil
	}
	d.passages.mu.Lock()
	defer d.passages.mu.Unlock()
	passed := make(map[route]time.Time, len(backlogs))
	for _, b := range backlogs {
		r := route{b.Tool, b.Rung}
		if d.passages.of[r] == nil {
			d.passages.of[r] = &steps.Passage{}
		}
		upTo := d.passages.of[r].Look(steps.QueueLook{At: asked, Last: b.Last, Floor: b.Floor, Open: b.Pending + b.InFlight})
		if !upTo.IsZero() {
			passed[r] = upTo
		}
	}
	if asked.Sub(d.passages.checked) < 2*d.serveEvery() || len(passed) == 0 {
		return nil
	}
	d.passages.checked = asked
	for _, p := range d.parts {
		if err := p.lookForOverlooked(ctx, passed); err != nil {
			return err
		}
	}
	return nil
}

func (p *partition) lookForOverlooked(ctx context.Context, passed map[route]time.Time) error {
	var ids []string
	if err := p.do(ctx, func() { ids = slices.Collect(maps.Keys(p.runs)) }); err != nil {
		return err
	}
	left := mostOverlooked
	for chunk := range slices.Chunk(ids, sweepChunk) {
		err := p.do(ctx, func() {
			for _, id := range chunk {
				left -= p.queueOverlooked(p.runs[id], passed, left)
			}
		})
		if err != nil || left <= 0 {
			return err
		}
	}
	return nil
}

// queueOverlooked queues the overlooked attempts of a run again, at most so many, and returns how many there were.
func (p *partition) queueOverlooked(r *run, passed map[route]time.Time, most int) (n int) {
	if r == nil || !r.live() || r.out > 0 {
		return 0
	}
	s := r.fold.State
	var all []int
	for _, sent := range r.sent {
		if sent.begun {
			continue
		}
		if sent.begun = !s.Unbegun(sent.attempt); sent.begun {
			continue
		}
		i := s.Unit(sent.attempt.Step)
		upTo, known := passed[route{s.Tool(i).Name, s.RungName(i)}]
		if known && len(all) < most && steps.Overlooked(p.storedBy(sent, s.Units[i].NotBefore()), upTo, r.requeues[sent.attempt]) {
			all = append(all, i)
		}
	}
	for _, i := range all {
		p.requeue(r, i)
	}
	return len(all)
}

// storedBy is when the message of an attempt was there to be begun, at the latest.
func (p *partition) storedBy(s *sent, notBefore time.Time) time.Time {
	if at := p.here(notBefore); !notBefore.IsZero() && at.After(s.at) {
		return at
	}
	return s.at
}

// requeue removes the message of an attempt, if the queue still has it without giving it to anybody, and reads the run's log: what
// it wants then is queued, as what somebody may have begun. Before that the log is asked: a dispatcher that was cut off does not know yet
// that another one has gone on.
func (p *partition) requeue(r *run, i int) {
	s := r.fold.State
	a := s.Attempt(i)
	if r.requeues == nil {
		r.requeues = make(map[steps.Attempt]int)
	}
	r.requeues[a]++
	logger := p.logger.With("attempt", steps.AttemptName(r.id, a), "tool", s.Tool(i).Name, "times", r.requeues[a])
	rc := &receipt{run: r, sweep: true}
	queue, subject := p.names.StepsStream(), p.names.Step(s.Tool(i).Name, s.RungName(i), r.id, a)
	p.expect(rc)
	go func() {
		p.purges <- struct{}{}
		err := p.removeUnbegun(r.id, a, queue, subject, logger)
		<-p.purges
		p.box.call(func() {
			if p.answered(answer{rc, err}); !r.gone {
				p.read(r, r.fold.Seq+1)
			}
		})
	}()
}

// removeUnbegun removes the message of an attempt from the queue if the log says that nobody has begun it.
func (p *partition) removeUnbegun(run string, a steps.Attempt, queue, subject string, logger *slog.Logger) error {
	f, err := p.Log.Read(p.work, run, nil)
	if err != nil || f.State == nil || !f.State.Unbegun(a) {
		return err
	}
	last, there, err := p.Bus.Last(p.work, queue, subject)
	if err == nil && there {
		err = p.Bus.PurgeTo(p.work, queue, subject, last.Seq)
	}
	if err == nil {
		logger.Warn("nobody has begun an attempt that the queue has given to somebody, by its own count: it is queued again", "was_in_queue", there)
	}
	return err
}
