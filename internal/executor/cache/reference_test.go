package cache_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"belay/internal/executor"
	"belay/internal/executor/cache"
	"belay/internal/executor/executortest"
	"belay/internal/steps"
)

// TestReferenceOfFaults: docs/faults.md says what comes of results that are not there.
func TestReferenceOfFaults(t *testing.T) {
	t.Parallel()
	from := func(s *store) executortest.Cause {
		return func(t *testing.T) steps.Fault {
			return executortest.Fault(t.Context(), t, cache.New(s).Executor(executor.Cache{MaxAge: time.Hour}), executortest.Request(`{}`))
		}
	}
	executortest.Agree(t, "cache", "what happens", map[string][]executortest.Cause{
		"there is no result, or none that is young enough": {
			func(t *testing.T) steps.Fault {
				return executortest.Fault(t.Context(), t, cache.New(none{}).Executor(executor.Cache{}), executortest.Request(`{}`))
			},
			from(&store{value: json.RawMessage(`1`), at: time.Now().Add(-2 * time.Hour)}),
		},
		"the bucket cannot be read": {from(&store{get: func(context.Context) error { return errors.New("disk on fire") }})},
		"what is in it is not JSON": {from(&store{value: json.RawMessage(`{"a`), at: time.Now()})},
	})
}

// none is an empty store.
type none struct{}

func (none) Get(context.Context, string) (json.RawMessage, time.Time, bool, error) {
	return nil, time.Time{}, false, nil
}
func (none) Put(context.Context, string, json.RawMessage) error { return nil }
