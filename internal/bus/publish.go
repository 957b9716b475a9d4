package bus

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
)

// Message is something to be stored.
type Message struct {
	Subject string
	Header  map[string][]string
	Data    []byte
	Expect  *uint64 // last sequence expected on this subject; 0 = there must be none; nil = whatever
}

// Publish stores m in stream. It returns at once; done is called exactly once, from another goroutine, and must not
// block. The error is one of those of this package, or a refusal for good.
//
// What is published to one stream is stored in the order of the calls.
func (b *Bus) Publish(stream string, m Message, done func(seq uint64, err error)) {
	if err := b.unfit(m); err != nil {
		go done(0, fmt.Errorf("publish to %s: %w", stream, err))
		return
	}
	b.publisher(stream).add(item{m, done})
}

// PublishWait is Publish for those who can wait.
func (b *Bus) PublishWait(ctx context.Context, stream string, m Message) (uint64, error) {
	type result struct {
		seq uint64
		err error
	}
	c := make(chan result, 1)
	b.Publish(stream, m, func(seq uint64, err error) { c <- result{seq, err} })
	select {
	case r := <-c:
		return r.seq, r.err
	case <-ctx.Done():
		return 0, fmt.Errorf("publish to %s: %w: %w", stream, ErrUncertain, context.Cause(ctx))
	}
}

// unfit says why a message can never be stored. It is asked before grouping: one such message would fail its group.
func (b *Bus) unfit(m Message) error {
	if m.Subject == "" || strings.ContainsAny(m.Subject, " \t\r\n*>") {
		return fmt.Errorf("refused: %q is not a subject to publish to", m.Subject)
	}
	if size, most := m.size(), b.nc.MaxPayload(); int64(size) > most {
		return &TooLarge{What: m.Subject, Size: int64(size), Most: most}
	}
	return nil
}

// MaxPayload is the largest message that the server takes, headers included.
func (b *Bus) MaxPayload() int64 { return b.nc.MaxPayload() }

// Least is the smallest max_payload with which a server takes everything that Belay lets in: it is NATS's own default.
const Least = 1 << 20

// Small says what goes wrong with this server's max_payload, nil when it is large enough.
func (b *Bus) Small() error {
	if most := b.MaxPayload(); most < Least {
		return fmt.Errorf("the NATS server at %s takes messages of up to %d bytes (max_payload), Belay sends up to %d: "+
			"larger plans, parameters and outputs are refused; set max_payload: %d in the server's configuration", b.place, most, Least, Least)
	}
	return nil
}

// roomForHeaders is more than the headers that a publisher adds to a message.
const roomForHeaders = 256

func (m *Message) size() int {
	n := len(m.Data) + roomForHeaders
	for key, values := range m.Header {
		for _, v := range values {
			n += len(key) + len(v) + len(": \r\n")
		}
	}
	return n
}

// wire is the message with its headers, beside those of a batch. The server refuses a batch without headers.
func (m *Message) wire(h nats.Header) *nats.Msg {
	if h == nil {
		h = make(nats.Header, len(m.Header)+1)
	}
	for k, v := range m.Header {
		h[k] = v
	}
	if m.Expect != nil {
		h["Nats-Expected-Last-Subject-Sequence"] = []string{strconv.FormatUint(*m.Expect, 10)}
	}
	return &nats.Msg{Subject: m.Subject, Header: h, Data: m.Data}
}

// batch makes the headers of one message in a batch after the other, in one map: the client writes a message's headers
// out before it returns.
type batch struct {
	h           nats.Header
	id, seq, on []string
}

func newBatch(id string) *batch {
	return &batch{h: make(nats.Header, 12), id: []string{id}, seq: []string{""}, on: []string{"1"}}
}

// header is what the server needs to know of message n; the keys are the server's own spelling.
func (b *batch) header(n int, commit bool) nats.Header {
	clear(b.h)
	b.seq[0] = strconv.Itoa(n)
	b.h["Nats-Batch-Id"], b.h["Nats-Batch-Sequence"] = b.id, b.seq
	if commit {
		b.h["Nats-Batch-Commit"] = b.on
	}
	return b.h
}
