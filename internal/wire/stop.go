package wire

import "time"

// How stops are relied on, although nothing stores them. A worker begins an attempt only if it has heard, less than
// HearsWithin ago, every stop that its server had for it by then. So HeardBy after a stop, which leaves the message some
// time on its way, no worker begins the attempt.
const (
	HearsWithin = 200 * time.Millisecond
	HeardBy     = 500 * time.Millisecond
)
