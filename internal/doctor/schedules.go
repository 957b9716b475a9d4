package doctor

import (
	"context"
	"strings"
)

// schedules looks whether somebody may still answer for each schedule.
func (e *examination) schedules(ctx context.Context) []Finding {
	if e.rig != nil || e.LeftBehind == nil {
		return nil
	}
	left, err := e.LeftBehind(ctx, e.Bus)
	if err != nil {
		return failed("schedules", err)
	}
	if len(left) == 0 {
		return nil
	}
	return one("schedules", Warn, count(len(left), "schedule was", "schedules were")+" added with a token that was revoked, by somebody who has no other one, and fires all the same: "+strings.Join(left, ", "),
		"pause or remove them (dispatcher schedules pause NAME), or have whoever answers for them now add them once more (dispatcher schedules add --replace; docs/schedules.md)")
}
