package engine

import (
	"context"
	"fmt"

	"belay/internal/bus"
)

// startCanary begins to prove that the server stores what it is given, where that was asked for. What the server in this process says
// itself is known in any case.
func (e *Engine) startCanary(o Options) {
	if o.Canary == "" && e.Server == nil {
		return
	}
	c := bus.CanaryOptions{Kind: o.Canary, Log: o.Dispatch != nil, Logger: e.logger}
	if e.Server != nil {
		c.Advice, c.Failed = e.advice, e.Server.Failed
	}
	canary := bus.NewCanary(e.Bus, c)
	e.Runs.Trouble = canary.Trouble
	if o.Canary != "" {
		e.Canary = canary
		e.part(canary.Run)
	}
}

// advice is what to do where the server in this process takes no writes.
func (e *Engine) advice(t bus.Trouble) string {
	left := ""
	if s, ok := e.Server.Space(); ok {
		left = fmt.Sprintf(" (%d bytes are left)", s.Headroom())
	}
	if t.Full {
		return fmt.Sprintf("the store in %s may take three quarters of its disk%s: make room there, or keep ended runs for a shorter time (--retention); nothing has to be restarted", e.Server.Dir(), left)
	}
	return fmt.Sprintf("make room on the disk of %s%s, or mend it; the server in this process is started anew then and work goes on, without a restart of this program", e.Server.Dir(), left)
}

// reopened is done after the server in this process was started anew.
func (e *Engine) reopened(ctx context.Context) error {
	if err := e.Bus.Reopened(ctx); err != nil {
		return err
	}
	if err := e.Server.StageInMemory(); err != nil {
		e.logger.Warn("batches are staged on disk, which takes longer", "error", err)
	}
	return nil
}

// storeTrouble is for whoever asks this process why nothing is stored; empty while there is nothing to say.
func (e *Engine) storeTrouble() string {
	if e.Runs.Trouble == nil {
		return ""
	}
	if err := e.Runs.Trouble(""); err != nil {
		return err.Error()
	}
	return ""
}
