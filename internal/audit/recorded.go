package audit

import (
	"context"
	"strconv"

	"belay/internal/bus"
	"belay/internal/wire"
)

// Recorded reports whether all acts among a run's entries are in the trail, and covered by a checkpoint.
func (r *Recorder) Recorded(ctx context.Context, entries []bus.Entry) (bool, error) {
	if err := r.open(ctx); err != nil {
		return false, err
	}
	for _, e := range entries {
		p, _, kind, ok := r.Bus.Names().ParseLog(e.Subject)
		key := cursor
		if kind == wire.KindPlan {
			key = actCursor
		}
		if !ok || kind != wire.KindDecision && len(e.Header[wire.HeaderAct]) == 0 {
			continue
		}
		at, _, err := r.bucket.Get(ctx, key+strconv.Itoa(p))
		if err != nil {
			return false, err
		}
		if stored, _ := strconv.ParseUint(string(at.Value), 10, 64); e.Seq > stored {
			return false, nil
		}
	}
	return true, nil
}
