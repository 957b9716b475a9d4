package dispatcher

import (
	"context"
	"fmt"

	"belay/internal/gates"
	"belay/internal/steps"
	"belay/internal/steps/view"
	"belay/internal/text"
)

// waitingForGates prints what holds steps of the run back, each gate once.
func (p *progress) waitingForGates(s *steps.State) {
	said := map[string]bool{}
	for _, w := range view.WhyOf(s, view.Foresight{}).Waits {
		if w.For != view.ForGate || said[w.Gate] {
			continue
		}
		if len(said) == 0 {
			fmt.Fprintf(p.w, "run %s is held back:\n", short(p.id))
		}
		said[w.Gate] = true
		fmt.Fprintf(p.w, "  %s  %s%s\n", forPeople(w.Step), text.Line(w.Text), p.flags)
	}
}

// released reports whether a run waits for nothing but gates that were opened: it goes on in a moment.
func (s *session) released(ctx context.Context, st *steps.State) bool {
	if st.Status() != steps.RunWaiting || st.HeldBack() == 0 || len(openOf(st)) > 0 {
		return false
	}
	all, err := gates.Of(s.Bus).List(ctx)
	if err != nil {
		return false
	}
	opened := map[string]bool{}
	for _, p := range all {
		opened[p.ID] = !p.Closed()
	}
	for _, w := range view.WhyOf(st, view.Foresight{}).Waits {
		if w.For == view.ForGate && !opened[w.Gate] {
			return false
		}
	}
	return true
}

// openOf are the escalations that nobody has decided.
func openOf(s *steps.State) (open []int) {
	for n := range s.Escalations {
		if s.Escalations[n].State == steps.EscalationOpen {
			open = append(open, n)
		}
	}
	return open
}
