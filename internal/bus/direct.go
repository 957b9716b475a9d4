package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
)

// page is the answer to a batched direct get: the messages, and what the server says at their end.
type page struct {
	entries []Entry
	pending uint64 // messages that match and were not sent
	upTo    uint64 // for the last messages of subjects: the last sequence of the stream that was looked at
}

func (p page) more() bool { return p.pending > 0 && len(p.entries) > 0 }

// errTooMany says that more subjects match than the server tells the last messages of.
var errTooMany = errors.New("too many subjects")

// get makes one batched direct get.
func (b *Bus) get(ctx context.Context, stream string, what map[string]any) (page, error) {
	d, err := b.startGet(stream, what)
	if err != nil {
		return page{}, err
	}
	return d.wait(ctx)
}

// directGet is a batched direct get that was sent.
type directGet struct {
	bus    *Bus
	stored []*nats.Msg
	status *nats.Msg
	err    error
	ended  chan struct{}
	giveUp func()
}

// startGet sends a batched direct get. Whoever does not wait for it has to give it up.
func (b *Bus) startGet(stream string, what map[string]any) (*directGet, error) {
	body, err := json.Marshal(what)
	if err == nil {
		err = b.mayAsk("DIRECT.GET." + stream)
	}
	if err != nil {
		return nil, err
	}
	d := &directGet{bus: b, ended: make(chan struct{})}
	request := &nats.Msg{Subject: b.api("DIRECT.GET." + stream), Data: body}
	d.giveUp = b.replies.requestMany(request, b.timeout, func(m *nats.Msg) bool {
		// The server names the subject of every stored message. An answer without one is its status for the page; a
		// status header alone proves nothing, since publishers may write one too.
		if serverSays(m.Header, "Nats-Subject") == "" {
			return false
		}
		d.stored = append(d.stored, m)
		return true
	}, func(status *nats.Msg, err error) {
		d.status, d.err = status, err
		close(d.ended)
	})
	return d, nil
}

func (d *directGet) wait(ctx context.Context) (page, error) {
	select {
	case <-ctx.Done():
		d.giveUp()
		return page{}, because(ctx, ctx.Err())
	case <-d.ended:
	}
	if d.err != nil {
		return page{}, d.bus.unanswered(d.err)
	}
	entries, err := directEntries(d.stored)
	if err == nil {
		err = directStatus(d.status)
	}
	return page{entries: entries, pending: count(d.status, "Nats-Num-Pending"), upTo: count(d.status, "Nats-UpTo-Sequence")}, err
}

func directEntries(stored []*nats.Msg) (entries []Entry, err error) {
	if len(stored) == 0 {
		return nil, nil
	}
	entries = make([]Entry, len(stored))
	for i, m := range stored {
		if entries[i], err = directEntry(m); err != nil {
			return nil, err
		}
	}
	return entries, nil
}

// directStatus reads the status of a page: 204 ends it, 404 means that there is nothing, and anything else is an error.
func directStatus(m *nats.Msg) error {
	switch status := m.Header.Get("Status"); status {
	case "204", "404":
		return nil
	case "413":
		return errTooMany
	case "503":
		return fmt.Errorf("%w (the stream is missing or not available now)", nats.ErrNoResponders)
	default:
		return fmt.Errorf("the server says %s %s", status, m.Header.Get("Description"))
	}
}

func count(m *nats.Msg, header string) uint64 {
	n, _ := strconv.ParseUint(m.Header.Get(header), 10, 64)
	return n
}

func directEntry(m *nats.Msg) (Entry, error) {
	seq, err := strconv.ParseUint(serverSays(m.Header, "Nats-Sequence"), 10, 64)
	if err != nil {
		return Entry{}, fmt.Errorf("sequence of a stored message: %w", err)
	}
	at, err := time.Parse(time.RFC3339Nano, serverSays(m.Header, "Nats-Time-Stamp"))
	if err != nil {
		return Entry{}, fmt.Errorf("time of stored message %d: %w", seq, err)
	}
	return Entry{Seq: seq, Time: at, Subject: serverSays(m.Header, "Nats-Subject"), Header: m.Header, Data: m.Data}, nil
}
