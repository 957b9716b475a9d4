package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// catchUp is how long a replica has that is behind.
const catchUp = time.Second

// errDoubt says that the trail is read once more before anybody is told.
var errDoubt = errors.New("the audit trail does not fit to what was signed; it is read once more")

// fits reads the trail on, and reports whether it is still the one that was signed, as far as anybody here or elsewhere knows: nothing
// is signed that would make another one look right.
func (r *Recorder) fits(ctx context.Context) (bool, error) {
	if err := r.ask(ctx); err != nil {
		return false, err
	}
	if err := r.signs.read(ctx); err != nil {
		return false, err
	}
	var accepted time.Time
	open := false
	if r.Fork != nil {
		open, accepted = r.Fork()
	}
	if !r.signs.compared || r.shown.fresh || open {
		fork, err := r.compare(accepted)
		switch {
		case err != nil:
			return false, err
		case fork.fault != "":
			return false, r.tell(ctx, fork)
		}
		r.signs.compared, r.shown.fresh, r.doubt = true, false, time.Time{}
	}
	r.accepted = accepted
	return !open, nil
}

// compare compares the trail with the checkpoints that are kept outside the store, here and elsewhere.
func (r *Recorder) compare(accepted time.Time) (fork, error) {
	all, err := keptIfThere(r.File)
	if err != nil {
		return fork{}, fmt.Errorf("checkpoints outside the store: %w", err)
	}
	for _, p := range r.Places {
		if p.Have == nil {
			continue
		}
		have, err := p.Have()
		if err != nil {
			return fork{}, fmt.Errorf("checkpoints outside the store: %w", err)
		}
		all = append(all, have...)
	}
	return r.signs.unfit(append(all, r.shown.proven...), accepted), nil
}

// tell reports that the trail is another one, once it was read twice. What shows it is kept here too: whoever showed it may end.
func (r *Recorder) tell(ctx context.Context, f fork) error {
	if !r.doubt.Equal(f.signed) {
		r.doubt = f.signed
		r.signs.anew()
		time.AfterFunc(catchUp, r.Nudge)
		return errDoubt
	}
	if slices.Contains(r.shown.proven, f.checkpoint) {
		if err := r.keepProof(f.checkpoint); err != nil {
			return err
		}
	}
	if r.Forked == nil {
		return fmt.Errorf("the audit trail is not the one that was signed: %s", f.fault)
	}
	return r.Forked(ctx, f.fault, f.signed)
}

func (r *Recorder) keepProof(checkpoint string) error {
	have, err := keptIfThere(r.File)
	if err != nil || r.File == "" || slices.Contains(have, checkpoint) {
		return err
	}
	return Keep(r.File, checkpoint)
}

// Watch compares the trail while another dispatcher records it, and keeps what that one signs: whoever deletes the trail with all that
// one dispatcher has kept of it is found by the others.
func (r *Recorder) Watch(ctx context.Context) error {
	if err := r.open(ctx); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if fits, err := r.fits(ctx); err != nil || !fits || r.Keys == nil || r.File == "" && len(r.Places) == 0 {
		return err
	}
	kept, err := r.covered()
	if err != nil {
		return err
	}
	text, err := r.newest(ctx)
	if err != nil || text == "" {
		return err
	}
	r.spread(ctx, text)
	if r.File == "" || sizeOf(Origin(r.Bus.Names().Prefix), text) <= kept {
		return nil
	}
	return r.keep(text)
}

// newest is the newest checkpoint of this trail that a dispatcher has signed; empty where there is none.
func (r *Recorder) newest(ctx context.Context) (string, error) {
	if r.Keys == nil {
		return "", nil
	}
	keys, err := r.Keys(ctx)
	if err != nil {
		return "", err
	}
	return r.signs.newest(ctx, keys)
}

// spread gives a checkpoint to all other places.
func (r *Recorder) spread(ctx context.Context, text string) {
	for _, p := range r.Places {
		p.give(ctx, text, r.Logger, r.Nudge)
	}
}

// announce gives a checkpoint to all other places, and to the workers. Text is empty where none was signed now: then they get the newest,
// once.
func (r *Recorder) announce(ctx context.Context, text string) (err error) {
	if text == "" && r.announced == "" {
		if text, err = r.newest(ctx); err != nil {
			return err
		}
	}
	if text == "" {
		text = r.announced
	}
	if text == "" {
		return nil
	}
	r.spread(ctx, text)
	if text == r.announced && r.accepted.Equal(r.announcedAt) {
		return nil
	}
	body, err := json.Marshal(announcement{Checkpoint: text, Accepted: r.accepted})
	if err != nil {
		return err
	}
	r.announced, r.announcedAt = text, r.accepted
	if err := r.Bus.Tell(r.Bus.Names().Checkpoints(), body); err != nil { // they look by themselves, later
		r.Logger.Debug("workers are not told of a checkpoint", "error", err)
	}
	return nil
}
