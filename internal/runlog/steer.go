package runlog

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"belay/internal/steps"
	"belay/internal/steps/view"
)

// MaxMessage is how many bytes a message to an agent may have.
const MaxMessage = 10000

// Steer writes a message to an agent that is at work, and says when it is read; or takes turns of it back, with a message or
// without one, and says which and what stays done. Without a step it is for the only agent of
// the run that can be written to; without an ID it gets one, and a message whose ID the agent has is written once. The error
// is [ErrEnded] once the run has ended, [ErrNoAgent] where no agent reads it, and [ErrNoTurn] where that turn is not to be taken
// back.
func (l *Log) Steer(ctx context.Context, run string, e steps.Steered) (w view.Reply, err error) {
	if other := l.elsewhere(run); other != nil {
		return other.Steer(ctx, run, e)
	}
	fail := func(why error) (view.Reply, error) { return w, fmt.Errorf("write to run %s: %w", run, why) }
	e.ID, e.Text = readable(e.ID), readable(strings.TrimSpace(e.Text))
	if why := misfit(e); why != "" {
		return fail(fmt.Errorf("%w: %s", ErrInvalid, why))
	}
	s, err := l.Open(ctx, run)
	if err != nil {
		return w, fmt.Errorf("write: %w", err)
	}
	if e.ID == "" {
		e.ID = uuid.NewString()
	}
	if e.Step == "" {
		if e.Step, err = onlyAgent(s.State); err != nil {
			return fail(err)
		}
	}
	if w = view.Tell(s.State, view.Act{Event: e}); w.Outcome != view.OutcomeUncertain {
		return w, steered(run, w)
	}
	seq, err := l.AppendSurely(ctx, run, e)
	if err != nil {
		return fail(err)
	}
	if w, err = s.cameOf(ctx, e, seq); err != nil {
		return fail(err)
	}
	return w, steered(run, w)
}

// steered is why nobody reads a message; nil if it is written.
func steered(run string, w view.Reply) error {
	switch w.Outcome {
	case view.OutcomeCounts, view.OutcomeRepeated:
		return nil
	case view.OutcomeRunOver:
		return fmt.Errorf("write to run %s: %w: %s", run, ErrEnded, w.Text)
	}
	if w.Outcome == view.OutcomeNoTurn {
		return fmt.Errorf("write to run %s: %w: %s", run, ErrNoTurn, w.Text)
	}
	return fmt.Errorf("write to run %s: %w: %s", run, ErrNoAgent, w.Text)
}

// misfit says what is wrong with a message itself; empty = nothing.
func misfit(e steps.Steered) string {
	switch n := len(e.Text); {
	case e.TakeBack < 0:
		return fmt.Sprintf("turns are numbered from 1, and there is no turn %d to take back", e.TakeBack)
	case n > MaxMessage, n == 0 && e.TakeBack == 0:
		return fmt.Sprintf("a message has 1 to %d bytes, this one has %d", MaxMessage, n)
	}
	return ""
}

// onlyAgent is the agent that a message is for which names none.
func onlyAgent(s *steps.State) (string, error) {
	var all []string
	why := "it has no agent"
	for i := range s.Program.Nodes {
		switch no := s.MayNotSteer(i); {
		case no == "":
			all = append(all, s.Units[i].ID)
		case s.Program.Nodes[i].Agent != nil:
			why = no
		}
	}
	switch {
	case s.Status().Ended():
		return "", fmt.Errorf("%w: it %s", ErrEnded, s.Status())
	case len(all) == 0:
		return "", fmt.Errorf("%w: %s", ErrNoAgent, why)
	case len(all) > 1:
		return "", fmt.Errorf("%w: say for which step it is: %s", ErrInvalid, strings.Join(all, ", "))
	}
	return all[0], nil
}

// readable is a text as it reads once it stands on the log, which is UTF-8: a repeat has to be the same text.
func readable(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }
