package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"belay/internal/exactjson"
)

// Lease lets one of several processes do something: the one that has a key of a bucket, until its time runs out. It only
// steers work: what it guards must tolerate that two processes do it for a moment.
type Lease struct {
	bucket *Bucket
	key    string
	me     string
	length time.Duration
}

// NewLease returns a lease with this key and duration; [Lease.Renew] acquires it.
func NewLease(bucket *Bucket, key string, length time.Duration) *Lease {
	return &Lease{bucket, key, bucket.bus.Signed(uuid.NewString()), length}
}

// leaseHolder is who has the lease, and until when.
type leaseHolder struct {
	ID    string    `json:"id"`
	Until time.Time `json:"until"`
}

// Renew acquires or renews the lease, and reports whether this process has it now.
func (l *Lease) Renew(ctx context.Context) (bool, error) {
	it, ok, err := l.bucket.Get(ctx, l.key)
	if err != nil {
		return false, err
	}
	var now leaseHolder
	if ok && exactjson.Unmarshal(it.Value, &now) == nil && now.ID != l.me && l.bucket.Now().Before(now.Until) && !l.bucket.bus.Outlived(now.ID) {
		return false, nil
	}
	body, err := json.Marshal(leaseHolder{l.me, l.bucket.Now().Add(l.length)})
	if err != nil {
		return false, fmt.Errorf("store the lease: %w", err)
	}
	_, err = l.bucket.Swap(ctx, l.key, body, it.Revision)
	if errors.Is(err, ErrConflict) {
		return false, nil
	}
	return err == nil, err
}

// Resign releases the lease, so that another process can acquire it at once.
func (l *Lease) Resign(ctx context.Context) {
	if it, ok, err := l.bucket.Get(ctx, l.key); err == nil && ok && strings.Contains(string(it.Value), l.me) {
		_ = l.bucket.Delete(ctx, l.key)
	}
}
