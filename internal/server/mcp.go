package server

import (
	"context"
	"errors"
	"net/http"

	"belay/internal/notify"
	"belay/internal/server/api"
	"belay/internal/server/mcptools"
	"belay/internal/steps"
	"belay/internal/steps/view"
)

// overMCP serves agents until ctx ends: it offers the tools and plans of the catalog, through an API of its own in this
// process.
func overMCP(ctx context.Context, o Options, inside api.Options) http.Handler {
	if o.Catalog == nil {
		return refusing(api.NoCatalog)
	}
	inside.Who, inside.Inside = mcptools.Who, true
	tools := mcptools.New(mcptools.Options{
		Catalog: o.Catalog, API: api.New(inside), Runs: o.Runs, Watch: inside.Watch, Waits: inside.Waits, Console: func() string { return o.PublicURL }, Wait: o.CallWait, Now: o.Bus.Now, Version: o.Version, Logger: o.Logger,
		Why: func(ctx context.Context, s *steps.State, f view.Foresight) (view.Why, error) {
			return notify.WhyOf(ctx, o.Bus, s, f)
		}, Released: inside.Released,
	})
	refresh := func() {
		if err := tools.Refresh(); err != nil {
			o.Logger.Warn("the tools and plans cannot be offered over MCP; what was offered before stays", "error", err)
		}
	}
	refresh()
	o.Catalog.OnReload(refresh)
	context.AfterFunc(ctx, tools.Close)
	handler := tools.Handler(via(o.Gate, "mcp"))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !tools.Offers() {
			refusing(errors.New("two tools or plans of the server would have the same name over MCP; its log says which")).ServeHTTP(w, r)
			return
		}
		handler.ServeHTTP(w, r)
	})
}

// refusing answers every request with what is wrong.
func refusing(err error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { api.Refuse(w, err) })
}
