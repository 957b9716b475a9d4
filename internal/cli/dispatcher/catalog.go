package dispatcher

import (
	"log/slog"

	"belay/internal/catalog"
	"belay/internal/cli"
)

// openCatalog reads what may be submitted through the API, and reads it again on SIGHUP; nil means that nothing may be.
func (a *app) openCatalog(tools string, f cli.DispatchFlags) (*catalog.Catalog, error) {
	if tools == "" {
		if f.Plans != "" {
			return nil, cli.Usage("--plans needs --tools FILE: the policies of the plans' tools come from there")
		}
		return nil, nil
	}
	c, err := catalog.Open(tools, f.Plans)
	if err != nil {
		return nil, err
	}
	c.Strict = f.Strict
	a.OnHangup(func() { reload(c, a.Logger(slog.LevelInfo)) })
	return c, nil
}

func reload(c *catalog.Catalog, logger *slog.Logger) {
	if err := c.Reload(); err != nil {
		logger.Error("the tools file and the plans have mistakes; those that were read before stay in use", "error", err)
		return
	}
	logger.Info("read the tools file and the plans again", "plans", len(c.Names()))
}

// namedBy gives the name of the plan that makes a document; nil where there is no catalog.
func namedBy(c *catalog.Catalog) func([]byte) (string, bool) {
	if c == nil {
		return nil
	}
	return c.Named
}
