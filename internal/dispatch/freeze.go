package dispatch

import (
	"belay/internal/bus"
	"belay/internal/dlq"
	"belay/internal/steps"
)

// freeze opens the dead letter about the entry that freezes a run. The run stays in memory, frozen, so that its further
// events cost nothing; a decision in its log makes it fold again.
func (p *partition) freeze(r *run, rc *receipt) {
	poison := r.fold.Poison
	id := steps.DeadLetterID(r.id, poison.Entry.Seq)
	if !r.knows(escalation, id) {
		p.logger.Error("the run is frozen: an entry of its log cannot be read; decide its dead letter",
			"run_id", r.id, "sequence", poison.Entry.Seq, "escalation", id, "error", poison.Why)
	}
	p.due.remove(r)
	p.putEscalation(r, rc, dlq.DeadLetter(id, r.id, poison.Entry, poison.Why))
	p.removeDecided(r, rc)
	if rc.left == 0 {
		p.finish(rc)
	}
}

// troubled handles a run whose wants cannot be computed or encoded: a bug in the program, because its log can be read. It
// opens a dead letter for people; the event is handed back each time, so that the run goes on once the program is fixed.
func (p *partition) troubled(r *run, rc *receipt, why error) {
	p.logger.Error("the run cannot go on; it will after an upgrade of the dispatcher", "run_id", r.id, "error", why)
	entry := bus.Entry{Seq: r.fold.Seq, Time: r.fold.State.Now}
	l := dlq.DeadLetter(steps.DeadLetterID(r.id, r.fold.Seq), r.id, entry, why)
	l.Allowed = nil
	p.putEscalation(r, &receipt{run: r, sweep: true}, l)
	p.handBack(rc)
	p.forget(r)
}
