package audit

import (
	"context"
	"fmt"
	"slices"

	"belay/internal/exactjson"
)

// lookBack is how many messages one read of [Log.Newest] takes.
const lookBack = 2048

// Newest reads the trail backwards until it has so many records that keep wants, and returns them, the oldest first; most 0
// means all. More says that it did not look at the whole trail. Records that cannot be read are left out: verifying names
// them.
func (l *Log) Newest(ctx context.Context, most int, keep func(*Record) bool) (records []Record, more bool, err error) {
	stream := l.names.AuditStream()
	info, err := l.bus.About(ctx, stream)
	if err != nil {
		return nil, false, fmt.Errorf("audit trail: %w", err)
	}
	records = []Record{} // an empty list in JSON, not null
	for end := info.LastSeq; end > 0; {
		from := end - min(lookBack, end) + 1
		entries, err := l.bus.ReadRange(ctx, stream, l.names.AuditRecord(), from, end)
		if err != nil {
			return nil, false, fmt.Errorf("audit trail: %w", err)
		}
		for _, e := range slices.Backward(entries) {
			var r Record
			if exactjson.Unmarshal(e.Data, &r) != nil || !keep(&r) {
				continue
			}
			if most > 0 && len(records) == most {
				slices.Reverse(records)
				return records, true, nil
			}
			records = append(records, r)
		}
		end = from - 1
	}
	slices.Reverse(records)
	return records, false, nil
}
