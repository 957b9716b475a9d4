package dispatcher

import (
	"fmt"

	"belay/internal/cli"
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

// openOf are the escalations that nobody has decided.
func openOf(s *steps.State) (open []int) {
	for n := range s.Escalations {
		if s.Escalations[n].State == steps.EscalationOpen {
			open = append(open, n)
		}
	}
	return open
}
