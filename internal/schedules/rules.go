package schedules

import (
	"hash/fnv"
	"slices"
	"time"
)

// decide decides all firings up to now; open says that the run before is open. It reports whether there were any.
func (s *Schedule) decide(t *times, now time.Time, open bool) bool {
	due, late := s.due(t, now)
	if len(due)+late.N == 0 {
		return false
	}
	s.Upto = now
	s.Missed = s.Missed.and(late)
	var keep []Firing
	for _, at := range due {
		keep = append(keep, s.firing(at))
	}
	s.overlapped(keep, open)
	return true
}

// due are the firings that are to be made, and how many were missed that are not made up for.
func (s *Schedule) due(t *times, now time.Time) (list []time.Time, missed Left) {
	var old []time.Time
	most := mostWaiting
	if s.CatchUp == CatchLast {
		most = 1
	}
	for at := t.next(s.Upto); !at.IsZero() && !at.After(now); at = t.next(at) {
		switch age := now.Sub(at); {
		case age <= grace:
			list = append(list, at)
		case age <= time.Duration(s.Window) && s.CatchUp != CatchNone:
			if old = append(old, at); len(old) > most { // the newest ones count
				missed, old = Left{missed.N + 1, old[0]}, old[1:]
			}
		default:
			missed = Left{missed.N + 1, at}
		}
	}
	if n := min(len(old)+len(list)-mostWaiting, len(old)); n > 0 {
		missed, old = Left{missed.N + n, old[n-1]}, old[n:]
	}
	return append(old, list...), missed
}

// overlapped lets firings wait for their turn, or leaves them out.
func (s *Schedule) overlapped(keep []Firing, open bool) {
	if len(keep) == 0 {
		return
	}
	most := mostWaiting
	switch s.Overlap {
	case Cancel:
		s.skip(append(slices.Clone(s.Waiting), keep[:len(keep)-1]...))
		s.Waiting = keep[len(keep)-1:]
		return
	case Skip, Wait:
		if most = 1; s.Overlap == Skip && open {
			most = 0
		}
		if n := len(keep) - 1; n > 0 && len(s.Waiting) == 0 && !open { // of those that come at once the last one counts
			s.skip(keep[:n])
			keep = keep[n:]
		}
	}
	room := min(max(most-len(s.Waiting), 0), len(keep))
	s.Waiting = append(slices.Clone(s.Waiting), keep[:room]...)
	s.skip(keep[room:])
}

func (s *Schedule) skip(list []Firing) {
	if n := len(list); n > 0 {
		s.Skipped = s.Skipped.and(Left{n, list[n-1].At})
	}
}

func (l *Left) and(more Left) *Left {
	switch {
	case more.N == 0:
		return l
	case l == nil:
		return &more
	}
	return &Left{l.N + more.N, more.Last}
}

// turn is the firing that becomes a run next: -1 where none waits that may. What somebody fires by hand does not wait for the schedule
// to be resumed.
func (s *Schedule) turn() int {
	if s.Paused == nil {
		return min(len(s.Waiting), 1) - 1
	}
	return slices.IndexFunc(s.Waiting, func(f Firing) bool { return f.By != "" })
}

// fired notes what has become of the waiting firing i.
func (s *Schedule) fired(i int, f Firing) {
	s.Waiting = slices.Delete(slices.Clone(s.Waiting), i, i+1)
	s.Firings = append([]Firing{f}, s.Firings[:min(len(s.Firings), mostFirings-1)]...)
}

// begins is when the run of a firing begins: with jitter later than it fires, and always at the same time.
func (s *Schedule) begins(f Firing) time.Time {
	seconds := uint64(time.Duration(s.Jitter) / time.Second)
	if seconds == 0 || f.By != "" {
		return f.At
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(f.Run))
	return f.At.Add(time.Duration(h.Sum64()%(seconds+1)) * time.Second)
}
