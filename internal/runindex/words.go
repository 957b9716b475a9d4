package runindex

import "sync"

// words gives each workflow a number, from 1; 0 stands for none.
type words struct {
	mu      sync.RWMutex
	numbers map[string]uint32
	list    []string
}

// known is the number of a word, 0 if it has none.
func (w *words) known(word string) uint32 {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return w.numbers[word]
}

// number is that of a word, which gets one where it has none.
func (w *words) number(word string) uint32 {
	if n := w.known(word); n > 0 || word == "" {
		return n
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := w.numbers[word]; n > 0 {
		return n
	}
	if w.numbers == nil {
		w.numbers = map[string]uint32{}
	}
	w.list = append(w.list, word)
	w.numbers[word] = uint32(len(w.list))
	return uint32(len(w.list))
}

// word is the reverse of number.
func (w *words) word(number uint32) string {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if number == 0 {
		return ""
	}
	return w.list[number-1]
}
