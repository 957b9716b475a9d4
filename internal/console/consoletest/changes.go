package consoletest

import (
	"context"

	"belay/internal/console"
)

// Subscribe implements [console.Changes].
func (w *World) Subscribe(ctx context.Context) <-chan console.Change {
	ch := make(chan console.Change, 16)
	w.mu.Lock()
	w.listeners[ch] = true
	w.mu.Unlock()
	context.AfterFunc(ctx, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.drop(ch)
	})
	return ch
}

// Listeners is how many pages listen.
func (w *World) Listeners() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.listeners)
}

// Tell says that something changed.
func (w *World) Tell(c console.Change) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tell(c)
}

func (w *World) tell(c console.Change) {
	for ch := range w.listeners {
		select {
		case ch <- c:
		default:
			w.drop(ch)
		}
	}
}

// Hangup ends all subscriptions, as a server that restarts does.
func (w *World) Hangup() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for ch := range w.listeners {
		w.drop(ch)
	}
}

func (w *World) drop(ch chan console.Change) {
	if w.listeners[ch] {
		delete(w.listeners, ch)
		close(ch)
	}
}
