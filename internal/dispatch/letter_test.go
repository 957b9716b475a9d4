package dispatch

import (
	"fmt"
	"testing"

	"belay/internal/dlq"
	"belay/internal/steps"
)

// TestALetterIsNotTakenOutBeforeItIsThere: escalations are settled while their letters are still on their way.
func TestALetterIsNotTakenOutBeforeItIsThere(t *testing.T) {
	r := newRig(t)
	p := New(Options{Bus: r.opened(), Log: r.log, Name: "d"}).parts[0]
	p.work = t.Context()
	of := p.admit("r")
	for n := range 200 {
		l := dlq.Letter{EscalationView: steps.EscalationView{ID: fmt.Sprintf("r-%d", n), Kind: steps.KindFailure, Tool: "t", Run: "r"}}
		p.putLetter(of, &receipt{run: of, sweep: true}, l)
		p.removeLetter(of, &receipt{run: of, sweep: true}, l.EscalationView)
	}
	p.drain(mail{})
	left, err := r.box.IDs(t.Context())
	if err != nil || len(left) != 0 || p.out != 0 || len(p.putting) != 0 {
		t.Errorf("%d letters are left, %d on their way: %v", len(left), p.out, err)
	}
}
