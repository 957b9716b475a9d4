package dispatch

import (
	"belay/internal/bus"
	"belay/internal/dlq"
	"belay/internal/runlog"
)

// freeze raises the dead letter about the entry that holds a run. The run stays in memory, frozen, so that its further
// events cost nothing; a decision in its log has it folded anew.
func (p *partition) freeze(r *run, rc *receipt) {
	poison := r.fold.Poison
	id := runlog.LetterID(r.id, poison.Entry.Seq)
	if !r.knows(letter, id) {
		p.log.Error("the run is frozen: an entry of its log cannot be read; decide its dead letter",
			"run_id", r.id, "sequence", poison.Entry.Seq, "escalation", id, "error", poison.Why)
	}
	p.due.remove(r)
	p.putLetter(r, rc, dlq.DeadLetter(id, r.id, poison.Entry, poison.Why))
	p.removeDecided(r, rc)
	if rc.left == 0 {
		p.finish(rc)
	}
}

// troubled deals with a run whose wants cannot be worked out or written: a mistake in the program, since its log can be
// read. A letter tells people; the event is handed back again and again, so that the run goes on by itself once the
// program is mended.
func (p *partition) troubled(r *run, rc *receipt, why error) {
	p.log.Error("the run cannot go on; upgrade the dispatcher, then it does by itself", "run_id", r.id, "error", why)
	entry := bus.Entry{Seq: r.fold.Seq, Time: r.fold.State.Now}
	l := dlq.DeadLetter(runlog.LetterID(r.id, r.fold.Seq), r.id, entry, why)
	l.Allowed = nil
	p.putLetter(r, &receipt{run: r, sweep: true}, l)
	p.handBack(rc)
	p.forget(r)
}
