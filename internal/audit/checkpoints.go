package audit

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"belay/internal/bus"
)

// checkpoints signs checkpoints of the trail as it grows.
type checkpoints struct {
	log      *Log
	end      follower
	tree     tree      // over the records up to there
	size     int64     // of the last checkpoint
	made     time.Time // when it was made; of one of another process, when this one began
	compared bool      // with the checkpoints that are kept outside the store, since it was read from the beginning
}

// anew has the trail read from the beginning.
func (c *checkpoints) anew() { *c = checkpoints{log: c.log, made: c.made} }

// resume continues after the last checkpoint, so that a new process does not sign everything again. A forged checkpoint is
// found when the trail is verified.
func (c *checkpoints) resume(ctx context.Context) error {
	l := c.log
	e, ok, err := l.bus.Last(ctx, l.names.AuditStream(), l.names.AuditCheckpoint())
	if err != nil || !ok {
		return err
	}
	c.size = sizeOf(Origin(l.names.Prefix), string(e.Data))
	return nil
}

// storeEvery is how often a checkpoint is made although nobody has done anything, because runs go on.
const storeEvery = time.Hour

// sizeOf is how many records a signed checkpoint covers; 0 if it is not one. It is not verified.
func sizeOf(origin, checkpoint string) int64 {
	text, _, _ := strings.Cut(checkpoint, "\n\n")
	size, _, _, err := parseCheckpoint(origin, text+"\n")
	if err != nil {
		return 0
	}
	return size
}

// read reads on. Where the trail is another one it is read from the beginning.
func (c *checkpoints) read(ctx context.Context) error {
	if c.end.seq == 0 {
		if err := c.resume(ctx); err != nil {
			return err
		}
	}
	err := c.end.read(ctx, c.log, c.tree.add)
	if errors.Is(err, errAnother) {
		c.anew()
		return c.read(ctx)
	}
	return err
}

// fork is that the trail is another one than what was signed; without a fault it is not.
type fork struct {
	fault      string    // what does not fit
	signed     time.Time // when the checkpoint was signed that shows it
	checkpoint string    // that one
}

// unfit compares the trail with checkpoints that were signed after a time, and says what does not fit to the newest of those to
// which it does not.
func (c *checkpoints) unfit(kept []string, after time.Time) (f fork) {
	for _, whole := range kept {
		text, _, _ := strings.Cut(whole, "\n\n")
		size, root, at, err := parseCheckpoint(Origin(c.log.names.Prefix), text+"\n")
		when, _ := time.Parse(time.RFC3339, at)
		if err != nil || when.Before(f.signed) || !when.After(after) {
			continue // of what cannot be read, verifying says so
		}
		switch have, err := c.tree.root(min(size, c.tree.size)); {
		case size > c.tree.size:
			f = fork{fmt.Sprintf("it has %d records that follow one another, and a checkpoint of %s was signed for %d", c.tree.size, at, size), when, whole}
		case err != nil || have != root:
			f = fork{fmt.Sprintf("its first %d records are not those that a checkpoint of %s was signed for", size, at), when, whole}
		}
	}
	return f
}

// due reports whether there is something to sign. There is not if there are no new records and the last checkpoint covers no more
// than the first kept records, which are covered outside the store; but where the log of runs is covered too, at least one
// is made each [storeEvery].
func (c *checkpoints) due(now time.Time, kept int64, store bool) bool {
	if c.made.IsZero() {
		c.made = now
	}
	return c.tree.size != c.size || kept < c.size || store && now.Sub(c.made) >= storeEvery
}

// make stores a checkpoint of all records that were read and returns it; "" if none is due. Store, which may be nil, says
// something of the log of runs.
func (c *checkpoints) make(ctx context.Context, key ed25519.PrivateKey, now time.Time, kept int64, store func(context.Context) ([]string, error)) (text string, err error) {
	if !c.due(now, kept, store != nil) {
		return "", nil
	}
	l := c.log
	var lines []string
	if store != nil {
		if lines, err = store(ctx); err != nil {
			return "", fmt.Errorf("audit checkpoint: %w", err)
		}
	}
	root, err := c.tree.root(c.tree.size)
	if err != nil {
		return "", fmt.Errorf("audit checkpoint: %w", err)
	}
	if text, err = signed(key, checkpointText(Origin(l.names.Prefix), c.tree.size, root, now, lines...)); err != nil {
		return "", err
	}
	if _, err := l.bus.PublishWait(ctx, l.names.AuditStream(), bus.Message{Subject: l.names.AuditCheckpoint(), Data: []byte(text)}); err != nil {
		return "", fmt.Errorf("audit checkpoint: %w", err)
	}
	c.size, c.made = c.tree.size, now
	return text, nil
}

// newest is the last checkpoint in the store, if one of the keys has signed it and the records fit to it; else empty.
func (c *checkpoints) newest(ctx context.Context, keys []ed25519.PublicKey) (string, error) {
	l := c.log
	e, ok, err := l.bus.Last(ctx, l.names.AuditStream(), l.names.AuditCheckpoint())
	if err != nil || !ok {
		return "", err
	}
	text := string(e.Data)
	if _, foreign := note.Open(e.Data, verifiers(keys)); foreign == nil { // of others, whoever verifies the trail is told
		if c.unfit([]string{text}, time.Time{}).fault == "" { // else another process may have read further
			return text, nil
		}
	}
	return "", nil
}
