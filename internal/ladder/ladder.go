// Package ladder makes what a worker executes out of a tools file: a [Rung] for every rung that this program can serve,
// found by the names of its tool and rung. It picks the plug-in of each rung; nothing else knows them all.
//
// Read ladder.go first (which rungs there are, and what each needs), then check.go (what a rung's output must be) and
// fits.go (values against schemas that come with messages).
package ladder

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"belay/internal/bus"
	"belay/internal/executor"
	"belay/internal/executor/cache"
	"belay/internal/executor/command"
	"belay/internal/executor/gofunc"
	httpexec "belay/internal/executor/http"
	mcpexec "belay/internal/executor/mcp"
	modelexec "belay/internal/executor/model"
	natsexec "belay/internal/executor/nats"
	"belay/internal/executor/remote"
	"belay/internal/executor/static"
	"belay/internal/genai"
	"belay/internal/outbound"
	"belay/internal/plan"
	"belay/internal/steps"
)

// Key finds a rung.
type Key struct {
	Tool string // its name
	Rung string // the name of one of its rungs; in Options.Handlers empty: all of its `go` rungs
}

func (k Key) String() string { return k.Tool + "/" + k.Rung }

// Rung is everything a worker needs to execute attempts of one rung.
type Rung struct {
	executor.Executor
	Effects                 steps.Effects                                                   // the tool's, as this tools file has them
	Policy                  string                                                          // digest of Tool's policy
	Tool                    *steps.Tool                                                     // of the tools file that this worker trusts
	NeedsApproval           func(params json.RawMessage, untrusted bool) bool               // whether a call needs approval; nil when none does
	CheckInput, CheckOutput func(json.RawMessage) error                                     // nil without a schema
	Reshape                 func(params, output json.RawMessage) (json.RawMessage, error)   // nil where the executor's output is the step's
	Remember                func(ctx context.Context, params, output json.RawMessage) error // nil unless a cache rung further down wants this rung's results
}

// Options say what rungs may use.
type Options struct {
	Bus      *bus.Bus               // for `nats` and `cache` rungs
	Handlers map[Key]gofunc.Handler // Go handlers; a key with an empty rung serves every `go` rung of its tool
	Remote   *remote.Hub            // where programs poll for `remote` rungs; nil: nowhere, and none is served
	Only     []string               // tools to serve; empty = all
	Version  string                 // shown to HTTP services
	Outbound outbound.Policy        // where `http`, `mcp` and `model` rungs may connect to
	Asked    func(genai.Call)       // is called after each call of a model; may be nil
	Logger   *slog.Logger           // default: nothing is logged
}

// Build makes the rungs of a tools file. Missing lists `go` rungs without a handler in this binary, and `remote` rungs
// that no program can poll for: this worker does not serve them. A name in Only that the file does not have is an error.
func Build(ctx context.Context, t *plan.Tools, o Options) (rungs map[Key]Rung, missing []Key, err error) {
	for _, name := range o.Only {
		if t.Tools[name] == nil {
			return nil, nil, fmt.Errorf("%s has no tool %q (named by --only)", t.File, name)
		}
	}
	b := newBuilder(o)
	b.tools(ctx, t)
	if o.Remote != nil {
		o.Remote.Complete()
	}
	return b.rungs, b.missing, nil
}

// Close ends what rungs keep running between calls, such as the programs of MCP servers, and returns when it has ended.
func Close(rungs map[Key]Rung) {
	var ends sync.WaitGroup
	for _, r := range rungs {
		if x, is := r.Executor.(executor.Closer); is {
			ends.Go(x.Close)
		}
	}
	ends.Wait()
}

// Lacks says what a program lacks that cannot serve a rung of the file.
func Lacks(t *plan.Tools, k Key) string {
	if isRemote(t, k) {
		return "no program can poll for it without --work-listen"
	}
	return "no Go handler is registered for it in this binary"
}

func isRemote(t *plan.Tools, k Key) bool {
	def := t.Tools[k.Tool]
	return def != nil && slices.ContainsFunc(def.Rungs, func(r plan.RungDef) bool { return r.Name == k.Rung && r.Spec.Remote != nil })
}

type builder struct {
	Options
	client    *httpexec.Client
	servers   *mcpexec.Servers
	models    *modelexec.Client
	cache     *cache.Cache
	openEvery time.Duration // of the cache; 0 = its default
	rungs     map[Key]Rung
	missing   []Key
}

