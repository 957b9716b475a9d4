package bus

import "time"

// cost measures how long a batch takes, and how long a single message of a group. A batch is synced to disk once, but has a
// fixed cost whatever its size. When a batch is faster than single messages depends on the disk, so it is measured
// continuously.
type cost struct {
	groups        int
	batch, single average
}

const (
	guessBatch  = 2 * time.Millisecond  // for a batch, before one was measured
	guessSingle = 20 * time.Microsecond // for a single message: so low that single ones are tried first
	telling     = 8                     // messages in a group, at least, for its time to say what one of them takes, and not what a round trip takes
	perMessage  = 8 * time.Microsecond  // what each message adds to a batch; nearly the same everywhere
	tryEvery    = 64                    // groups; then single messages are measured again
	tryWith     = 32                    // messages; more would take too long on a slow disk
)

func newCost() cost {
	return cost{batch: average{value: guessBatch}, single: average{value: guessSingle}}
}

// tries reports whether the next group goes as single messages, to measure them.
func (c *cost) tries() bool {
	c.groups++
	return c.groups%tryEvery == 2
}

// batchPays reports whether n messages are stored sooner as a batch.
func (c *cost) batchPays(n int) bool {
	return n > 1 && time.Duration(n)*(c.single.value-perMessage) > c.batch.value
}

// The other average moves back towards its guess, so that a choice made in a bad moment is tried again.
func (c *cost) batchTook(n int, d time.Duration) {
	c.batch.add(max(0, d-time.Duration(n)*perMessage))
	c.single.sink(guessSingle)
}

func (c *cost) singlesTook(n int, d time.Duration) {
	if n >= telling {
		c.single.add(d / time.Duration(n))
	}
	c.batch.sink(guessBatch)
}

// average is a moving average over about the last eight measurements.
type average struct {
	value time.Duration
	count int
}

func (a *average) add(d time.Duration) {
	a.count = min(a.count+1, 8)
	a.value += (d - a.value) / time.Duration(a.count)
}

func (a *average) sink(towards time.Duration) {
	if a.value > towards {
		a.value += (towards - a.value) / 64
	}
}
