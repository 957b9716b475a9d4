package plan

import (
	"container/list"
	"sync"

	"belay/internal/steps"
)

// Cache keeps the programs that were used last, by the digest of their documents. All runs of the same plan share one
// program. It is safe for concurrent use.
type Cache struct {
	size int

	mu      sync.Mutex
	entries map[string]*list.Element
	recent  *list.List // of *cached, the one used last in front
}

type cached struct {
	digest  string
	compile func() (*steps.Program, error)
}

// NewCache makes a cache of at most size programs (at least one).
func NewCache(size int) *Cache {
	return &Cache{size: max(size, 1), entries: map[string]*list.Element{}, recent: list.New()}
}

// Program is [Compile] with a memory. Callers that ask for the same document at the same time compile it once.
func (c *Cache) Program(document []byte) (*steps.Program, error) {
	return c.entry(digest(document), document).compile()
}

func (c *Cache) entry(digest string, document []byte) *cached {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.entries[digest]; ok {
		c.recent.MoveToFront(e)
		return e.Value.(*cached)
	}
	e := &cached{digest: digest, compile: sync.OnceValues(func() (*steps.Program, error) { return Compile(document) })}
	c.entries[digest] = c.recent.PushFront(e)
	if c.recent.Len() > c.size {
		oldest := c.recent.Remove(c.recent.Back()).(*cached)
		delete(c.entries, oldest.digest)
	}
	return e
}
