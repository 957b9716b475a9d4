package audit

import (
	"context"
	"errors"
	"fmt"

	"belay/internal/exactjson"
)

// A stream takes whatever is published on its subjects, so that not every message on the trail's is a record of it. One is
// if it follows the record before: by its index, and by the hash of that one.

// place is where a record stands in the chain.
type place struct {
	index int64
	prev  string
}

// placeOf is the place that a message claims; false where it is no record at all. A later version may write more fields.
func placeOf(raw []byte) (place, bool) {
	var r Record
	if exactjson.Unmarshal(raw, &r) != nil {
		return place{}, false
	}
	return place{r.Index, r.Prev}, true
}

// ordered splits messages into records and strays: what cannot be read, and what follows nothing though something behind it
// does. What has no better one behind it stays a record: then the trail was changed, and whoever verifies it says where.
func ordered(messages [][]byte) (records [][]byte, strays []int) {
	places, known, last := make([]place, len(messages)), make([]bool, len(messages)), -1
	behind := map[place]int{} // the last message that claims a place
	for i, raw := range messages {
		if places[i], known[i] = placeOf(raw); known[i] {
			behind[places[i]], last = i, i
		}
	}
	seen, next := map[string]bool{}, place{}
	for i, raw := range messages {
		hash := sum(raw)
		if better := behind[next] > i; places[i] != next && (better || seen[hash]) || !known[i] && (better || i > last) {
			strays = append(strays, i)
			continue
		}
		records, seen[hash] = append(records, raw), true
		if next = (place{next.index + 1, hash}); known[i] {
			next.index = places[i].index + 1
		}
	}
	return records, strays
}

// follower knows the end of the chain, and reads on from there.
type follower struct {
	next place  // of the next record
	seq  uint64 // of the last message that was read, whether or not it is a record; 0 = none was
	hash string // of that message
}

// errAnother says that what was read last is not there any more: the trail is another one.
var errAnother = errors.New("the audit trail is not the one that was read")

// read reads on, and calls each with every record. It reads all that there is, and not only the end: two messages that follow one
// another are no records yet.
func (f *follower) read(ctx context.Context, l *Log, each func(raw []byte) error) error {
	entries, err := l.bus.ReadSubject(ctx, l.names.AuditStream(), l.names.AuditRecord(), max(f.seq, 1)-1)
	if err != nil {
		return fmt.Errorf("audit trail: %w", err)
	}
	if f.seq > 0 {
		if len(entries) == 0 || entries[0].Seq != f.seq || sum(entries[0].Data) != f.hash {
			return errAnother
		}
		entries = entries[1:]
	}
	for _, e := range entries {
		f.seq, f.hash = e.Seq, sum(e.Data)
		if at, ok := placeOf(e.Data); !ok || at != f.next {
			continue
		}
		if err := each(e.Data); err != nil {
			return err
		}
		f.next = place{f.next.index + 1, f.hash}
	}
	return nil
}
