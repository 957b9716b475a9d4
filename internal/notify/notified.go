package notify

import (
	"context"

	"belay/internal/bus"
	"belay/internal/handoff"
	"belay/internal/steps/view"
)

// occasions say why people got a notice.
var occasions = map[What]string{
	Expired: "its deadline passed", Deadline: "its deadline is near", Returned: "nobody has claimed it any more",
	Opened: "it is new", More: "it is new, like others before it", Reminder: "it is still waiting",
}

// Notified reads which tiers got a notice about an open escalation, for its card. A notice about several escalations counts
// for each of them.
func Notified(b *bus.Bus) func(ctx context.Context, v view.Escalation) ([]handoff.TrailLine, error) {
	return func(ctx context.Context, v view.Escalation) ([]handoff.TrailLine, error) {
		m, err := openMemory(ctx, b)
		if err != nil {
			return nil, err
		}
		sent, err := m.sent(ctx)
		if err != nil {
			return nil, err
		}
		var lines []handoff.TrailLine
		for _, s := range sent {
			if s.Names(v.ID, v.Fingerprint(), v.Opened) {
				lines = append(lines, handoff.TrailLine{At: s.At, By: handoff.Belay, Action: string(handoff.ActNotified), To: s.Tier, Reason: occasions[s.What]})
			}
		}
		return lines, nil
	}
}
