package dispatch

import (
	"context"
	"time"

	"belay/internal/bus"
)

// remakeEvery is how often the dispatcher looks whether its streams are there.
const remakeEvery = time.Second

// remaker makes streams and buckets again that were removed behind Belay's back, and publishes anew what follows from the log.
type remaker struct {
	*Dispatcher
	known bus.Known
}

func (r *remaker) look(ctx context.Context) error {
	if r.away() {
		return nil // the health check says so
	}
	remade, err := r.Bus.Remake(ctx, &r.known)
	if len(remade) == 0 {
		return err
	}
	for _, name := range remade {
		r.Logger.Error("a stream was removed behind Belay's back; it is made again, and "+r.lost(name), "stream", name)
	}
	if r.Remade != nil {
		r.Remade(remade) // first, so that whoever is asked again finds what it takes to answer
	}
	for _, p := range r.parts {
		p.box.call(p.anew)
	}
	return err
}

// away reports whether the server is not there.
func (d *Dispatcher) away() bool { return d.Bus.Ready() != nil }

// lost says what is lost with a stream or bucket.
func (r *remaker) lost(name string) string {
	n := r.names
	switch name {
	case n.TimersStream(), n.EscalationsStream():
		return "filled from the log"
	case "KV_" + n.AccessBucket():
		return "all tokens are gone with it: make them anew with `dispatcher token create`"
	case "KV_" + n.KeysBucket():
		return "the keys of this dispatcher are published again; those of others when they start, and what was revoked is forgotten"
	case "KV_" + n.CacheBucket():
		return "last good results are gone with it"
	case "KV_" + n.InboxBucket():
		return "who had claimed what is gone with it"
	case "KV_" + n.GatesBucket():
		return "filled by dispatchers with the gates that they know as closed: nothing is opened by that"
	case "KV_" + n.LimitsBucket():
		return "filled by dispatchers with who has a slot; which targets have asked to wait they know, and the next calls of a rate may come a moment early"
	case "KV_" + n.ScoreBucket():
		return "what came of calls is counted once more from the logs that are kept"
	case "KV_" + n.BreakersBucket():
		return "the breakers that were open are closed with it"
	case "KV_" + n.SchedulesBucket():
		return "filled by dispatchers with the schedules that they know"
	case "KV_" + n.TallyBucket():
		return "filled from outside the store, as far as it is known there"
	}
	return "what was in it is gone"
}

// anew forgets all runs and reads the open ones, as after a take-over.
func (p *partition) anew() {
	if !p.pinned {
		return
	}
	p.forgetAll()
	p.listed = nil
	select {
	case p.takenOver <- struct{}{}:
	default:
	}
}
