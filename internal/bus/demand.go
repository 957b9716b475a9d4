package bus

import "sync/atomic"

// Demand is how many messages a consumer can use now, for consumers where that changes: no more than that is pulled from
// the queue. Messages that were pulled before the demand fell may still arrive, for a moment.
type Demand struct {
	n    atomic.Int64
	rose chan struct{} // has a value after it rose
	sank chan struct{} // has a value after it fell to 0
}

// mostDemand bounds the pulls, each of which waits at the server; more follow as messages arrive.
const mostDemand = 32

// NewDemand returns a demand of 0.
func NewDemand() *Demand { return &Demand{rose: make(chan struct{}, 1), sank: make(chan struct{}, 1)} }

// Set changes the demand. It never blocks.
func (d *Demand) Set(n int) {
	before, word := d.n.Swap(int64(n)), d.rose
	switch {
	case int64(n) > before:
	case n == 0 && before > 0:
		word = d.sank
	default:
		return
	}
	select {
	case word <- struct{}{}:
	default:
	}
}

// none has a value after the demand fell to 0; it is nil if d is.
func (d *Demand) none() <-chan struct{} {
	if d == nil {
		return nil
	}
	return d.sank
}

func (d *Demand) now() int { return int(min(d.n.Load(), mostDemand)) }

// raised has a value after the demand rose; it is nil if d is.
func (d *Demand) raised() <-chan struct{} {
	if d == nil {
		return nil
	}
	return d.rose
}
