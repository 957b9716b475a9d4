package bus

import "time"

// cost knows what a batch and a single message of a group take. A batch is synced to disk once, but has a price of its
// own whatever its size; where the line is between batches and single messages depends on the disk, so it is measured
// as it goes.
type cost struct {
	groups        int
	batch, single average
}

const (
	guessBatch  = 2 * time.Millisecond  // a batch, before one was measured
	guessSingle = 20 * time.Microsecond // a single message among others: so low that single ones are tried first
	telling     = 8                     // messages in a group before its time tells what one of them takes, not what a round trip does
	perMessage  = 8 * time.Microsecond  // what each message adds to a batch, nearly the same everywhere
	tryEvery    = 64                    // groups; then single messages are measured again, or their price would never be known
	tryWith     = 32                    // messages; more would cost too much where it turns out dear
)

func newCost() cost {
	return cost{batch: average{value: guessBatch}, single: average{value: guessSingle}}
}

// tries says whether the next group is to go singly for the sake of measuring.
func (c *cost) tries() bool {
	c.groups++
	return c.groups%tryEvery == 2
}

// batchPays says whether n messages are stored sooner as a batch.
func (c *cost) batchPays(n int) bool {
	return n > 1 && time.Duration(n)*(c.single.value-perMessage) > c.batch.value
}

// What is not measured sinks back towards its guess, so that a choice made in a bad moment is tried again.
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
