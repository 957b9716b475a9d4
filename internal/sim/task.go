package sim

import (
	"strconv"
	"time"

	"belay/internal/steps"
)

// task is a call that its server works on by itself, whatever becomes of the worker.
type task struct {
	ends time.Time
	came Happens
}

// becomeTask leaves the call that has just begun to its server, and that on the log.
func (h *hand) becomeTask(w Happens) {
	id := h.m.Token() + "#" + strconv.Itoa(h.call.Execution) + " of " + h.m.Step
	h.p.tasks[id] = &task{h.p.now.Add(w.Took), w}
	server := *h // the effect is the server's, and the hand may have another message then
	if w.Acts {
		h.p.in(w.Took/2, server.act)
	}
	h.p.surely(steps.Resumable{Attempt: h.m.Attempt, Worker: h.worker, Resume: steps.Resume{Value: []byte(strconv.Quote(id)), About: "task " + id, Harmless: true}}, func() {})
}

// goesOn lets an attempt go on with a task that one before it has left. False: it is to be executed.
func (h *hand) goesOn() bool {
	if !h.doing.Continues() || h.p.Broken == Forgetful {
		return false
	}
	next := h.p.truth.Continuation(h.m.Attempt)
	if next == nil {
		if h.m.Continues {
			h.report(h.failed(steps.Fault{Class: steps.PolicyDenied, Acted: steps.ActedNo, Message: "there is nothing to go on with"}, 0))
		}
		return h.m.Continues
	}
	id, err := strconv.Unquote(string(next.Value))
	t := h.p.tasks[id]
	if err != nil || t == nil {
		return false // the call goes on with the server's state
	}
	left := max(t.ends.Sub(h.p.now), time.Millisecond)
	w := Happens{Took: left, Output: t.came.Output, Age: t.came.Age, Fault: t.came.Fault}
	if h.p.Looks != nil {
		w.Worker = h.p.Looks(h.m)
	}
	h.p.say(h.worker, "looks after task %s", id)
	h.lookAfter(w)
	return true
}

// lookAfter waits for what comes of a task.
func (h *hand) lookAfter(w Happens) {
	ended := h.p.Ended
	h.p.Ended = nil // it is no call
	h.execute(w)
	h.p.Ended = ended
}
