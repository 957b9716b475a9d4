package audit

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Place is somewhere else that gets every checkpoint that is signed: a file on another disk, a receiver of webhooks.
type Place struct {
	Name string                                             // for people; it is logged, so it is no secret
	Put  func(ctx context.Context, checkpoint string) error // may be called again with the same one
	Have func() ([]string, error)                           // what it has, which the trail is compared with; nil = it cannot be asked

	mu    sync.Mutex // held while it is given one
	given string     // the last one that it has
	tries int        // that have failed since
	next  time.Time  // when it is tried again
}

// FilePlace is a file that checkpoints are appended to.
func FilePlace(path string) *Place {
	return &Place{
		Name: path, Have: func() ([]string, error) { return keptIfThere(path) },
		Put: func(_ context.Context, checkpoint string) error { return Keep(path, checkpoint) },
	}
}

// longestWait is how long a place is left alone that has failed, at most.
const longestWait = time.Minute

// give gives it a checkpoint, unless it has it. Nobody waits for that: a place may be slow, or away.
func (p *Place) give(ctx context.Context, checkpoint string, logger *slog.Logger, nudge func()) {
	if !p.mu.TryLock() {
		return // it is being given one
	}
	if p.given == "" && p.Have != nil {
		if all, err := p.Have(); err == nil && len(all) > 0 {
			p.given = all[len(all)-1]
		}
	}
	if p.given == checkpoint || time.Now().Before(p.next) {
		p.mu.Unlock()
		return
	}
	go func() {
		defer p.mu.Unlock()
		err := p.Put(ctx, checkpoint)
		if err == nil {
			if p.tries > 0 {
				logger.Info("a place outside the store takes checkpoints of the audit trail again", "place", p.Name)
			}
			p.given, p.tries, p.next = checkpoint, 0, time.Time{}
			return
		}
		if ctx.Err() != nil {
			return
		}
		wait := min(longestWait, time.Second<<min(p.tries, 6))
		p.tries, p.next = p.tries+1, time.Now().Add(wait)
		if p.tries == 1 {
			logger.Warn("a place outside the store does not take a checkpoint of the audit trail; trying again", "place", p.Name, "error", err)
		}
		time.AfterFunc(wait, nudge)
	}()
}
