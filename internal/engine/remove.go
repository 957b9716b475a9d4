package engine

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"belay/internal/audit"
	"belay/internal/bus"
	"belay/internal/handoff"
	"belay/internal/people"
)

// recordRemoval records that somebody is about to remove an archived run from the log, once the trail has all that people did about
// it: the trail is made from the log, and nobody could record that later. Before, it is an [handoff.ErrUnrecorded].
func (e *Engine) recordRemoval(ctx context.Context, who people.Actor, a people.Act, run string, entries []bus.Entry) error {
	switch there, err := e.Recorder.Recorded(ctx, entries); {
	case err != nil:
		return err
	case !there:
		e.Recorder.Nudge()
		return fmt.Errorf("%w: %w", handoff.ErrNotAllowed, handoff.ErrUnrecorded)
	}
	effect := fmt.Sprintf("removed from the log, entries %d", len(entries))
	if a.Text != "" {
		effect += "; archived in " + a.Text
	}
	return e.Recorder.Log.Append(ctx, audit.Record{
		ID: "removed/" + uuid.NewString(), At: e.Bus.Now(), Who: who.Name, Via: who.Via, Token: who.Token, Action: "remove archived run", On: run, Run: run, Reason: a.Reason,
		Digest: a.Digest, Effect: effect,
	})
}
