package cache

import (
	"encoding/json"
	"errors"
	"testing"

	"belay/internal/executor"
	"belay/internal/steps"
)

// FuzzHit: a stored result is JSON, or the step is told that it cannot be used.
func FuzzHit(f *testing.F) {
	f.Add([]byte(`{"a":1,"a":2}`))
	f.Add([]byte(`{"a":`))
	x := New(nil).Executor(executor.Cache{}).(*rung)
	f.Fuzz(func(t *testing.T, value []byte) {
		res, err := x.hit(value, 0)
		fault, is := errors.AsType[steps.Fault](err)
		if err == nil && !json.Valid(res.Output) || err != nil && (!is || fault.Class != steps.InvalidOutput) {
			t.Fatalf("%q: %q, %v", value, res.Output, err)
		}
	})
}

// FuzzKey: parameters have one key, however they are ordered and spaced, and it is valid as the key of a bucket.
func FuzzKey(f *testing.F) {
	f.Add([]byte(`{"b":1.50,"a":[null,"<"]}`))
	f.Fuzz(func(t *testing.T, params []byte) {
		key, err := Key("a.b", params)
		if err != nil {
			return
		}
		spaced, err := json.MarshalIndent(json.RawMessage(params), "", " ")
		if err != nil {
			return
		}
		if other, err := Key("a.b", spaced); err != nil || other != key {
			t.Fatalf("%q: %s, %s (%v)", params, key, other, err)
		}
	})
}
