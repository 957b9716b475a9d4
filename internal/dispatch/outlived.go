package dispatch

import (
	"sync"

	"belay/internal/bus"
	"belay/internal/steps"
)

// A call that must not happen twice and was claimed within a process that had the store before is in nobody's hand: its outcome is unknown, and
// that is said at once. Of one that was claimed by a worker outside, which may live, only other workers say so, after its ack wait.

// outlived reports whether an attempt was claimed by a worker that is gone for sure, and has the run's log say so.
func (p *partition) outlived(r *run, rc *receipt, m *steps.StepMessage) (is bool, err error) {
	e := steps.Outlived(r.fold.State, *m, p.Bus.Outlived)
	if e == nil {
		return false, nil
	}
	name := attemptName(m)
	if r.knows(outlivedWord, name) {
		return true, nil
	}
	msg, stream, err := p.Log.Message(r.id, e)
	if err != nil {
		return true, err
	}
	r.note(outlivedWord, name)
	p.left.unknown()
	p.publish(rc, stream, msg, bus.ErrConflict)
	return true, nil
}

// left is what a process has left behind that had the store before this one, and did not close it.
type left struct {
	mu    sync.Mutex
	runs  int          // that were open
	calls int          // whose outcome is unknown with it
	swept map[int]bool // partitions that were swept
}

func (l *left) unknown() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls++
}

// sayLeft says what was left behind, once all partitions have been swept.
func (d *Dispatcher) sayLeft(partition, runs int) {
	l := &d.left
	l.mu.Lock()
	defer l.mu.Unlock()
	if d.Crashed == "" || l.swept[partition] || len(l.swept) == len(d.parts) {
		return
	}
	l.runs, l.swept[partition] = l.runs+runs, true
	if len(l.swept) == len(d.parts) {
		d.Logger.Info("the process that had the store before ended without closing it; its runs go on here", "process", d.Crashed, "open_runs", l.runs, "calls_with_unknown_outcome", l.calls)
	}
}
