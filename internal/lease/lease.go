// Package lease lets one of several processes do what must be done by one at a time: whoever holds a key of a bucket,
// until its time runs out. It steers work; whatever it guards must bear that two processes do it for a moment.
package lease

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"belay/internal/bus"
)

// Lease is one process's claim on a key.
type Lease struct {
	bucket *bus.Bucket
	key    string
	me     string
	length time.Duration
}

// New makes a claim on a key; [Lease.Hold] makes it good.
func New(bucket *bus.Bucket, key string, length time.Duration) *Lease {
	return &Lease{bucket, key, uuid.NewString(), length}
}

// holder is who has it, and until when.
type holder struct {
	ID    string    `json:"id"`
	Until time.Time `json:"until"`
}

// Hold takes or renews the lease, and reports whether this process has it now.
func (l *Lease) Hold(ctx context.Context) (bool, error) {
	it, ok, err := l.bucket.Get(ctx, l.key)
	if err != nil {
		return false, err
	}
	var now holder
	if ok && json.Unmarshal(it.Value, &now) == nil && now.ID != l.me && time.Now().Before(now.Until) {
		return false, nil
	}
	body, err := json.Marshal(holder{l.me, time.Now().Add(l.length)})
	if err != nil {
		return false, fmt.Errorf("write the lease down: %w", err)
	}
	_, err = l.bucket.Swap(ctx, l.key, body, it.Revision)
	if errors.Is(err, bus.ErrConflict) {
		return false, nil
	}
	return err == nil, err
}

// Resign lets another process have it at once.
func (l *Lease) Resign(ctx context.Context) {
	if it, ok, err := l.bucket.Get(ctx, l.key); err == nil && ok && strings.Contains(string(it.Value), l.me) {
		_ = l.bucket.Delete(ctx, l.key)
	}
}
