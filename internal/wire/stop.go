package wire

import "time"

// How words that tell a worker to stop are relied on, although nothing stores them. A worker begins an attempt only if
// it has heard, less than HearsWithin ago, all that its server had for it by then; so after HeardBy, which leaves the
// word some time on its way, nobody begins an attempt that they were told to put down.
const (
	HearsWithin = 200 * time.Millisecond
	HeardBy     = 500 * time.Millisecond
)
