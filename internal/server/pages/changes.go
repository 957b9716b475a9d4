package pages

import (
	"context"
	"sync"
)

// Changes notifies all open pages of what has changed. No page misses a change without noticing: if it reads too slowly,
// its channel is closed, and then it subscribes again and reads everything anew. The zero value is ready to use. It is
// safe for concurrent use.
type Changes struct {
	mu    sync.Mutex
	pages map[chan Change]struct{}
}

// Change says that an item, a run or a redrive has changed.
type Change struct {
	Kind ChangeKind // what it is
	ID   string     // of the item, the run or the redrive
}

// ChangeKind says what has changed.
type ChangeKind string

// The kinds of changes.
const (
	ItemChanged    ChangeKind = "item"
	RunChanged     ChangeKind = "run"
	RedriveChanged ChangeKind = "redrive"
)

// behind is how many changes may wait for a page before its channel is closed.
const behind = 256

// Subscribe returns a channel of all changes from now on. It is closed when ctx ends or the reader is too slow.
func (c *Changes) Subscribe(ctx context.Context) <-chan Change {
	page := make(chan Change, behind)
	c.mu.Lock()
	if c.pages == nil {
		c.pages = map[chan Change]struct{}{}
	}
	c.pages[page] = struct{}{}
	c.mu.Unlock()
	context.AfterFunc(ctx, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.drop(page)
	})
	return page
}

// Tell passes a change on, and never blocks.
func (c *Changes) Tell(ch Change) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for page := range c.pages {
		select {
		case page <- ch:
		default:
			c.drop(page)
		}
	}
}

// Hangup ends all subscriptions, so that a server can stop.
func (c *Changes) Hangup() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for page := range c.pages {
		c.drop(page)
	}
}

// Listeners returns how many pages are subscribed.
func (c *Changes) Listeners() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.pages)
}

func (c *Changes) drop(page chan Change) {
	if _, there := c.pages[page]; there {
		delete(c.pages, page)
		close(page)
	}
}
