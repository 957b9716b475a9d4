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
		if known && len(all) < most && steps.Overlooked(p.storedBy(sent, s.Units[i].NotBefore()), upTo, r.lost[sent.attempt].requeued) {
			all = append(all, i)
		}
	}
	p.requeue(r, all)
	return len(all)
}

// storedBy is when the message of an attempt was there to be begun, at the latest.
func (p *partition) storedBy(s *sent, notBefore time.Time) time.Time {
	if at := p.here(notBefore); !notBefore.IsZero() && at.After(s.at) {
		return at
	}
	return s.at
}

// losses count how often an attempt was queued again, and how often its message was not in the queue then.
type losses struct{ requeued, gone int }

// overlooked is an attempt that is to be queued again.
type overlooked struct {
	losses
	attempt steps.Attempt
	subject string // of its message
	remove  bool   // it is to be queued again although the queue may have it
	there   bool   // its message is in the queue
	last    uint64 // sequence of that, where it is to be removed
	logger  *slog.Logger
}

// requeue removes the messages of attempts, if the queue still has them without giving them to anybody, and reads the run's log: what
// it wants then is queued, as what somebody may have begun. Before that the log is asked: a dispatcher that was cut off does not know yet
// that another one has gone on. The run's other attempts are queued again with them if the queue does not have them any more.
func (p *partition) requeue(r *run, units []int) {
	if len(units) == 0 {
		return
	}
	s := r.fold.State
	if r.lost == nil {
		r.lost = make(map[steps.Attempt]losses)
	}
	var all []overlooked
	for id, sent := range r.sent {
		i := s.Unit(id)
		if !s.Out(sent.attempt) {
			continue
		}
		was := r.lost[sent.attempt]
		all = append(all, overlooked{
			losses: was, attempt: sent.attempt, subject: p.names.Step(s.Tool(i).Name, s.RungName(i), r.id, sent.attempt), remove: slices.Contains(units, i),
			logger: p.logger.With("attempt", steps.AttemptName(r.id, sent.attempt), "tool", s.Tool(i).Name, "times", was.requeued+1),
		})
	}
	rc := &receipt{run: r, sweep: true}
	p.expect(rc)
	go func() {
		p.purges <- struct{}{}
		requeued, err := p.removeOverlooked(r.id, all)
		<-p.purges
		p.box.call(func() {
			for _, o := range requeued {
				r.lost[o.attempt] = o.losses
			}
			if p.answered(answer{rc, err}); !r.gone {
				p.read(r, r.fold.Seq+1)
			}
		})
	}()
}

// removeOverlooked removes the messages of attempts from the queue, of which the log says that nobody has begun them. It returns those that are queued
// again once the log was read. Where the message of one was lost too often, it has the log say so instead.
func (p *partition) removeOverlooked(run string, all []overlooked) (requeued []overlooked, err error) {
	queue := p.names.StepsStream()
	subjects, err := p.Bus.Subjects(p.work, queue, p.names.StepsOf(run)) // before the log is read: a worker stores its outcome before it acknowledges
	if err != nil {
		return nil, err
	}
	for n := range all {
		o := &all[n]
		if _, o.there = slices.BinarySearch(subjects, o.subject); !o.there || !o.remove {
			continue
		}
		e, there, err := p.Bus.Last(p.work, queue, o.subject)
		if err != nil {
			return nil, err
		}
		o.there, o.last = there, e.Seq
	}
	f, err := p.Log.Read(p.work, run, nil)
	if err != nil || f.State == nil || f.Frozen() != nil {
		return nil, err
	}
	for _, o := range all {
		switch {
		case !o.there && f.State.Out(o.attempt):
			o.gone++
		case o.remove && o.there && f.State.Unbegun(o.attempt):
			err = p.Bus.PurgeTo(p.work, queue, o.subject, o.last)
		default:
			continue
		}
		if err == nil {
			err = p.tellRequeued(run, f.State, &o)
		}
		if err != nil {
			return requeued, err
		}
		requeued = append(requeued, o)
	}
	return requeued, nil
}

// tellRequeued says that an attempt is queued again, or has the log say that it is not.
func (p *partition) tellRequeued(run string, s *steps.State, o *overlooked) error {
	o.requeued++
	if e := steps.Unsaid(s, o.attempt, o.gone); e != nil {
		o.logger.Warn("the message of an attempt was taken or lost each time, and nobody has said what came of it: the run is notified")
		_, err := p.Log.Append(p.work, run, e)
		return err
	}
	msg := "nobody has begun an attempt that the queue has given to somebody, by its own count: it is queued again"
	if !s.Unbegun(o.attempt) {
		msg = "nobody has said what came of an attempt that was begun, and the queue no longer has it: it is queued again"
	}
	o.logger.Warn(msg, "was_in_queue", o.there)
	return nil
}
