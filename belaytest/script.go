package belaytest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"belay"
	"belay/belaytype"
	"belay/internal/executor"
	"belay/internal/executor/gofunc"
	"belay/internal/gohandler"
	"belay/internal/ladder"
	"belay/internal/plan"
	"belay/internal/steps"
)

// Tool says what a tool does in the test, or one rung of it. Each call gets the next outcome, in the order in which they
// were added; the last one repeats.
type Tool struct {
	scripts *scripts
	key     ladder.Key
}

// Tool returns the script of a tool. It holds for all rungs that have no script of their own, see [Tool.Rung].
func (b *Belay) Tool(name string) *Tool {
	b.t.Helper()
	if !slices.Contains(b.Tools.Names(), name) {
		b.t.Fatalf("belaytest: %s has no tool %q", b.Tools.File(), name)
	}
	return &Tool{b.scripts, ladder.Key{Tool: name}}
}

// Rung returns the script of one rung of the tool.
func (t *Tool) Rung(name string) *Tool {
	return &Tool{t.scripts, ladder.Key{Tool: t.key.Tool, Rung: name}}
}

// Return adds a result for each value.
func (t *Tool) Return(values ...any) *Tool {
	for _, v := range values {
		t.add(func(context.Context, json.RawMessage) (any, error) { return v, nil })
	}
	return t
}

// Fail adds a fault for each error: one that a handler may return ([belay.TryAgain], [belay.Permanent], ...), or a
// [belaytype.Fault] of any class.
func (t *Tool) Fail(errs ...error) *Tool {
	for _, err := range errs {
		t.add(func(context.Context, json.RawMessage) (any, error) { return nil, err })
	}
	return t
}

// Do adds a function to call, with the parameters of the call.
func (t *Tool) Do(f func(ctx context.Context, params json.RawMessage) (any, error)) *Tool {
	t.add(f)
	return t
}

// Calls returns the parameters of all calls so far, the first one first.
func (t *Tool) Calls() []json.RawMessage {
	t.scripts.mu.Lock()
	defer t.scripts.mu.Unlock()
	var list []json.RawMessage
	for _, c := range t.scripts.calls {
		if c.key.Tool == t.key.Tool && (t.key.Rung == "" || c.key.Rung == t.key.Rung) {
			list = append(list, c.params)
		}
	}
	return list
}

func (t *Tool) add(o outcome) {
	t.scripts.mu.Lock()
	defer t.scripts.mu.Unlock()
	t.scripts.said[t.key] = append(t.scripts.said[t.key], o)
}

// Timeout returns the fault of a tool that did not answer in time, and may have acted.
func Timeout() error {
	return belaytype.Fault{Class: belaytype.Timeout, Acted: belaytype.ActedMaybe, Message: "did not end within its timeout"}
}

type outcome = func(ctx context.Context, params json.RawMessage) (any, error)

type call struct {
	key    ladder.Key
	params json.RawMessage
}

// scripts holds what the test says of its tools, and the calls that were made.
type scripts struct {
	own map[ladder.Key]gofunc.Handler

	mu    sync.Mutex
	said  map[ladder.Key][]outcome
	calls []call
	wrong []string
}

func newScripts(own []belay.Handler) *scripts {
	return &scripts{own: gohandler.ByKey(own), said: map[ladder.Key][]outcome{}}
}

// serve replaces every rung that acts by one that follows the scripts. Rungs that ask people, fixed values and the cache
// stay as they are.
func (s *scripts) serve(tools *plan.Tools) map[ladder.Key]gofunc.Handler {
	handlers := map[ladder.Key]gofunc.Handler{}
	take := func(tool string, r *plan.RungDef) {
		if r.Harmless() {
			return
		}
		r.Spec = executor.Spec{Go: &executor.Go{}}
		key := ladder.Key{Tool: tool, Rung: r.Name}
		handlers[key] = func(ctx context.Context, req executor.Request) (json.RawMessage, error) { return s.call(ctx, key, req) }
	}
	for name, def := range tools.Tools {
		for i := range def.Rungs {
			take(name, &def.Rungs[i])
		}
		if def.Probe != nil {
			take(name, def.Probe)
		}
	}
	return handlers
}

func (s *scripts) call(ctx context.Context, key ladder.Key, req executor.Request) (json.RawMessage, error) {
	next := s.next(key, req.Params)
	if next == nil {
		return s.unscripted(ctx, key, req)
	}
	h := gohandler.ByKey([]belay.Handler{belay.Handle(key.Tool, next)})[ladder.Key{Tool: key.Tool}]
	out, err := h(ctx, req)
	return out, hasty(err)
}

// next notes a call and returns its outcome; nil if the test says nothing of this tool.
func (s *scripts) next(key ladder.Key, params json.RawMessage) outcome {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, call{key, slices.Clone(params)})
	for _, k := range []ladder.Key{key, {Tool: key.Tool}} {
		list := s.said[k]
		if len(list) == 0 {
			continue
		}
		if len(list) > 1 {
			s.said[k] = list[1:]
		}
		return list[0]
	}
	return nil
}

func (s *scripts) unscripted(ctx context.Context, key ladder.Key, req executor.Request) (json.RawMessage, error) {
	for _, k := range []ladder.Key{key, {Tool: key.Tool}} {
		if h := s.own[k]; h != nil {
			return h(ctx, req)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wrong = append(s.wrong, fmt.Sprintf("%s was called with %s, and the test does not say what it does: b.Tool(%q).Return(...)", key, req.Params, key.Tool))
	return nil, steps.Fault{Class: steps.ToolError, Acted: steps.ActedNo, Message: "the test does not say what this tool does"}
}

func (s *scripts) problems() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.wrong
}

// shortWait replaces the wait of a [belay.RetryAfter].
const shortWait = steps.Duration(time.Millisecond)

// hasty shortens the wait that an error asks for.
func hasty(err error) error {
	f, ok := errors.AsType[steps.Fault](err)
	if !ok {
		return err
	}
	f.RetryAfter = min(f.RetryAfter, shortWait)
	return f
}
