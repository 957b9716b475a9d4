package dispatch

import (
	"context"
	"strings"
	"sync"
	"time"

	"belay/internal/steps"
)

// A queue gives out what came first. So that somebody who starts a hundred thousand runs does not stand before everybody else, the queue of a rung
// takes only as many attempts as workers can take soon, and the others wait here, where it is still open who goes next ([turns]). Nothing is
// written for that: the run wants its attempt all the same, and whoever takes the partition over finds it wanted and lets it wait
// anew.

// door is what a partition lets into the queue of a rung.
type door struct {
	route  route
	inside int // attempts that were queued, and that nobody is known to have begun
	turns  waitingTurns
	soon   bool // a look who goes next is on its way

	since        time.Time // when passed was 0
	passed, rate int       // attempts that were begun or were over, since then; and in the last [rateOver]
}

const (
	doorLeast   = 4                      // how many a partition's door lets in at least
	doorUnknown = 64                     // the same, while it is not known how many workers take
	rateOver    = 100 * time.Millisecond // and in any case as many as were begun in so long
)

// crews is how many attempts the workers take at once, by rung.
type crews struct {
	mu    sync.Mutex
	asked time.Time
	by    map[route]int // nil while it is not known
}

// crewsEvery is how often workers are asked while something waits for its turn.
const crewsEvery = 5 * time.Second

// most is how many may be inside: for each call that workers take at once another one, and what is done in a moment.
func (p *partition) most(d *door) int {
	p.crews.mu.Lock()
	takes, known := p.crews.by[d.route]
	p.crews.mu.Unlock()
	if !known || takes == 0 {
		return max(doorUnknown, d.rate)
	}
	return max(doorLeast, 2*takes/len(p.parts)+1, d.rate)
}

// opens reports whether one more may go in. After a take-over what is queued of runs that are not read yet is inside as well.
func (p *partition) opens(d *door) bool {
	if p.listed == nil && d.inside < doorLeast {
		return true
	}
	most := p.most(d)
	return d.inside < most && !p.listed.full(d.route, most-d.inside)
}

// askCrews asks workers how many attempts they take, unless that was done a moment ago.
func (d *Dispatcher) askCrews(ctx context.Context) {
	d.crews.mu.Lock()
	defer d.crews.mu.Unlock()
	if time.Since(d.crews.asked) < crewsEvery {
		return
	}
	d.crews.asked = time.Now()
	go func() {
		all, err := d.Bus.Workers(ctx)
		if err != nil {
			d.Logger.Debug("cannot ask workers how many attempts they take", "error", err)
			return
		}
		by := map[route]int{}
		for _, w := range all {
			if w.Draining {
				continue
			}
			for _, serves := range w.Serves {
				tool, rung, _ := strings.Cut(serves, "/")
				by[route{tool, rung}] += w.Concurrency
			}
		}
		d.crews.mu.Lock()
		d.crews.by = by
		d.crews.mu.Unlock()
		for _, p := range d.parts {
			p.box.call(p.openDoors)
		}
	}()
}

// Outside is attempts of a rung that are not queued yet because others go first.
type Outside struct {
	Tool, Rung string
	Priority   steps.Priority
	Attempts   int
}

// Outside are those that wait for their turn, of the partitions that this dispatcher has.
func (d *Dispatcher) Outside() (all []Outside) {
	d.outside.Range(func(of, seen any) bool {
		r := of.(route)
		for priority := range steps.Priority(steps.Priorities) {
			if n := seen.(*outside)[priority].Load(); n > 0 {
				all = append(all, Outside{r.tool, r.rung, priority, int(n)})
			}
		}
		return true
	})
	return all
}

