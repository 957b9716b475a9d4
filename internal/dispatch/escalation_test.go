package dispatch

import (
	"fmt"
	"testing"

	"belay/internal/dlq"
	"belay/internal/steps"
	"belay/internal/steps/view"
)

// TestAnEscalationIsNotRemovedBeforeItIsThere: it may be decided while it is still on its way into the stream.
func TestAnEscalationIsNotRemovedBeforeItIsThere(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := New(Options{Bus: r.opened(), Log: r.log, Name: "d"}).parts[0]
	p.work = t.Context()
	of := p.admit("r")
	for n := range 200 {
		l := dlq.Entry{Escalation: view.Escalation{ID: fmt.Sprintf("r-%d", n), Kind: steps.KindFailure, Tool: "t", Run: "r"}}
		p.putEscalation(of, &receipt{run: of, sweep: true}, l)
		p.removeEscalation(of, &receipt{run: of, sweep: true}, l.Escalation)
	}
	p.drain(arrivals{})
	left, err := r.box.IDs(t.Context())
	if err != nil || len(left) != 0 || p.out != 0 || len(p.putting) != 0 {
		t.Errorf("%d escalations are left, %d on their way: %v", len(left), p.out, err)
	}
}
