package tally

import (
	"context"
	"time"
)

// keep looks at all partitions, and tells other processes, now and then, that somebody has.
func (k *Keeper) keep(ctx context.Context, tell bool) error {
	k.looking.Lock()
	defer k.looking.Unlock()
	conn := k.bus.ConnectedAt()
	if err := k.look(ctx, tell); err != nil {
		return err
	}
	asked, err := k.shelf.asked(ctx)
	if err != nil {
		return err
	}
	news := asked != k.answered
	k.answered = asked
	if first := k.lookedOver(conn); first || tell || news {
		return k.shelf.put(ctx, lookedKey, []byte("looked"))
	}
	return nil
}

// trust takes over what the process that keeps the tally has found, and that it has looked since this one is connected.
func (k *Keeper) trust(ctx context.Context) error {
	conn := k.bus.ConnectedAt()
	at, err := k.shelf.looked(ctx)
	if err != nil {
		return err
	}
	if err := k.learn(ctx); err != nil {
		return err
	}
	clock := k.bus.Clock()
	if at.After(clock.Latest(conn)) {
		k.lookedOver(conn)
		return nil
	}
	if k.Safe() || time.Since(conn) < time.Second {
		return nil
	}
	return k.shelf.put(ctx, askedKey, []byte("asked"))
}

// lookedOver notes over which connection the log was looked at; true if that is news.
func (k *Keeper) lookedOver(conn time.Time) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	news := !k.safe.Equal(conn)
	k.safe = conn
	return news
}
