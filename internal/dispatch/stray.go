package dispatch

import (
	"context"
	"errors"

	"belay/internal/bus"
	"belay/internal/dlq"
	"belay/internal/runlog"
	"belay/internal/wire"
)

// stray deals with an entry on the log's stream that belongs to no run of this partition: people are told before it is
// acknowledged. What is alike shares a letter, so a flood of it is one question.
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
				p.log.Error("an entry of the log belongs to no run; decide its dead letter", "subject", d.Subject, "sequence", d.Seq, "escalation", s.ID, "error", s.Why)
				p.putLetter(nobody, rc, s.Letter())
			}
			p.answered(answer{rc, err})
		})
	}()
}

// strays remembers which runs are known, so that a look at what is queued asks once about each.
type strays struct {
	*Dispatcher
	known map[string]struct{}
}

// mostKnown bounds what is remembered; then it is forgotten and asked again.
const mostKnown = 200_000

// sweep tells people of what lies in the queue of steps, among the timers, the escalations and the audit records and
// belongs to no run. No consumer takes it, so nobody else would ever look at it.
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
		if err := putNow(ctx, s.letters, found); err != nil {
			return err
		}
	}
	return nil
}

// about is the run that a subject speaks of; sure means that no look is needed: it is a letter.
func (s *strays) about(subject string) (run string, sure bool) {
	if _, _, run, _, ok := s.names.ParseStep(subject); ok && wire.ValidName(run) {
		return run, false
	}
	if p, run, ok := s.names.ParseTimer(subject); ok && wire.ValidName(run) && wire.Partition(run, len(s.parts)) == p {
		return run, false
	}
	_, _, _, letter := s.names.ParseEscalation(subject)
	return subject, letter
}

// putNow stores the letter about a stray and waits for it.
func putNow(ctx context.Context, letters *dlq.Box, s *runlog.Stray) error {
	stored := make(chan error, 1)
	letters.Put(s.Letter(), func(err error) { stored <- err })
	select {
	case err := <-stored:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
