package server

import (
	"context"
	"sync"
	"time"

	"belay/internal/doctor"
)

// examined keeps the last examination for a moment: several people may look at once, and each asks the server a lot.
type examined struct {
	o doctor.Options

	mu   sync.Mutex
	at   time.Time
	last doctor.Report
}

// examinedFor is for how long a report is given to everybody who asks.
const examinedFor = 5 * time.Second

func (e *examined) report(ctx context.Context) doctor.Report {
	e.mu.Lock()
	defer e.mu.Unlock()
	if time.Since(e.at) > examinedFor {
		e.last = doctor.Examine(ctx, e.o)
		e.at = time.Now()
	}
	return e.last
}
