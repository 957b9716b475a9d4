package access

import (
	"context"
	"time"

	"belay/internal/bus"
)

// Parse is parse, for its fuzz test.
var Parse = parse

// Stored is what the bucket holds of a token.
func (t *Tokens) Stored(ctx context.Context, id string) (bus.Item, bool, error) {
	return t.bucket.Get(ctx, keyPrefix+id)
}

// Delete removes a token from the bucket, as somebody does who tidies it by hand.
func (t *Tokens) Delete(ctx context.Context, id string) error {
	return t.bucket.Delete(ctx, keyPrefix+id)
}

// SetNow gives the tokens another clock.
func (t *Tokens) SetNow(now func() time.Time) { t.now = now }

// Listen is listen: once through what the bucket has, and on until ctx ends.
func (t *Tokens) Listen(ctx context.Context, ready func()) error { return t.listen(ctx, ready) }
