package runlog

import "errors"

// Errors for errors.Is.
var (
	ErrNoRun     = errors.New("no such run")
	ErrConflict  = errors.New("this id is taken by another submission")
	ErrEnded     = errors.New("the run has ended")
	ErrNoAgent   = errors.New("no agent there reads it")
	ErrNoTurn    = errors.New("that turn cannot be taken back")
	ErrTooLarge  = errors.New("the submission is too large")
	ErrBadStart  = errors.New("a run cannot begin then")
	ErrBadID     = errors.New("not a valid run id")
	ErrBadInput  = errors.New("the input is not valid")
	ErrInvalid   = errors.New("it cannot be written")
	ErrAmbiguous = errors.New("the id is not unique")
	ErrFrozen    = errors.New("the run is frozen")
	ErrStopped   = errors.New("it was stopped") // what is done to many runs, by a person
	ErrStray     = errors.New("it belongs to no run")
)

// Frozen is an [ErrFrozen]: the run's log has an entry that this program cannot read.
type Frozen struct {
	DeadLetter string // id of the dead letter that asks what to do
	Poison
}

func (f *Frozen) Error() string {
	if errors.Is(f.Why, ErrStray) {
		return "there is no such run, only messages that belong to no run; decide dead letter " + f.DeadLetter + ": " + f.Why.Error()
	}
	return "the run is frozen at an entry of its log that cannot be read; decide dead letter " + f.DeadLetter + ": " + f.Why.Error()
}

// Is makes errors.Is(err, ErrFrozen) true.
func (f *Frozen) Is(target error) bool { return target == ErrFrozen }

// Unwrap returns why the entry cannot be read.
func (f *Frozen) Unwrap() error { return f.Why }
