package runlog

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"belay/internal/wire"
)

// deepest is how deep JSON may be nested for encoding/json to write it; an event is one level down in its line.
const deepest = 10_000

// Export writes a run's whole log, one JSON line per entry: seq, time, subject, and the event, or its raw bytes if they are
// not JSON. A run without any entry is an [ErrNoRun].
func (l *Log) Export(ctx context.Context, run string, w io.Writer) error {
	lines, err := l.Lines(ctx, run, 0)
	if err != nil {
		return err
	}
	if len(lines) == 0 {
		return fmt.Errorf("export run %s: %w", run, ErrNoRun)
	}
	for _, line := range lines {
		if _, err := w.Write(line.JSON); err != nil {
			return fmt.Errorf("export run %s: %w", run, err)
		}
	}
	return nil
}

// Exported is an entry of a log as a line of an export.
type Exported struct {
	Event   json.RawMessage `json:"event,omitempty"` // what was appended
	Raw     []byte          `json:"raw,omitempty"`   // in place of event, if that is not JSON
	Seq     uint64          `json:"seq"`             // grows within a run; entries of other runs lie between
	Subject string          `json:"subject"`         // that it was appended on
	Time    time.Time       `json:"time"`            // the log's own timestamp
}

// Line is an entry of a log as it is exported.
type Line struct {
	Seq  uint64 // of the entry in its partition of the log
	JSON []byte // one line, with its end
}

// Lines returns the entries of a run's log after a sequence, as [Log.Export] writes them; having none is not an error.
func (l *Log) Lines(ctx context.Context, run string, after uint64) ([]Line, error) {
	if !wire.ValidName(run) {
		return nil, badID(run)
	}
	entries, err := l.bus.ReadLog(ctx, run, after)
	if err != nil {
		return nil, fmt.Errorf("export run %s: %w", run, err)
	}
	lines := make([]Line, len(entries))
	for i, e := range entries {
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(exported(e)); err != nil {
			return nil, fmt.Errorf("export run %s: %w", run, err)
		}
		lines[i] = Line{e.Seq, b.Bytes()}
	}
	return lines, nil
}
