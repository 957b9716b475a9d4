package worker

import (
	"sync"
	"time"

	"belay/internal/bus"
)

// parks are the messages that this worker has handed back, unbegun, to be redelivered later. If this worker also gets the
// next delivery, no other one has had the message in between: the log need not be read for it, and its start is not counted.
type parks struct {
	mu    sync.Mutex
	all   map[uint64]parked // by sequence in the queue
	sweep int               // the number at which those that did not come back are removed
}

type parked struct {
	count uint64    // of the delivery that was handed back
	conn  time.Time // the connection that delivered it: after a reconnect the queue may be another one
	until time.Time
}

const parksKept = 1024

func newParks() *parks { return &parks{all: map[uint64]parked{}, sweep: parksKept} }

// add notes that a delivery is handed back for a while.
func (p *parks) add(d bus.Delivery, conn time.Time, pause time.Duration) {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.all) >= p.sweep {
		for seq, k := range p.all {
			if now.After(k.until.Add(time.Minute)) {
				delete(p.all, seq) // it went to another worker, or was withdrawn
			}
		}
		p.sweep = max(parksKept, 2*len(p.all))
	}
	p.all[d.Seq] = parked{d.Count, conn, now.Add(pause)}
}

// back reports whether a delivery is the next one of a message that was handed back here.
func (p *parks) back(d bus.Delivery, conn time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	k, ok := p.all[d.Seq]
	if !ok {
		return false
	}
	delete(p.all, d.Seq)
	return d.Count == k.count+1 && conn.Equal(k.conn)
}
