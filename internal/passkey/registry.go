package passkey

import (
	"cmp"
	"context"
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

// Errors that callers tell apart with errors.Is.
var (
	ErrNone   = errors.New("there is no such passkey")
	ErrExists = errors.New("this passkey is registered already")
)

// prefix begins the keys of passkeys in the bucket, where the public keys of dispatchers are too.
const prefix = "passkey."

// Registry are the passkeys that are registered. They are kept where the public keys of dispatchers are, so that the same
// programs may write there. It is safe for concurrent use.
type Registry struct {
	bus *bus.Bus
}

// NewRegistry returns the passkeys in b's bucket, which is opened when it is needed.
func NewRegistry(b *bus.Bus) *Registry { return &Registry{b} }

func (r *Registry) open(ctx context.Context) (*bus.Bucket, error) {
	return r.bus.Bucket(ctx, r.bus.Names().KeysBucket(), "Belay: public keys that approvals are checked with")
}

// List returns all passkeys, also those that were removed, the oldest first.
func (r *Registry) List(ctx context.Context) ([]Passkey, error) {
	bucket, err := r.bus.BucketIfThere(ctx, r.bus.Names().KeysBucket())
	if err != nil || bucket == nil {
		return nil, err
	}
	all, err := bucket.Under(ctx, prefix)
	if err != nil {
		return nil, err
	}
	var list []Passkey
	for _, it := range all {
		if k, ok := read(it); ok {
			list = append(list, k)
		}
	}
	slices.SortFunc(list, func(x, y Passkey) int { return cmp.Or(x.Made.Compare(y.Made), cmp.Compare(x.ID, y.ID)) })
	return list, nil
}

// read reads what stands under a key of the bucket; ok is false where somebody has put something else there.
func read(it bus.Item) (k Passkey, ok bool) {
	err := exactjson.Unmarshal(it.Value, &k)
	return k, err == nil && k.genuine() && it.Key == prefix+k.ID
}

// Of lists those that somebody can approve with on pages of an origin; empty = of any.
func (r *Registry) Of(ctx context.Context, person, origin string) ([]Passkey, error) {
	all, err := r.List(ctx)
	return slices.DeleteFunc(all, func(k Passkey) bool {
		return !k.Removed.IsZero() || !steps.SamePerson(k.Person, person) || origin != "" && k.Origin != origin
	}), err
}

// Get returns one passkey, or [ErrNone].
func (r *Registry) Get(ctx context.Context, id string) (Passkey, error) {
	k, _, err := r.get(ctx, id)
	return k, err
}

func (r *Registry) get(ctx context.Context, id string) (k Passkey, revision uint64, err error) {
	if id == "" || strings.Trim(id, "0123456789abcdef") != "" {
		return k, 0, fmt.Errorf("%w: %.40q", ErrNone, id)
	}
	bucket, err := r.open(ctx)
	if err != nil {
		return k, 0, err
	}
	it, ok, err := bucket.Get(ctx, prefix+id)
	if err != nil {
		return k, 0, err
	}
	if k, good := read(it); ok && good {
		return k, it.Revision, nil
	}
	return k, 0, fmt.Errorf("%w: %.40q", ErrNone, id)
}

// Add registers a passkey.
func (r *Registry) Add(ctx context.Context, k Passkey) error {
	bucket, err := r.open(ctx)
	if err != nil {
		return err
	}
	body, err := json.Marshal(k)
	if err != nil {
		return fmt.Errorf("write passkey %s: %w", k.ID, err)
	}
	if _, err = bucket.Swap(ctx, prefix+k.ID, body, 0); errors.Is(err, bus.ErrConflict) {
		return ErrExists
	}
	return err
}

// Remove removes a passkey: it approves nothing any more, also where workers have it in their files. One that is removed stays
// so, and stays in the list.
func (r *Registry) Remove(ctx context.Context, id, by string) (Passkey, error) {
	for {
		k, revision, err := r.get(ctx, id)
		if err != nil {
			return k, err
		}
		if k.Removed.IsZero() {
			k.Removed, k.RemovedBy = r.bus.Now().UTC().Truncate(time.Second), by
		}
		body, err := json.Marshal(k)
		if err != nil {
			return k, fmt.Errorf("write passkey %s: %w", id, err)
		}
		bucket, err := r.open(ctx)
		if err != nil {
			return k, err
		}
		if _, err = bucket.Swap(ctx, prefix+id, body, revision); !errors.Is(err, bus.ErrConflict) {
			return k, err
		}
	}
}

// Check returns an error if no passkey of the approver that is registered has signed the challenge of a grant.
func (r *Registry) Check(ctx context.Context, g steps.Grant, challenge []byte) error {
	list, err := r.List(ctx)
	if err != nil {
		return err
	}
	_, err = check(list, g, challenge, "registered")
	return err
}

// check finds the passkey of a grant in a list, and checks what it has signed. What they all are says where they stand.
func check(list []Passkey, g steps.Grant, challenge []byte, are string) (k Passkey, err error) {
	if g.Passkey == nil {
		return k, errors.New("it has signed nothing")
	}
	i := slices.IndexFunc(list, func(k Passkey) bool { return k.CredentialText() == g.Passkey.Credential })
	if i < 0 {
		return k, fmt.Errorf("it is none of the passkeys that are %s", are)
	}
	if k = list[i]; !steps.SamePerson(k.Person, g.By) {
		return k, fmt.Errorf("passkey %s is of somebody else, %.100q", k.ID, k.Person)
	}
	if err := k.there(); err != nil {
		return k, err
	}
	return k, k.Verify(*g.Passkey, challenge)
}

// there returns an error for a passkey that was removed.
func (k Passkey) there() error {
	if k.Removed.IsZero() {
		return nil
	}
	return fmt.Errorf("passkey %s was removed at %s", k.ID, k.Removed.UTC().Format(time.RFC3339))
}
