package dispatcher

import (
	"context"
	"fmt"

	"belay/internal/cli"
	"belay/internal/gates"
	"belay/internal/steps"
	"belay/internal/steps/view"
	"belay/internal/text"
)

// waitsBehind prints what holds steps of the run back: each gate once, and each limit.
func (p *progress) waitsBehind(w view.Why) {
	said := map[string]bool{}
	for _, group := range []struct {
		head string
		fits func(x *view.Wait) bool
	}{
		{"is held back", func(x *view.Wait) bool { return x.For == view.ForGate && x.Opened == nil }},
		{"waits for its turn", func(x *view.Wait) bool { return x.For == view.ForGate && x.Opened != nil }},
		{"waits for a limit", func(x *view.Wait) bool { return x.For == view.ForLimit }},
	} {
		first := true
		for i := range w.Waits {
			x := &w.Waits[i]
			if !group.fits(x) || x.Gate != "" && said[x.Gate] {
				continue
			}
			if first {
				fmt.Fprintf(p.w, "run %s %s:\n", short(p.id), group.head)
			}
			first, said[x.Gate] = false, true
			flags := p.flags
			if x.For == view.ForLimit || x.Opened != nil { // no command follows
				flags = ""
			}
			fmt.Fprintf(p.w, "  %s  %s%s\n", forPeople(x.Step), text.Line(x.Text), flags)
		}
	}
}

// why is what the run waits for.
func (p *progress) why(s *steps.State) view.Why {
	f := view.Foresight{Now: cli.Now()}
	if p.waits == nil {
		return view.WhyOf(s, f)
	}
	return p.waits(f)
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
