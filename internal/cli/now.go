package cli

import (
	"sync/atomic"
	"time"
)

// clock is the server's, once a command has reached one.
var clock atomic.Pointer[func() time.Time]

// GoBy has this process go by the clock of the server that it has reached.
func GoBy(now func() time.Time) { clock.Store(&now) }

// Now is what time it is at the server, whose time is that of all logs; this machine's before a server was reached.
func Now() time.Time {
	if now := clock.Load(); now != nil {
		return (*now)()
	}
	return time.Now()
}
