package steps

import "time"

// knowsStart reports whether e says nothing new of the attempt. The word that nobody waits for may come late, behind
// that of the delivery which took its worker's place.
func (rec *AttemptRecord) knowsStart(e Started) bool {
	if rec.State != AttemptRunning {
		return false
	}
	return rec.delivery == e.Delivery && (rec.Worker == e.Worker || e.Delivery != "") || e.Delivery == "" && rec.delivery != ""
}

// noteStart notes a new start of the attempt. Whoever had started it before is lost, if this is another delivery: the
// server gives a message to somebody else only when its worker was silent for the ack wait.
func (rec *AttemptRecord) noteStart(e Started, now time.Time) {
	if e.Delivery != "" && e.Delivery != rec.delivery {
		rec.unheard = rec.unheard || e.Unheard
		if rec.State == AttemptRunning {
			rec.lose(now)
		}
	}
	rec.delivery, rec.begun = e.Delivery, now
}

// lose notes that the last start of the attempt came to no end. A delivery before it that the log had not heard of may
// have been handed back as well; now it is taken for one that was lost in the same way.
func (rec *AttemptRecord) lose(now time.Time) {
	if rec.begun.IsZero() {
		return
	}
	if rec.unheard {
		rec.Lost, rec.unheard = append(rec.Lost, Lost{Found: rec.begun}), false
	}
	rec.Lost = append(rec.Lost, Lost{Worker: rec.Worker, Started: rec.begun, Found: now})
	rec.begun = time.Time{}
}
