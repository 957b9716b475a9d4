package steps

import "time"

// Abandoned is what is said of an attempt whose worker is gone, when no worker asks for its rung for so long that people
// are asked: what a worker of the rung would say of it, if there was one. Nil where there is nothing to say: the attempt
// is over, is being taken back, or was never begun, for which [Unserved] is there. The message must be in
// nobody's hand but the caller's.
func Abandoned(s *State, m StepMessage) Event {
	c := change{State: s}
	i, _ := c.current(m.Attempt)
	if Wanted(s, m) != WantsThis || s.Units[i].phase != PhaseRunning {
		return nil
	}
	f := Fault{Class: NoWorker, Acted: ActedMaybe, Message: "its worker is gone, and " + c.unserved(i)}
	if c.effects(i).Unsafe() {
		f.Class, f.Message = Unknown, "the worker that had claimed it is gone without an outcome: it may have happened; and "+c.unserved(i)
	}
	return Failed{Attempt: m.Attempt, Fault: f}
}

// Outlived is what is said of an attempt that was claimed by a worker of which is known that it is gone, and not only silent: what
// another worker would say of it after an ack wait. Nil where there is nothing to say: the attempt is over, is being taken
// back, or was claimed by nobody, or by somebody who may live.
func Outlived(s *State, m StepMessage, gone func(worker string) bool) Event {
	c := change{State: s}
	i, ok := c.current(m.Attempt)
	if !ok || !m.Claimed() || s.Units[i].phase != PhaseRunning || !gone(s.Units[i].Current().Worker) {
		return nil
	}
	f := Fault{Class: Crashed, Acted: ActedMaybe, Message: "the process of the worker that had claimed it has ended"}
	if c.effects(i).Unsafe() {
		f.Class, f.Message = Unknown, f.Message+": it may have happened"
	}
	return Failed{Attempt: m.Attempt, Fault: f}
}

// unserved says that no worker asks for the current attempt of unit i.
func (s *State) unserved(i int) string {
	return "no worker serves tool " + s.Tool(i).Name + ", rung " + s.RungName(i) + ": start one with this tool, then retry"
}

// knowsStart reports whether e says nothing new about the attempt. A start that its worker did not wait to see stored may
// arrive after that of the delivery that replaced it.
func (rec *AttemptRecord) knowsStart(e Started) bool {
	if rec.State != AttemptRunning {
		return false
	}
	return rec.delivery == e.Delivery && (rec.Worker == e.Worker || e.Delivery != "") || e.Delivery == "" && rec.delivery != ""
}

// noteStart notes a new start of the attempt. If it is another delivery, the worker that had started it before is lost:
// the server redelivers a message only after its worker has been silent for the ack wait.
func (rec *AttemptRecord) noteStart(e Started, now time.Time) {
	if e.Delivery != "" && e.Delivery != rec.delivery {
		rec.unheard = rec.unheard || e.Unheard
		if rec.State == AttemptRunning {
			rec.lose(now)
		}
	}
	rec.delivery, rec.begun = e.Delivery, now
}

// lose notes that the last start of the attempt came to no end. A delivery before it that the log had not heard of might
// just have been handed back; now it is counted as lost too.
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
