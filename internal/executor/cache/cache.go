// Package cache executes rungs that return the last good result of the same tool with the same parameters, with its
// age.
//
// The worker gives a [Cache] every good result of a tool that has such a rung; the results are in a [Store], usually a
// key-value bucket (bucket.go). It is only a cache: losing it costs a rung, never a step.
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

// Store keeps one value per key. How long it keeps it is up to the store.
type Store interface {
	// Get returns the value and when it was stored; ok is false if there is none.
	Get(ctx context.Context, key string) (value json.RawMessage, storedAt time.Time, ok bool, err error)
	// Put stores a value, in place of the one before it.
	Put(ctx context.Context, key string, value json.RawMessage) error
}

// MaxValue is how many bytes a result may have to be remembered.
const MaxValue = 512 << 10

// Cache remembers results. It is safe for concurrent use if its store is.
type Cache struct{ store Store }

// New makes a cache on a store.
func New(store Store) *Cache { return &Cache{store} }

// Remember stores a good result for the cache rungs of its tool. Do not call it with results of cache and static rungs:
// an old answer would look new. An error is only worth a log line, because the step has succeeded anyway.
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

// Execute looks the result up. It never acts, and its faults say so.
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
		return executor.Result{}, fault(steps.NotFound, "there is no good result of "+req.Tool+" with these parameters yet")
	}
	return x.hit(value, max(time.Since(stored), 0)) // a store's clock may be ahead
}

func (x *rung) hit(value json.RawMessage, age time.Duration) (executor.Result, error) {
	if x.maxAge > 0 && age > x.maxAge {
		message := fmt.Sprintf("the last good result is %s old, and max_age is %s", age.Round(time.Second), x.maxAge)
		return executor.Result{}, fault(steps.NotFound, message)
	}
	if err := steps.CheckDepth(value); err != nil {
		return executor.Result{}, fault(steps.InvalidOutput, "the cached result cannot be used: "+err.Error())
	}
	if !json.Valid(value) {
		return executor.Result{}, fault(steps.InvalidOutput, "the cached result is not JSON")
	}
	return executor.Result{Output: value, Age: age}, nil
}

func fault(class steps.Class, message string) steps.Fault {
	return steps.Fault{Class: class, Acted: steps.ActedNo, Message: message}
}

// Key is the key of a tool's results with these parameters. The order of keys and blanks in the parameters make no
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
