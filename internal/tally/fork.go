package tally

import (
	"context"
	"slices"
	"time"
)

// notOfTheLog is the partition of what was found about something else than the log.
const notOfTheLog = -1

// Fork says whether it was found that the audit trail is another one than what was signed and nobody has accepted that, and when that
// was accepted last.
func (k *Keeper) Fork() (open bool, accepted time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i := range k.found {
		switch d := &k.found[i]; {
		case d.Kind != Forked:
		case d.Accepted.IsZero():
			open = true
		case d.Accepted.After(accepted):
			accepted = d.Accepted
		}
	}
	return open, accepted
}

// Forked notes that the audit trail is another one than what was signed at a time. To people that is one thing with a damaged log: it
// is said, known and accepted in the same way.
func (k *Keeper) Forked(ctx context.Context, fault string, signed time.Time) error {
	d := Damage{ID: "audit-" + signed.UTC().Format("20060102T150405Z"), Kind: Forked, Partition: notOfTheLog, Runs: []string{}, Since: signed, Found: k.bus.Now(), Why: fault}
	if open, accepted := k.Fork(); open || !accepted.Before(signed) && !accepted.IsZero() {
		return nil
	}
	if err := k.learn(ctx); err != nil { // another process may have found it, and somebody have accepted it
		return err
	}
	fresh := false
	err := k.change(ctx, func(all damages) damages {
		if fresh = !slices.ContainsFunc(all, func(o Damage) bool { return o.ID == d.ID }); !fresh {
			return all
		}
		return all.with(damages{d})
	})
	if fresh {
		k.logger.Error(d.Text(), "found", d.ID, "since", d.Since)
	}
	return err
}
