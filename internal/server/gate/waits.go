package gate

import (
	"errors"
	"sync"

	"belay/internal/people"
)

// How many requests may wait for runs, or follow them, at the same time in one process.
const (
	MostWaits   = 2000 // in all
	MostWaitsOf = 200  // with one token
)

// Why a request that would wait is refused.
var (
	ErrTooManyOfYours = errors.New("too many requests with this token wait")
	ErrTooManyWait    = errors.New("too many requests wait here")
)

// Waits counts the requests that wait, whatever protocol they came by. It is safe for concurrent use.
type Waits struct {
	mu  sync.Mutex
	all int
	by  map[string]int // by token
}

// NewWaits makes a counter for a process.
func NewWaits() *Waits { return &Waits{by: map[string]int{}} }

// Whose tells those apart whose requests are counted: by token or, where none is shown, by name.
func Whose(who people.Actor) string {
	if who.Token == "" {
		return "of " + who.Name
	}
	return who.Token
}

// Enter lets a request wait, and refuses one too many with [ErrTooManyOfYours] or [ErrTooManyWait]. Call leave when it has
// ended.
func (w *Waits) Enter(who people.Actor) (leave func(), err error) {
	key := Whose(who)
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.by[key] >= MostWaitsOf:
		return nil, ErrTooManyOfYours
	case w.all >= MostWaits:
		return nil, ErrTooManyWait
	}
	w.all++
	w.by[key]++
	return func() { w.leave(key) }, nil
}

func (w *Waits) leave(key string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all--
	if w.by[key]--; w.by[key] == 0 {
		delete(w.by, key)
	}
}
