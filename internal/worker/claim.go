package worker

import (
	"context"
	"errors"
	"time"

	"belay/internal/bus"
)

// For how long, and how often, a claim that the server did not confirm is repeated.
const (
	claimPatience = 30 * time.Second
	claimPause    = 200 * time.Millisecond
)

// behind is where a claim is stored that is in doubt: behind what the log has about the attempt.
type behind struct {
	until  time.Time // when the worker gives up
	claim  bus.Message
	stream string
}

// readBehind reads the whole log for the handling, and makes the claim that would be stored behind what it has. A server
// that does not answer may come back.
func (j *job) readBehind() bool {
	for {
		about, m, stream, err := j.claimAfter(j.life)
		if err == nil {
			j.handling.Read(about)
			j.behind.claim, j.behind.stream = m, stream
			return true
		}
		if !j.letServerCome(err) {
			return false
		}
	}
}

// claimBehind stores that claim. The fold treats the second one as the first.
func (j *job) claimBehind() bool {
	ctx, cancel := context.WithDeadline(j.life, j.behind.until)
	defer cancel()
	j.claimed = time.Now()
	_, err := j.Bus.PublishWait(ctx, j.behind.stream, j.behind.claim)
	if err == nil {
		j.handling.ClaimStored()
		return true
	}
	if !errors.Is(err, bus.ErrConflict) && !errors.Is(err, bus.ErrUncertain) {
		j.unclaimed(err)
		return false
	}
	if !j.letServerCome(err) {
		return false
	}
	j.handling.ClaimInDoubt()
	return true
}

// letServerCome waits a moment, in case the server comes back. Once the patience is over, or the worker stops, it hands the
// message back and returns false.
func (j *job) letServerCome(why error) bool {
	if time.Now().After(j.behind.until) {
		j.unclaimed(why)
		return false
	}
	t := time.NewTimer(claimPause)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-j.life.Done():
	case <-j.stopping:
	}
	j.unclaimed(why)
	return false
}

func (j *job) unclaimed(why error) {
	j.Logger.Warn("a claim is not confirmed, so nothing is executed; the message is redelivered", "attempt", j.name(), "error", why)
	j.park(time.Second)
}
