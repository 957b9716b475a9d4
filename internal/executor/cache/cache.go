// Package cache executes rungs that give the last good result of the same tool with the same parameters, and says how
// old it is.
//
// The worker tells a [Cache] every good result of a tool that has such a rung; the results live in a [Store], usually a
// key-value bucket (bucket.go). The cache is only a cache: losing it costs a rung, never a step.
package cache

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"belay/internal/executor"
	"belay/internal/steps"
)

// Store keeps one value per key. Nothing is promised about how long.
type Store interface {
	// Get gives the value and when it was stored; ok is false when there is none.
	Get(ctx context.Context, key string) (value json.RawMessage, storedAt time.Time, ok bool, err error)
	Put(ctx context.Context, key string, value json.RawMessage) error
}

// MaxValue is the most bytes of a result that is remembered.
const MaxValue = 512 << 10

// Cache remembers results. It is safe for concurrent use if its store is.
type Cache struct{ store Store }

// New makes a cache on a store.
func New(store Store) *Cache { return &Cache{store} }

// Remember stores a good result for the cache rungs of its tool. Do not call it for results of cache and static rungs:
// they would make an old answer young. An error is for the log; the step has succeeded whatever becomes of this.
func (c *Cache) Remember(ctx context.Context, tool string, params, output json.RawMessage) error {
	if len(output) > MaxValue {
		return fmt.Errorf("remember a result of %s: it has %d bytes, at most %d are kept", tool, len(output), MaxValue)
	}
	key, err := Key(tool, params)
	if err != nil {
		return fmt.Errorf("remember a result of %s: %w", tool, err)
	}
	if err := c.store.Put(ctx, key, output); err != nil {
		return fmt.Errorf("remember a result of %s: %w", tool, err)
	}
	return nil
}

// Executor makes the executor of one rung.
func (c *Cache) Executor(spec executor.Cache) executor.Executor { return &rung{c.store, spec.MaxAge} }

type rung struct {
	store  Store
	maxAge time.Duration
}

// Execute looks the result up. It never acts, so its faults say so.
func (x *rung) Execute(ctx context.Context, req executor.Request) (executor.Result, error) {
	key, err := Key(req.Tool, req.Params)
	if err != nil {
		return executor.Result{}, fault(steps.InvalidInput, err.Error())
	}
	value, stored, ok, err := x.store.Get(ctx, key)
	switch {
	case ctx.Err() != nil:
		return executor.Result{}, executor.Stopped(ctx, steps.ActedNo)
	case err != nil:
		return executor.Result{}, fault(steps.Unavailable, "the cache cannot be read: "+err.Error())
	case !ok:
		return executor.Result{}, fault(steps.NotFound, "no good result of "+req.Tool+" with these parameters is known")
	}
	return x.hit(value, max(time.Since(stored), 0)) // a store's clock may be ahead
}

func (x *rung) hit(value json.RawMessage, age time.Duration) (executor.Result, error) {
	if x.maxAge > 0 && age > x.maxAge {
		message := fmt.Sprintf("the last good result is %s old, at most %s are allowed", age.Round(time.Second), x.maxAge)
		return executor.Result{}, fault(steps.NotFound, message)
	}
	if err := steps.CheckDepth(value); err != nil {
		return executor.Result{}, fault(steps.InvalidOutput, "what the cache holds cannot be used: "+err.Error())
	}
	if !json.Valid(value) {
		return executor.Result{}, fault(steps.InvalidOutput, "what the cache holds is no JSON")
	}
	return executor.Result{Output: value, Age: age}, nil
}

func fault(class steps.Class, message string) steps.Fault {
	return steps.Fault{Class: class, Acted: steps.ActedNo, Message: message}
}

// Key names the results of a tool with these parameters. The order of keys and the blanks in the parameters make no
// difference; numbers count as they are written.
func Key(tool string, params json.RawMessage) (string, error) {
	v, err := executor.Decode(params)
	if err != nil {
		return "", err
	}
	canonical, err := json.Marshal(v) // sorts the keys
	if err != nil {
		return "", fmt.Errorf("canonical parameters: %w", err)
	}
	sum := sha256.Sum256(canonical)
	return tool + "." + hex.EncodeToString(sum[:]), nil
}
