package bus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// ErrNoWrites says that the server takes no writes to a stream: it gave no answer to them, or said that there is no room.
var ErrNoWrites = errors.New("the store takes no writes")

// Writes is what this process knows of writing to a stream.
type Writes struct {
	Stream string
	Good   time.Time // when the last write was confirmed; zero = none was
	Since  time.Time // when the first write after that was sent that was not; zero = there is none
	Full   bool      // the last one was refused for want of room: nothing of it is stored
}

// staleAfter is how long a write that was not confirmed counts where nobody tries again.
const staleAfter = 15 * time.Second

// written is a stream's writes over one connection. What a server says after it was started anew is another matter.
type written struct {
	Writes
	conn, last time.Time // [Bus.ConnectedAt] of both times; when a write was last not confirmed
}

// writings are the writes to all streams.
type writings struct {
	mu   sync.Mutex
	of   map[string]*written
	left time.Time // [Bus.ConnectedAt] of the connection that was given up last, because nothing was confirmed over it
}

// leaveAfter is how long nothing may be confirmed over a connection that carries pings. A cluster elects its leaders within that.
const leaveAfter = 10 * time.Second

// useless reports, once for each connection, that writes over it are not confirmed any more, whatever the stream.
func (w *writings) useless(conn time.Time, after time.Duration) bool {
	old := time.Now().Add(-after)
	if conn.After(old) || !conn.After(w.left) {
		return false
	}
	failing := false
	for _, s := range w.of {
		if s.conn.Equal(conn) {
			if s.Good.After(old) || s.Full {
				return false
			}
			failing = failing || !s.Since.IsZero() && s.Since.Before(old)
		}
	}
	if failing {
		w.left = conn
	}
	return failing
}

// leaveServer tries another server of the cluster. One that is cut off from the others keeps its connections and answers their pings.
func (b *Bus) leaveServer() {
	b.logger.Warn("the server confirms no writes; connecting to another one", "server", b.URL(), "for", leaveAfter)
	if err := b.nc.ForceReconnect(); err != nil {
		b.logger.Debug("cannot connect anew", "error", err)
	}
}

func (w *writings) stream(name string, conn time.Time) *written {
	s := w.of[name]
	if s == nil {
		s = &written{Writes: Writes{Stream: name}, conn: conn}
		if w.of == nil {
			w.of = map[string]*written{}
		}
		w.of[name] = s
	}
	if conn.After(s.conn) {
		s.conn, s.Since, s.last = conn, time.Time{}, time.Time{}
	}
	return s
}

// wrote notes what became of a write that was sent at a time, over a connection: nil is that it was confirmed. Refusals that say
// nothing of the store, and answers that were lost with the connection, are not noted.
func (b *Bus) wrote(stream string, sent, conn time.Time, err error) {
	full := errors.Is(err, ErrFull)
	if err != nil && !full && !errors.Is(err, errTimeout) && !errors.Is(err, errNoStream) {
		return
	}
	b.writings.mu.Lock()
	defer b.writings.mu.Unlock()
	s := b.writings.stream(stream, conn)
	switch {
	case conn.Before(s.conn):
	case err == nil:
		s.Good, s.Since = time.Now(), time.Time{}
	case sent.After(s.Good):
		if s.Since.IsZero() || time.Since(s.last) > staleAfter {
			s.Since = sent
		}
		s.Full, s.last = full, time.Now()
		if !b.foreign && len(b.nc.Servers()) > 1 && b.writings.useless(conn, b.leaveAfter) {
			go b.leaveServer()
		}
	}
}

// Writes lists the streams to which this process has written, by name.
func (b *Bus) Writes() []Writes {
	conn := b.ConnectedAt()
	b.writings.mu.Lock()
	defer b.writings.mu.Unlock()
	var all []Writes
	for name := range b.writings.of {
		s := b.writings.stream(name, conn)
		if time.Since(s.last) > staleAfter {
			s.Since = time.Time{}
		}
		all = append(all, s.Writes)
	}
	slices.SortFunc(all, func(a, b Writes) int { return cmp.Compare(a.Stream, b.Stream) })
	return all
}

// Writable is nil unless writes to some stream are known not to be confirmed now; then it is an [ErrNoWrites].
func (b *Bus) Writable() error {
	if t := troubleOf(b.Writes()); len(t.Streams) > 0 {
		return t.error()
	}
	return nil
}

func troubleOf(all []Writes) (t Trouble) {
	t.Full = true
	for _, w := range all {
		if w.Since.IsZero() {
			continue
		}
		if w.Good.After(t.Good) {
			t.Good = w.Good
		}
		if t.Streams = append(t.Streams, w.Stream); t.Since.IsZero() || w.Since.Before(t.Since) {
			t.Since = w.Since
		}
		t.Full = t.Full && w.Full
	}
	return t
}

func (t Trouble) error() error {
	why := "writes have got no answer"
	if t.Full {
		why = "there has been no room"
	}
	good := ""
	if !t.Good.IsZero() {
		good = ", the last good one was at " + clock(t.Good)
	}
	return fmt.Errorf("%w: %s since %s (%s)%s", ErrNoWrites, why, clock(t.Since), strings.Join(t.Streams, ", "), good)
}

func clock(at time.Time) string { return at.UTC().Format(time.RFC3339) }

// Patience is how long somebody waits who has something stored.
func (b *Bus) Patience() time.Duration { return b.patience }

// StoreTrouble is what dispatchers say of a store that takes no writes; empty if none says anything.
func (b *Bus) StoreTrouble(ctx context.Context) string {
	all, err := b.Dispatchers(ctx)
	if err != nil {
		return ""
	}
	for _, d := range all {
		if d.Store != "" {
			return d.Store
		}
	}
	return ""
}

// Advice is what to do where a server that is not in this process takes no writes.
func (b *Bus) Advice(t Trouble) string {
	server := fmt.Sprintf("the NATS server %s (%s)", b.nc.ConnectedServerName(), b.place)
	if b.Clustered() && len(t.Streams) > 0 {
		server = fmt.Sprintf("the NATS server that leads %s (nats stream info %s)", t.Streams[0], t.Streams[0])
	}
	if t.Full {
		return "make room: raise max_file_store of " + server + ", or the limits of its account and streams, or keep ended runs for a shorter time (--retention)"
	}
	return "free space on the disk of " + server + ", then restart it: until then it refuses all writes to that stream (runbook: BelayStoreTakesNoWrites)"
}
