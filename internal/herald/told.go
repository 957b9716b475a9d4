package herald

import (
	"context"
	"encoding/json"
	"strings"

	"belay/internal/bus"
	"belay/internal/handoff"
	"belay/internal/notify"
	"belay/internal/steps"
)

// occasions say why people were told.
var occasions = map[notify.What]string{
	notify.Expired: "its deadline passed", notify.Deadline: "its deadline is near", notify.Returned: "whoever had it does not hold it any more",
	notify.Opened: "it is new", notify.More: "it is new, like others before it", notify.Reminder: "it still waits",
}

// Told reads what tiers were told of an open item, for its card. A notice of like items is one of this item too, if
// it counted it.
func Told(b *bus.Bus) func(ctx context.Context, v steps.EscalationView) ([]handoff.TrailLine, error) {
	return func(ctx context.Context, v steps.EscalationView) ([]handoff.TrailLine, error) {
		bucket, err := b.Bucket(ctx, b.Names().NoticesBucket(), noticesDescription)
		if err != nil {
			return nil, err
		}
		all, err := bucket.All(ctx)
		if err != nil {
			return nil, err
		}
		var lines []handoff.TrailLine
		for _, it := range all {
			var s notify.Sent
			if !strings.HasPrefix(it.Key, sentPrefix) || json.Unmarshal(it.Value, &s) != nil || !s.Names(v.ID, v.Fingerprint(), v.Opened) {
				continue
			}
			lines = append(lines, handoff.TrailLine{At: s.At, By: handoff.Belay, Action: string(handoff.ActTold), To: s.Tier, Reason: occasions[s.What]})
		}
		return lines, nil
	}
}