// waitsForTurn reports whether an attempt is not queued yet because others go first.
func (p *partition) waitsForTurn(r *run, m *steps.StepMessage, there bool) bool {
	if w := r.turns[m.Step]; w != nil {
		if w.attempt == m.Attempt && !there {
			return true
		}
		p.endTurn(r, w)
	}
	d := p.doors[route{m.Tool, m.RungName}]
	if there || r.turn == m.Attempt || d == nil || d.turns.Len() == 0 && p.opens(d) {
		return false
	}
	s := r.fold.State
	i := s.Unit(m.Step)
	if !s.Unbegun(m.Attempt) || s.Probing(i) || p.comesLater(m, time.Now()) {
		return false
	}
	w := &turn{Place: p.placeOf(s, i), run: r.id, attempt: m.Attempt, door: d}
	d.turns.push(w)
	if r.turns == nil {
		r.turns = map[string]*turn{}
	}
	r.turns[m.Step] = w
	p.askCrews(p.work)
	p.openSoon(d)
	return true
}

// comesLater reports whether an attempt is not to be begun yet.
func (p *partition) comesLater(m *steps.StepMessage, now time.Time) bool {
	return !m.NotBefore.IsZero() && p.here(m.NotBefore).After(now)
}

// enters notes that an attempt is in the queue, where somebody is to begin it now.
func (p *partition) enters(m *steps.StepMessage, s *sent) {
	if p.comesLater(m, s.at) {
		return // whenever its time comes
	}
	of := route{m.Tool, m.RungName}
	d := p.doors[of]
	if d == nil {
		seen, _ := p.outside.LoadOrStore(of, &outside{})
		d = &door{route: of, since: s.at, turns: waitingTurns{seen: seen.(*outside)}}
		p.doors[of] = d
	}
	d.inside++
	s.door = d
}

// leaves notes that an attempt is in the queue no more, or that somebody has begun it.
func (p *partition) leaves(s *sent) {
	d := s.door
	if d == nil {
		return
	}
	s.door = nil
	d.inside--
	if d.turns.Len() > 0 {
		d.passed++
		p.openSoon(d)
	}
}

// leaveAll is for a run that is forgotten, or was read anew.
func (p *partition) leaveAll(r *run) {
	for _, s := range r.sent {
		p.leaves(s)
	}
	for _, w := range r.turns {
		p.endTurn(r, w)
	}
	r.sent, r.turns = nil, nil
}

// endTurn is for an attempt that waits for its turn no more.
func (p *partition) endTurn(r *run, w *turn) {
	w.door.turns.leave(w)
	delete(r.turns, w.attempt.Step)
}

// passDoors looks which attempts of the touched units were begun, or are wanted no more.
func (p *partition) passDoors(r *run, touched []int) {
	s := r.fold.State
	for _, i := range touched {
		if i == steps.RunUnit {
			continue
		}
		id := s.Units[i].ID
		if x := r.sent[id]; x != nil && x.door != nil && !s.Unbegun(x.attempt) {
			p.leaves(x)
		}
		if w := r.turns[id]; w != nil && !s.Unbegun(w.attempt) {
			p.endTurn(r, w)
		}
	}
}

// openSoon has it looked who goes next, once what has arrived is handled.
func (p *partition) openSoon(d *door) {
	if d.soon {
		return
	}
	d.soon = true
	p.box.call(func() {
		d.soon = false
		p.openDoor(d)
	})
}

func (p *partition) openDoors() {
	for _, d := range p.doors {
		p.openSoon(d)
	}
}

// openDoor lets in as many as may be inside.
func (p *partition) openDoor(d *door) {
	now := time.Now()
	if over := now.Sub(d.since); over >= rateOver {
		d.rate, d.passed, d.since = int(int64(d.passed)*int64(rateOver)/int64(over)), 0, now
	}
	for d.turns.Len() > 0 && p.opens(d) {
		w := d.turns.pop()
		r := p.runs[w.run]
		if r == nil || !r.live() {
			continue // it is looked at anew once it is read
		}
		delete(r.turns, w.attempt.Step)
		if s := r.fold.State; s.Unbegun(w.attempt) {
			r.turn = w.attempt
			p.ensure(r, []int{s.Unit(w.attempt.Step)}, &receipt{run: r, sweep: true})
			r.turn = steps.Attempt{}
		}
	}
	if d.turns.Len() > 0 {
		p.askCrews(p.work)
	}
}
