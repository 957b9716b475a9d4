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
	"belay/internal/steps"
)

// Taken tells somebody that another person did something about a question that they had claimed.
type Taken struct {
	ID  string    `json:"id"` // of the question
	By  string    `json:"by"`
	Did string    `json:"did"` // in the past: "approved"
	At  time.Time `json:"at"`
}

// How long, and how many of them, somebody is told.
const (
	tellTaken = 8 * time.Hour
	mostTaken = 20
)

// takenKey is where the news of one person are, however the name is written.
func takenKey(name string) string {
	sum := sha256.Sum256([]byte(steps.Person(name)))
	return "taken-" + hex.EncodeToString(sum[:12])
}

// Taken is what others did lately about questions that somebody had claimed, the newest last.
func (k *Desk) Taken(ctx context.Context, name string) ([]Taken, error) {
	if strings.TrimSpace(name) == "" {
		return nil, nil
	}
	list, _, err := k.Claims.taken(ctx, name)
	return slices.DeleteFunc(list, func(t Taken) bool { return k.Now().Sub(t.At) > tellTaken }), err
}

func (c *Claims) taken(ctx context.Context, name string) (list []Taken, revision uint64, err error) {
	bucket, err := c.settled(ctx)
	if err != nil {
		return nil, 0, err
	}
	it, ok, err := bucket.Get(ctx, takenKey(name))
	if err != nil || !ok {
		return nil, 0, err
	}
	if json.Unmarshal(it.Value, &list) != nil {
		list = nil // another version's: written anew
	}
	return list, it.Revision, nil
}

// tellTaken leaves word for somebody whose claim was not heeded. The card and the audit trail have it in any case.
func (k *Desk) tellTaken(ctx context.Context, name string, t Taken) {
	for {
		list, revision, err := k.Claims.taken(ctx, name)
		if err != nil {
			return
		}
		list = append(list, t)
		list = list[max(0, len(list)-mostTaken):]
		if err := k.Claims.putTaken(ctx, name, list, revision); !errors.Is(err, bus.ErrConflict) {
			return
		}
	}
}

func (c *Claims) putTaken(ctx context.Context, name string, list []Taken, revision uint64) error {
	body, err := json.Marshal(list)
	if err != nil {
		return fmt.Errorf("leave word for %s: %w", name, err)
	}
	bucket, err := c.settled(ctx)
	if err != nil {
		return err
	}
	_, err = bucket.Swap(ctx, takenKey(name), body, revision)
	return err
}

// vote notes that somebody has approved, for lists, and ends their claim: others must approve it now.
func (c *Claims) vote(ctx context.Context, id, by string) error {
	for {
		r, revision, err := c.get(ctx, id)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(r.Votes, func(v string) bool { return steps.SamePerson(v, by) }) {
			r.Votes = append(r.Votes, by)
		}
		if r.Claim != nil && steps.SamePerson(r.Claim.By, by) {
			r.Claim = nil
		}
		if err := c.put(ctx, id, r, revision); !errors.Is(err, bus.ErrConflict) {
			return err
		}
	}
}
