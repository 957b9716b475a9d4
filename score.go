package belay

import (
	"context"
	"fmt"
	"iter"
	"time"

	"belay/belaytype"
	"belay/internal/passkey"
	"belay/internal/score"
)

// HowItGoes says what came of the calls of each tool, how each stands against its `slo`, and what is unusual now. Window is over what is
// counted, at most 30 days; 0 = each tool's own, or 30 days. It is counted by the dispatchers, some seconds behind.
func (c *Client) HowItGoes(ctx context.Context, window time.Duration) (*belaytype.HowItGoes, error) {
	if window < 0 || window > score.DefaultWindow {
		return nil, fmt.Errorf("belay: how it goes: %w: a window of %s; up to %s are kept", ErrInvalid, window, score.DefaultWindow)
	}
	r, err := score.HowItGoes(ctx, c.bus, window)
	if err != nil {
		return nil, wrapped("how it goes", err)
	}
	shown, err := as[belaytype.HowItGoes](r)
	return &shown, err
}

// Causes are what calls have failed with in the last 30 days, what was seen last first.
func (c *Client) Causes(ctx context.Context, f belaytype.CauseFilter) iter.Seq2[belaytype.Cause, error] {
	return listed[score.CauseReport, belaytype.Cause]("causes", func() ([]score.CauseReport, error) {
		return score.Causes(ctx, c.bus, score.CauseFilter{Tool: f.Tool, Since: f.Since, New: f.New})
	})
}

// Passkeys are those that people have registered in the console to approve with, the oldest first, also those that were removed.
func (c *Client) Passkeys(ctx context.Context) iter.Seq2[belaytype.Passkey, error] {
	return listed[passkey.Passkey, belaytype.Passkey]("passkeys", func() ([]passkey.Passkey, error) { return passkey.NewRegistry(c.bus).List(ctx) })
}
