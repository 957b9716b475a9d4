package exactjson

import "bytes"

const (
	unknown = -1 - iota
	twice
)

// seen are the keys of one object so far.
type seen struct {
	order []string // known keys, as they are usually written: one after the other
	next  int      // the one that is expected
	known uint64   // of the first 64 known keys, those that were there
	few   [8][]byte
	n     int
	many  map[string]bool // once few are not enough
}

// place is which known key this is, [unknown], or [twice].
func (s *seen) place(name []byte) int {
	i := s.find(name)
	if i < 0 || i >= 64 {
		if s.repeats(name) {
			return twice
		}
		return i
	}
	if bit := uint64(1) << i; s.known&bit == 0 {
		s.known |= bit
		return i
	}
	return twice
}

// find goes around the known keys once, from the expected one on.
func (s *seen) find(name []byte) int {
	for k := range len(s.order) {
		i := s.next + k
		if i >= len(s.order) {
			i -= len(s.order)
		}
		if s.order[i] == string(name) {
			s.next = i + 1
			return i
		}
	}
	return unknown
}

// repeats notes another key, and reports whether it was there before.
func (s *seen) repeats(name []byte) bool {
	if s.many != nil {
		was := s.many[string(name)]
		s.many[string(name)] = true
		return was
	}
	for _, k := range s.few[:s.n] {
		if bytes.Equal(k, name) {
			return true
		}
	}
	if s.n < len(s.few) {
		s.few[s.n] = name
		s.n++
		return false
	}
	s.many = map[string]bool{string(name): true}
	for _, k := range s.few {
		s.many[string(k)] = true
	}
	return false
}
