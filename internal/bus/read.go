package bus

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"belay/internal/wire"
)

const (
	pageSize  = 512     // messages that one read asks for
	pageBytes = 8 << 20 // and bytes
	lagPause  = 10 * time.Millisecond
)

// ReadLog reads all entries of a run's log after a sequence, in order. Whatever was acknowledged before the call is
// among them.
func (b *Bus) ReadLog(ctx context.Context, run string, after uint64) ([]Entry, error) {
	p := wire.Partition(run, b.partitions)
	stream, subject := b.names.RunsStream(p), b.names.LogOf(p, run)
	if !b.replicated {
		return b.readMany(ctx, stream, subject, after)
	}
	return b.readReplicated(ctx, stream, subject, after)
}

// ReadSubject reads all messages of a stream on a subject, wildcards allowed, after a sequence, in order.
func (b *Bus) ReadSubject(ctx context.Context, stream, subject string, after uint64) ([]Entry, error) {
	return b.readMany(ctx, stream, subject, after)
}

// readReplicated asks the leader where the subject ends and reads until it has that: a direct get may be answered by a
// replica that is behind.
func (b *Bus) readReplicated(ctx context.Context, stream, subject string, after uint64) ([]Entry, error) {
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	for {
		last, ok, err := b.Last(ctx, stream, subject)
		if err != nil || !ok || last.Seq <= after {
			return nil, err
		}
		all, err := b.readMany(ctx, stream, subject, after)
		if err != nil || len(all) > 0 && all[len(all)-1].Seq >= last.Seq {
			return all, err
		}
		select {
		case <-time.After(lagPause):
		case <-ctx.Done():
			return nil, fmt.Errorf("read %s from %s: the replicas are behind: %w", subject, stream, context.Cause(ctx))
		}
	}
}

// readMany reads the messages of a subject by batched direct gets: one round trip for a page.
func (b *Bus) readMany(ctx context.Context, stream, subject string, after uint64) ([]Entry, error) {
	var all []Entry
	for {
		page, more, err := b.readPage(ctx, stream, subject, after+1, pageSize)
		if err != nil {
			return nil, fmt.Errorf("read %s from %s: %w", subject, stream, err)
		}
		all = append(all, page...)
		if !more || len(page) == 0 {
			return all, nil
		}
		after = page[len(page)-1].Seq
	}
}

func (b *Bus) readPage(ctx context.Context, stream, subject string, from uint64, most int) (page []Entry, more bool, err error) {
	ctx, cancel := b.replies.whileConnected(ctx, b.timeout)
	defer cancel()
	body, err := json.Marshal(map[string]any{"seq": from, "next_by_subj": subject, "batch": most, "max_bytes": pageBytes})
	if err != nil {
		return nil, false, err
	}
	sub, err := b.nc.SubscribeSync(b.nc.NewInbox())
	if err != nil {
		return nil, false, err
	}
	defer func() { _ = sub.Unsubscribe() }()
	if err := b.nc.PublishRequest(b.api("DIRECT.GET."+stream), sub.Subject, body); err != nil {
		return nil, false, b.away(err)
	}
	for {
		m, err := sub.NextMsgWithContext(ctx)
		if err != nil {
			return nil, false, because(ctx, err)
		}
		// The server names the subject of every stored message. What has none is its own word about the page; a
		// status header alone proves nothing, since publishers may write one too.
		if serverSays(m.Header, "Nats-Subject") == "" {
			return page, pending(m) > 0, directStatus(m)
		}
		e, err := directEntry(m)
		if err != nil {
			return nil, false, err
		}
		page = append(page, e)
	}
}

// directStatus: 204 ends a page, 404 says that there is nothing; the rest is trouble.
func directStatus(m *nats.Msg) error {
	switch status := m.Header.Get("Status"); status {
	case "204", "404":
		return nil
	case "503":
		return fmt.Errorf("%w (the stream is missing or not available now)", nats.ErrNoResponders)
	default:
		return fmt.Errorf("the server says %s %s", status, m.Header.Get("Description"))
	}
}

func pending(m *nats.Msg) uint64 {
	n, _ := strconv.ParseUint(m.Header.Get("Nats-Num-Pending"), 10, 64)
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
