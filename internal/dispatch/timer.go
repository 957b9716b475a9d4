package dispatch

import (
	"time"

	"belay/internal/crashpoint"
	"belay/internal/steps"
)

// timer is the next time at which something happens in a run, by the log's clock.
type timer struct {
	at    time.Time // in memory, in the partition's schedule; zero = none
	index int       // place in the schedule, from 1; 0 = not in it

	saved   time.Time // the durable schedule that this dispatcher wrote; zero = none
	perhaps bool      // a dispatcher before this one may have written one
	waiting bool      // in the partition's list of timers to be made durable

	fired  time.Time // the time for which Fired was last appended
	misses int       // how often that changed nothing
	rest   time.Time // no Fired before this time, by this machine's clock
}

// unsaved is a timer that becomes durable at a time, if its run is still open then.
type unsaved struct {
	r  *run
	at time.Time
}

func (t *timer) loaded() { t.perhaps = true }

// heard notes that the durable schedule has fired; the server can be up to a second early.
func (t *timer) heard(rec steps.Record) {
	if _, is := rec.Event.(steps.Fired); is && !t.saved.IsZero() && !rec.Time.Before(t.saved.Add(-time.Second)) {
		t.saved = time.Time{}
	}
}

// arm makes sure that the run's timer is not later than at. A timer that is too early is corrected when it fires.
func (p *partition) arm(r *run, at time.Time) {
	if at.IsZero() || !r.timer.at.IsZero() && !at.Before(r.timer.at) {
		return
	}
	p.due.put(r, at)
	if !r.timer.waiting && (r.timer.saved.IsZero() || at.Before(r.timer.saved)) {
		r.timer.waiting = true
		p.unsaved = append(p.unsaved, unsaved{r, time.Now().Add(p.TimerDelay)})
	}
}

// tick does what is due, and returns how long the loop may sleep.
func (p *partition) tick(now time.Time) time.Duration {
	next := now.Add(time.Minute)
	for _, t := range []time.Time{p.retry(now), p.fireDue(now), p.saveTimers(now)} {
		if !t.IsZero() && t.Before(next) {
			next = t
		}
	}
	return max(next.Sub(now), time.Millisecond)
}

// fireDue fires timers that are due, and returns when the next one is, by this machine's clock.
func (p *partition) fireDue(now time.Time) time.Time {
	for {
		r := p.due.first()
		if r == nil {
			return time.Time{}
		}
		if at := p.here(r.timer.at); at.After(now) {
			return at
		}
		p.due.remove(r)
		p.fire(r, now)
	}
}

// fire appends Fired, if the fold agrees that its time has come.
func (p *partition) fire(r *run, now time.Time) {
	if !r.live() {
		return // it will be read again, and want its timer then
	}
	w, err := wants(r.fold.State, nil)
	t := &r.timer
	switch {
	case err != nil:
		p.troubled(r, &receipt{run: r, sweep: true}, err)
		return
	case w.Timer.IsZero():
		return
	case p.here(w.Timer).After(now):
		p.arm(r, w.Timer)
		return
	case t.rest.After(now):
		p.due.put(r, p.logged(t.rest))
		return
	}
	t.repeat(w.Timer, now)
	p.append(r, steps.Fired{}, func(err error) {
		crashpoint.At(crashpoint.TimerFired)
		if err != nil && !r.gone {
			p.complain(r.id, err)
			p.due.put(r, p.logged(time.Now().Add(retryAfter)))
		}
	})
}

// repeat waits longer before the next Fired each time that one changed nothing: the log's clock may be behind this one's,
// and then the fold goes on waiting.
func (t *timer) repeat(at, now time.Time) {
	if at.Equal(t.fired) {
		t.misses++
	} else {
		t.fired, t.misses = at, 0
	}
	t.rest = now.Add(100 * time.Millisecond << min(t.misses, 7))
}

// saveTimers makes the timers of long-running runs durable, and returns when to check the next one.
func (p *partition) saveTimers(now time.Time) time.Time {
	n := 0
	for ; n < len(p.unsaved) && !p.unsaved[n].at.After(now); n++ {
		r := p.unsaved[n].r
		r.timer.waiting = false
		p.saveTimer(r)
		p.unsaved[n].r = nil
	}
	p.unsaved = p.unsaved[n:]
	if len(p.unsaved) == 0 {
		return time.Time{}
	}
	return p.unsaved[0].at
}

func (p *partition) saveTimer(r *run) {
	if !r.live() {
		return
	}
	w, err := wants(r.fold.State, nil)
	if err != nil || w.Timer.IsZero() || !r.timer.saved.IsZero() && !w.Timer.Before(r.timer.saved) {
		return
	}
	at := w.Timer
	r.timer.saved = at
	p.out++
	p.Bus.SetTimer(p.p, r.id, at, func(err error) {
		p.box.call(func() {
			p.out--
			p.timerSaved(r, at, err)
		})
	})
}

func (p *partition) timerSaved(r *run, at time.Time, err error) {
	if err == nil || r.gone || !r.timer.saved.Equal(at) {
		return
	}
	p.complain(r.id, err)
	r.timer.saved = time.Time{}
	if !r.timer.waiting {
		r.timer.waiting = true
		p.unsaved = append(p.unsaved, unsaved{r, time.Now().Add(p.TimerDelay)})
	}
}

// cancelTimer cancels the durable schedule of a run that has ended. If one is left by mistake, it fires once and changes
// nothing. (For an open run it would be useless, because the message that cancels looks like a due timer.)
func (p *partition) cancelTimer(r *run) {
	if r.timer.saved.IsZero() && !r.timer.perhaps {
		return
	}
	r.timer.saved, r.timer.perhaps = time.Time{}, false
	p.out++
	p.Bus.CancelTimer(p.p, r.id, func(err error) {
		p.box.call(func() {
			p.out--
			if err != nil {
				p.complain(r.id, err)
			}
		})
	})
}
