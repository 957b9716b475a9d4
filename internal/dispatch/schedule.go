package dispatch

import "time"

// schedule is a heap of runs by the time of their timer. Each run knows its place in it, so that a run that has ended is
// removed at once; otherwise ended runs would stay until their time, in millions.
type schedule struct{ heap []*run }

// first is the run that is due next, nil when there is none.
func (s *schedule) first() *run {
	if len(s.heap) == 0 {
		return nil
	}
	return s.heap[0]
}

// put sets a run's time.
func (s *schedule) put(r *run, at time.Time) {
	r.timer.at = at
	if r.timer.index == 0 {
		s.heap = append(s.heap, r)
		r.timer.index = len(s.heap)
	}
	s.down(s.up(r.timer.index - 1))
}

func (s *schedule) remove(r *run) {
	i := r.timer.index - 1
	r.timer.at, r.timer.index = time.Time{}, 0
	if i < 0 {
		return
	}
	last := len(s.heap) - 1
	moved := s.heap[last]
	s.heap[last] = nil
	s.heap = s.heap[:last]
	if i == last {
		return
	}
	s.set(i, moved)
	s.down(s.up(i))
}

func (s *schedule) set(i int, r *run) {
	s.heap[i] = r
	r.timer.index = i + 1
}

func (s *schedule) before(i, j int) bool { return s.heap[i].timer.at.Before(s.heap[j].timer.at) }

func (s *schedule) swap(i, j int) {
	a, b := s.heap[i], s.heap[j]
	s.set(i, b)
	s.set(j, a)
}

func (s *schedule) up(i int) int {
	for i > 0 && s.before(i, (i-1)/2) {
		s.swap(i, (i-1)/2)
		i = (i - 1) / 2
	}
	return i
}

func (s *schedule) down(i int) {
	for {
		child := 2*i + 1
		if child >= len(s.heap) {
			return
		}
		if child+1 < len(s.heap) && s.before(child+1, child) {
			child++
		}
		if !s.before(child, i) {
			return
		}
		s.swap(i, child)
		i = child
	}
}
