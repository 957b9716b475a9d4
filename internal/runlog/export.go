package runlog

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"belay/internal/steps"
	"belay/internal/wire"
)

// deepest is how deep JSON may be nested for encoding/json to write it; an event lies one level down in its line.
const deepest = 10_000

// Export writes a run's whole log, one JSON line per entry: seq, time, subject, and the event, or its raw bytes where
// they are no JSON. A run without any entry is an [ErrNoRun].
func (l *Log) Export(ctx context.Context, run string, w io.Writer) error {
	if !wire.ValidName(run) {
		return badID(run)
	}
	entries, err := l.bus.ReadLog(ctx, run, 0)
	if err != nil {
		return fmt.Errorf("export run %s: %w", run, err)
	}
	if len(entries) == 0 {
		return fmt.Errorf("export run %s: %w", run, ErrNoRun)
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for _, e := range entries {
		line := map[string]any{"seq": e.Seq, "time": e.Time.UTC(), "subject": e.Subject}
		if steps.Depth(e.Data) < deepest && json.Valid(e.Data) {
			line["event"] = json.RawMessage(e.Data)
		} else {
			line["raw"] = e.Data
		}
		if err := enc.Encode(line); err != nil {
			return fmt.Errorf("export run %s: %w", run, err)
		}
	}
	return nil
}
