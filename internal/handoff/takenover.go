package handoff

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"belay/internal/bus"
	"belay/internal/exactjson"
	"belay/internal/steps"
)

// TakenOver tells a person that somebody else acted on an escalation that the person had claimed.
type TakenOver struct {
	ID  string    `json:"id"` // of the escalation
	By  string    `json:"by"`
	Did string    `json:"did"` // in the past: "approved"
	At  time.Time `json:"at"`
}

// For how long a person is told, and of how many.
const (
	tellTakenOver = 8 * time.Hour
	mostTakenOver = 20
)

// takenOverKey is the key of what one person is told, however the name is written.
func takenOverKey(name string) string {
	sum := sha256.Sum256([]byte(steps.Person(name)))
	return "taken-" + hex.EncodeToString(sum[:12])
}

// TakenOver returns what others did lately about escalations that a person had claimed, the newest last.
func (k *Desk) TakenOver(ctx context.Context, name string) ([]TakenOver, error) {
	if strings.TrimSpace(name) == "" {
		return nil, nil
	}
	list, _, err := k.Claims.takenOver(ctx, name)
	return slices.DeleteFunc(list, func(t TakenOver) bool { return k.Now().Sub(t.At) > tellTakenOver }), err
}

func (c *Claims) takenOver(ctx context.Context, name string) (list []TakenOver, revision uint64, err error) {
	bucket, err := c.settled(ctx)
	if err != nil {
		return nil, 0, err
	}
	it, ok, err := bucket.Get(ctx, takenOverKey(name))
	if err != nil || !ok {
		return nil, 0, err
	}
	if exactjson.Unmarshal(it.Value, &list) != nil {
		list = nil // another version's: written anew
	}
	return list, it.Revision, nil
}

// tellTakenOver notes for a person that their claim was overruled. The card and the audit trail have it in any case.
func (k *Desk) tellTakenOver(ctx context.Context, name string, t TakenOver) {
	for {
		list, revision, err := k.Claims.takenOver(ctx, name)
		if err != nil {
			return
		}
		list = append(list, t)
		list = list[max(0, len(list)-mostTakenOver):]
		if err := k.Claims.putTakenOver(ctx, name, list, revision); !errors.Is(err, bus.ErrConflict) {
			return
		}
	}
}

func (c *Claims) putTakenOver(ctx context.Context, name string, list []TakenOver, revision uint64) error {
	body, err := json.Marshal(list)
	if err != nil {
		return fmt.Errorf("tell %s that their claim was overruled: %w", name, err)
	}
	bucket, err := c.settled(ctx)
	if err != nil {
		return err
	}
	_, err = bucket.Swap(ctx, takenOverKey(name), body, revision)
	return err
}

// vote notes for lists that somebody has approved, and ends that person's claim, because others must approve now.
func (c *Claims) vote(ctx context.Context, id, by string, r record) error {
	for {
		if !slices.ContainsFunc(r.Votes, func(v string) bool { return steps.SamePerson(v, by) }) {
			r.Votes = append(r.Votes, by)
		}
		if r.Claim != nil && steps.SamePerson(r.Claim.By, by) {
			r.Claim = nil
		}
		err := c.put(ctx, id, r)
		if !errors.Is(err, bus.ErrConflict) {
			return err
		}
		if r, err = c.get(ctx, id); err != nil {
			return err
		}
	}
}