func newBuilder(o Options) *builder {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &builder{Options: o, client: httpexec.NewClient(o.Version, o.Outbound), servers: mcpexec.NewServers(o.Version, o.Outbound, o.Logger), models: modelexec.NewClient(o.Version, o.Outbound, o.Asked), rungs: map[Key]Rung{}}
}

func (b *builder) tools(ctx context.Context, t *plan.Tools) {
	for name, def := range t.Tools {
		if len(b.Only) == 0 || slices.Contains(b.Only, name) {
			b.tool(ctx, def)
		}
	}
	slices.SortFunc(b.missing, func(a, z Key) int { return strings.Compare(a.String(), z.String()) })
}

func (b *builder) tool(ctx context.Context, def *plan.ToolDef) {
	lowest := lowestCache(def.Rungs)
	if lowest >= 0 {
		b.openCache(ctx)
	}
	for i, r := range def.Rungs {
		if r.Human != nil {
			continue // people answer; no worker does
		}
		rung := Rung{Effects: def.Effects, CheckInput: def.CheckInput, CheckOutput: def.CheckOutput}
		rung.Reshape = r.Reshape
		if !r.Harmless() {
			rung.NeedsApproval = def.NeedsApproval
		}
		if i < lowest && !r.Harmless() {
			rung.Remember = b.remember(def.Name)
		}
		b.rung(def, &r, rung)
	}
	if def.Probe != nil {
		b.rung(def, def.Probe, Rung{Effects: steps.EffectsNone})
	}
}

// rung completes r and serves it, if this binary can.
func (b *builder) rung(def *plan.ToolDef, r *plan.RungDef, rung Rung) {
	k := Key{def.Name, r.Name}
	if rung.Executor = b.executor(k, r.Spec); rung.Executor == nil {
		b.missing = append(b.missing, k)
		return
	}
	rung.Tool, rung.Policy = &def.Tool, def.Policy().Digest()
	b.rungs[k] = rung
}

// lowestCache is the index of the last cache rung, -1 without one. Only what the rungs above it give is remembered: what
// a lower one gives is worse than any last good result, and would be taken for one the next time.
func lowestCache(rungs []plan.RungDef) int {
	for i, r := range slices.Backward(rungs) {
		if r.Spec.Cache != nil {
			return i
		}
	}
	return -1
}

func (b *builder) remember(tool string) func(context.Context, json.RawMessage, json.RawMessage) error {
	return func(ctx context.Context, params, output json.RawMessage) error {
		return b.cache.Remember(ctx, tool, params, output)
	}
}

// openCache opens the bucket once, for the first tool that has a cache rung. Where it cannot be opened the others are
// served all the same; it is tried again when it is needed.
func (b *builder) openCache(ctx context.Context) {
	if b.cache != nil {
		return
	}
	store := cache.NewLazy(b.openEvery, func(ctx context.Context) (cache.Store, error) {
		return cache.OpenBucket(ctx, b.Bus.JetStream(), cache.BucketOptions{Name: b.Bus.Names().CacheBucket(), Replicas: b.Bus.Replicas(), Now: b.Bus.Now})
	})
	if _, err := store.Open(ctx); err != nil {
		b.Logger.Warn("cache rungs have no results until their bucket can be opened; everything else is served", "error", err)
	}
	b.cache = cache.New(store)
}

// executor picks the plug-in; nil for a handler that this binary does not have, and for programs that cannot poll.
func (b *builder) executor(k Key, s executor.Spec) executor.Executor {
	switch {
	case s.HTTP != nil:
		return b.client.Executor(*s.HTTP)
	case s.Command != nil:
		return command.New(*s.Command)
	case s.NATS != nil:
		return natsexec.New(b.Bus.NATS(), b.Bus.Names(), *s.NATS)
	case s.Cache != nil:
		return b.cache.Executor(*s.Cache)
	case s.Static != nil:
		return static.New(*s.Static)
	case s.Remote != nil:
		return b.remote(k, *s.Remote)
	case s.MCP != nil:
		return b.servers.Executor(*s.MCP)
	case s.Model != nil:
		return b.models.Executor(*s.Model)
	}
	for _, key := range []Key{k, {Tool: k.Tool}} {
		if h, ok := b.Handlers[key]; ok {
			return gofunc.New(h, steps.MaxOutput)
		}
	}
	return nil
}

func (b *builder) remote(k Key, spec executor.Remote) executor.Executor {
	if b.Remote == nil {
		return nil
	}
	return b.Remote.Executor(k.Tool, k.Rung, spec)
}
