package runlog

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"belay/internal/plan"
	"belay/internal/steps"
	"belay/internal/steps/view"
)

// ErrNoMigration says that a run cannot go on under a plan as it stands; an [*Unmigratable] says why.
var ErrNoMigration = errors.New("it cannot go on under this plan as it stands")

// Unmigratable says why a run does not go on under another plan.
type Unmigratable struct{ Migration steps.Migration }

// Reasons are sentences: what is in the way of which step, and what to do about it.
func (e *Unmigratable) Reasons() (list []string) {
	for _, o := range e.Migration.Refused {
		list = append(list, o.String())
	}
	return list
}

func (e *Unmigratable) Error() string {
	return ErrNoMigration.Error() + ": " + strings.Join(e.Reasons(), ". ")
}

// Is makes errors.Is(err, ErrNoMigration) true.
func (e *Unmigratable) Is(target error) bool { return target == ErrNoMigration }

// Migrating is how somebody wants a run to go on under another plan.
type Migrating struct {
	Plan      *plan.Document // the other plan
	ToolsFile string         // where its tools came from
	Drop      []string       // steps that are done, and that the plan may do without
}

// PlanMigration says whether what a run has done fits another plan, and changes nothing. Without an id of the run that it would go on
// as, that is the one which [Log.Migrate] would take.
func (l *Log) PlanMigration(ctx context.Context, run, id string, o Migrating) (steps.Migration, error) {
	s, err := l.Load(ctx, run)
	if err != nil {
		return steps.Migration{}, err
	}
	m, err := l.migration(ctx, s, id, o)
	if err != nil {
		return m, fmt.Errorf("migrate run %s: %w", run, err)
	}
	return m, nil
}

func (l *Log) migration(ctx context.Context, s *steps.State, id string, o Migrating) (m steps.Migration, err error) {
	if id, err = l.migrant(ctx, s.Run, id); err != nil {
		return m, err
	}
	input, err := o.Plan.InputOver(s.Input, nil)
	if err != nil {
		return m, fmt.Errorf("%w: %w", ErrBadInput, err)
	}
	return steps.PlanMigration(s, steps.MigrationWish{Run: id, Program: o.Plan.Program, Input: input, Drop: o.Drop, Fits: fits}), nil
}

func fits(schema, value json.RawMessage) error {
	check, err := plan.CompileSchema(schema)
	if err != nil {
		return err
	}
	return check(value)
}

// migrant is the id of a run that another one can go on as.
func (l *Log) migrant(ctx context.Context, run, id string) (string, error) {
	for n := 1; ; n++ {
		next := id
		if next == "" {
			next = run + "-m" + strconv.Itoa(n)
		}
		is, err := l.Submitted(ctx, next)
		switch {
		case err != nil && !errors.Is(err, ErrFrozen):
			return "", err
		case is == nil && err == nil:
			return next, nil
		case id != "":
			return "", fmt.Errorf("%w: run %s is there already; choose another id", ErrConflict, id)
		}
	}
}

// Migrate lets an open run go on under another plan, as another run, which takes over what is done. It ends the run; a dispatcher submits
// the other one because of that. Without an id that is `<run>-m<n>`, with the first free n. An [*Unmigratable] says why it is not done;
// where the run has moved on since that was made sure, nothing happens, and the error is [ErrConflict].
func (l *Log) Migrate(ctx context.Context, run, id string, o Migrating, who Retried) (m steps.Migration, err error) {
	if other := l.elsewhere(run); other != nil {
		return other.Migrate(ctx, run, id, o, who)
	}
	s, err := l.Open(ctx, run)
	if err != nil {
		return m, fmt.Errorf("migrate: %w", err)
	}
	fail := func(err error) (steps.Migration, error) { return m, fmt.Errorf("migrate run %s: %w", run, err) }
	if m, err = l.migration(ctx, s.State, id, o); err != nil {
		return fail(err)
	}
	if len(m.Refused) > 0 {
		return fail(&Unmigratable{m})
	}
	e := steps.Migrated{To: m.To, Next: m.Next(), Seen: m.Seen, By: who.By, Via: who.Via, Reason: who.Reason}
	e.Next.Document, e.Next.ToolsFile = o.Plan.JSON, o.ToolsFile
	e.Next.By, e.Next.Via, e.Next.Reason, e.Next.Request, e.Next.Token = who.By, who.Via, who.Reason, who.Request, who.Token
	e.Next.Prepare()
	e.Spare = &steps.Spare{To: spareOf(e.To)}
	if err := l.Check(e.To, e.Next); err != nil {
		return fail(err)
	}
	if who.Prove != nil {
		if err := proveMigrated(&e, who.Prove); err != nil {
			return fail(err)
		}
	}
	seq, err := l.AppendSurely(ctx, run, e)
	if err != nil {
		return fail(err)
	}
	w, err := s.cameOf(ctx, e, seq)
	switch {
	case err != nil:
		return fail(err)
	case w.Outcome == view.OutcomeRunOver:
		return fail(fmt.Errorf("%w: %s", ErrEnded, w.Text))
	case w.Outcome != view.OutcomeCounts:
		return fail(fmt.Errorf("%w: %s", ErrConflict, w.Text))
	}
	return m, nil
}

// spareOf is an id that nobody has, and nobody can guess.
func spareOf(id string) string {
	return id[:min(len(id), 55)] + "-" + strings.ToLower(rand.Text()[:8])
}

// proveMigrated signs what the other run is submitted with, under each of its ids.
func proveMigrated(e *steps.Migrated, prove func(string, *steps.Submitted) error) error {
	spare, next := e.Spared()
	if err := prove(spare, &next); err != nil {
		return err
	}
	e.Spare.Proof = next.Proof
	return prove(e.To, &e.Next)
}

// GoOn submits the run that a migration lets another one go on as, and gives its id: the spare one, where another run has taken the one
// that was meant. It may be repeated.
func (l *Log) GoOn(ctx context.Context, e steps.Migrated) (id string, err error) {
	if e.Spare == nil {
		return e.To, l.goOn(ctx, e.To, e.Next)
	}
	spare, next := e.Spared()
	there, err := l.Submitted(ctx, spare) // once it is, it stays so, also where the other run is gone meanwhile
	if err != nil {
		return "", err
	}
	if there == nil {
		if err = l.goOn(ctx, e.To, e.Next); !errors.Is(err, ErrConflict) {
			return e.To, err
		}
	}
	return spare, l.goOn(ctx, spare, next)
}

func (l *Log) goOn(ctx context.Context, id string, next steps.Submitted) error {
	m, stream, err := l.Message(id, next)
	if err != nil {
		return fmt.Errorf("submit run %s: %w", id, err)
	}
	w := &submitting{Log: l, run: id, Submitted: next, first: m, message: m, stream: stream, began: time.Now()}
	return w.store(ctx)
}
