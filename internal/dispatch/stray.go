package dispatch

import (
	"context"
	"errors"

	"belay/internal/bus"
	"belay/internal/dlq"
	"belay/internal/runlog"
	"belay/internal/steps"
	"belay/internal/wire"
)

// stray handles an entry of the log's stream that belongs to no run of this partition: its dead letter is stored before the
// entry is acknowledged. Alike entries share a dead letter, so a flood of them makes one escalation.
func (p *partition) stray(d bus.Delivery) {
	nobody := &run{}
	rc := &receipt{d: d, run: nobody}
	p.expect(rc)
	go func() {
		p.purges <- struct{}{}
		s, err := p.Log.Stray(p.work, p.stream(), d.Subject)
		<-p.purges
		p.box.call(func() {
			if s != nil {
				p.logger.Error("an entry of the log belongs to no run; decide its dead letter", "subject", d.Subject, "sequence", d.Seq, "escalation", s.ID, "error", s.Why)
				p.putEscalation(nobody, rc, strayDeadLetter(s))
			}
			p.answered(answer{rc, err})
		})
	}()
}

// strays remembers which runs are known, so that a sweep looks up each of them once.
type strays struct {
	*Dispatcher
	known map[string]struct{}
}

// mostKnown bounds how many runs are remembered; beyond it all are forgotten and looked up again.
const mostKnown = 200_000

// sweep opens dead letters for messages that belong to no run, in the step queue and among timers, escalations and audit
// records. No consumer gets these messages, so nothing else would ever notice them.
func (s *strays) sweep(ctx context.Context) error {
	if s.known == nil || len(s.known) > mostKnown {
		s.known = make(map[string]struct{})
	}
	var errs []error
	for _, of := range []struct{ stream, filter string }{
		{s.names.StepsStream(), s.names.StepsSubjects()},
		{s.names.TimersStream(), s.names.TimersSubjects()},
		{s.names.EscalationsStream(), s.names.EscalationsSubjects()},
		{s.names.AuditStream(), s.names.AuditSubjects()},
	} {
		errs = append(errs, s.look(ctx, of.stream, of.filter))
	}
	return errors.Join(errs...)
}

func (s *strays) look(ctx context.Context, stream, filter string) error {
	subjects, err := s.Bus.Subjects(ctx, stream, filter)
	if err != nil {
		return err
	}
	for _, subject := range subjects {
		run, sure := s.about(subject)
		if _, known := s.known[run]; known || sure {
			continue
		}
		found, err := s.Log.Stray(ctx, stream, subject)
		if err != nil {
			return err
		}
		if found == nil {
			s.known[run] = struct{}{}
			continue
		}
		if err := putNow(ctx, s.escalations, found); err != nil {
			return err
		}
	}
	return nil
}

// about returns the run that a subject names; sure means that it names an escalation, so that no lookup is needed.
func (s *strays) about(subject string) (run string, sure bool) {
	if _, _, run, _, ok := s.names.ParseStep(subject); ok && wire.ValidName(run) {
		return run, false
	}
	if p, run, ok := s.names.ParseTimer(subject); ok && wire.ValidName(run) && wire.Partition(run, len(s.parts)) == p {
		return run, false
	}
	_, _, _, escalation := s.names.ParseEscalation(subject)
	return subject, escalation
}

// strayDeadLetter is the dead letter about a message that belongs to no run. Deciding it removes the message: there is no
// run whose log could have the decision.
func strayDeadLetter(s *runlog.Stray) dlq.Entry {
	l := dlq.DeadLetter(s.ID, s.Run, s.First, s.Why)
	l.Allowed = []steps.Verb{steps.VerbSkip}
	return l
}

// putNow stores the dead letter about a stray and waits for the answer.
func putNow(ctx context.Context, escalations *dlq.Queue, s *runlog.Stray) error {
	stored := make(chan error, 1)
	escalations.Put(strayDeadLetter(s), func(err error) { stored <- err })
	select {
	case err := <-stored:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
