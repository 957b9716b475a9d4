package audit

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"
)

// catchUp is how long a replica has that is behind.
const catchUp = time.Second

// errDoubt says that the trail is read once more before anybody is told.
var errDoubt = errors.New("the audit trail does not fit to what was signed; it is read once more")

// fits reads the trail on, and reports whether it is still the one that was signed, as far as anybody here or elsewhere knows: nothing
// is signed that would make another one look right.
func (r *Recorder) fits(ctx context.Context) (bool, error) {
	if err := r.signs.read(ctx); err != nil {
		return false, err
	}
	var accepted time.Time
	open := false
	if r.Fork != nil {
		open, accepted = r.Fork()
	}
	if !r.signs.compared || open {
		fault, signed, err := r.compare(accepted)
		switch {
		case err != nil:
			return false, err
		case fault != "":
			return false, r.tell(ctx, fault, signed)
		}
		r.signs.compared, r.doubt = true, time.Time{}
	}
	return !open, nil
}

// compare compares the trail with the checkpoints that are kept outside the store.
func (r *Recorder) compare(accepted time.Time) (fault string, signed time.Time, err error) {
	if r.File == "" {
		return "", time.Time{}, nil
	}
	all, err := Kept(r.File)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", time.Time{}, fmt.Errorf("checkpoints outside the store: %w", err)
	}
	fault, signed = r.signs.unfit(all, accepted)
	return fault, signed, nil
}

// tell reports that the trail is another one, once it was read twice.
func (r *Recorder) tell(ctx context.Context, fault string, signed time.Time) error {
	if !r.doubt.Equal(signed) {
		r.doubt = signed
		r.signs.anew()
		time.AfterFunc(catchUp, r.Nudge)
		return errDoubt
	}
	if r.Forked == nil {
		return fmt.Errorf("the audit trail is not the one that was signed: %s", fault)
	}
	return r.Forked(ctx, fault, signed)
}

// Watch compares the trail while another dispatcher records it, and keeps what that one signs: whoever deletes the trail with all that
// one dispatcher has kept of it is found by the others.
func (r *Recorder) Watch(ctx context.Context) error {
	if err := r.open(ctx); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if fits, err := r.fits(ctx); err != nil || !fits || r.Keys == nil || r.File == "" {
		return err
	}
	kept, err := r.covered()
	if err != nil {
		return err
	}
	keys, err := r.Keys(ctx)
	if err != nil {
		return err
	}
	text, err := r.signs.newest(ctx, keys)
	if err != nil || sizeOf(Origin(r.Bus.Names().Prefix), text) <= kept {
		return err
	}
	return r.keep(text)
}
