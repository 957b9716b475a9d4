package worker

import (
	"belay/internal/bus"
	"belay/internal/executor"
	"belay/internal/ladder"
)

// attended is the consumption of a rung that other programs poll for: messages are pulled and begun only while one waits.
type attended struct {
	bus.Consumption
	stop func()
}

func (c attended) Stop() {
	c.stop()
	c.Consumption.Stop()
}

// receiveFor receives a message for a program that is waiting. If there is none, it hands the message back, unbegun.
func (w *Worker) receiveFor(k ladder.Key, rung ladder.Rung, from executor.Polled, d bus.Delivery) {
	seat, pause := from.Reserve()
	if seat != nil {
		rung.Executor = seat
		w.receive(k, &job{rung: rung, seated: true}, d)
		return
	}
	conn := w.Bus.ConnectedAt()
	if back := w.parks.back(d, conn); back || d.Count == 1 {
		w.parks.add(d, conn, pause)
	}
	_ = d.Park(pause)
}

// waitedFor reports whether a program is still waiting for the attempt, if that is needed; if not, the message has been
// handled.
func (j *job) waitedFor() bool {
	if !j.seated || j.rung.Executor.(executor.Seat).Waits() {
		return true
	}
	j.park(0)
	return false
}

// unseat tells the waiting program that the worker is done with the attempt.
func (j *job) unseat() {
	if j.seated {
		j.rung.Executor.(executor.Seat).Leave(j.stored)
	}
}

// served lists what this worker executes now; of rungs that programs poll for, only those with a program.
func (w *Worker) served() []string {
	var all []string
	for k, rung := range w.Tools {
		if from, is := rung.Executor.(executor.Polled); !is || from.Attended() {
			all = append(all, k.String())
		}
	}
	return all
}
