package bus

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"

	"belay/internal/wire"
)

// Message is a message to store.
type Message struct {
	Subject string              // a subject of the stream, from [wire.Names]
	Run     string              // the run that it is about, sent as [wire.HeaderRun]; empty = none. A field, because a map would cost more
	Header  map[string][]string // other headers, case-sensitive; nil = none
	Data    []byte              // the body, at most max_payload bytes
	Expect  *uint64             // last sequence expected on this subject; 0 = there must be none; nil = any
}

// Publish stores m in stream. It returns at once; done is called exactly once, from another goroutine, and must not block.
// Its error is one of this package's, or a permanent refusal.
//
// What is published to one stream is stored in the order of the calls.
func (b *Bus) Publish(stream string, m Message, done func(seq uint64, err error)) {
	if err := b.unfit(m); err != nil {
		go done(0, fmt.Errorf("publish to %s: %w", stream, err))
		return
	}
	b.publisher(stream).add(item{m, done})
}

// PublishWait is Publish for callers that can wait.
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

// unfit returns an error if a message can never be stored. It is checked before grouping, because such a message would fail
// its whole group.
func (b *Bus) unfit(m Message) error {
	if m.Subject == "" || strings.ContainsAny(m.Subject, " \t\r\n*>") {
		return fmt.Errorf("refused: %q is not a subject to publish to", m.Subject)
	}
	if size, most := m.size(), b.nc.MaxPayload(); int64(size) > most {
		return &TooLarge{What: m.Subject, Size: int64(size), Most: most}
	}
	return b.may(m.Subject)
}

// MaxPayload is the size of the largest message that the server accepts, including headers.
func (b *Bus) MaxPayload() int64 { return b.nc.MaxPayload() }

// Least is the smallest max_payload with which a server accepts everything that Belay accepts: it is NATS's default.
const Least = 1 << 20

// Small returns an error if this server's max_payload is too small.
func (b *Bus) Small() error {
	if most := b.MaxPayload(); most < Least {
		return fmt.Errorf("the NATS server at %s accepts messages of up to %d bytes (max_payload), Belay sends up to %d: "+
			"larger plans, parameters and outputs are refused; set max_payload: %d in the server's configuration", b.place, most, Least, Least)
	}
	return nil
}

// roomForHeaders is more than the size of the headers that a publisher adds to a message.
const roomForHeaders = 256

func (m *Message) size() int {
	n := len(m.Data) + len(m.Run) + roomForHeaders
	for key, values := range m.Header {
		for _, v := range values {
			n += len(key) + len(v) + len(": \r\n")
		}
	}
	return n
}

// outgoing is a message as it is sent, with the most common header in the same allocation.
type outgoing struct {
	nats.Msg
	run [1]string
}

// headerExpected is in a stored message if the server checked the last sequence of its subject before it stored it.
const headerExpected = "Nats-Expected-Last-Subject-Sequence"

// wire returns the message with its headers, in addition to those of a batch. The server refuses a batch without headers.
func (m *Message) wire(h nats.Header) *nats.Msg {
	if h == nil {
		h = make(nats.Header, len(m.Header)+2)
	}
	for k, v := range m.Header {
		h[k] = v
	}
	if m.Expect != nil {
		h[headerExpected] = []string{strconv.FormatUint(*m.Expect, 10)}
	}
	out := &outgoing{Msg: nats.Msg{Subject: m.Subject, Header: h, Data: m.Data}, run: [1]string{m.Run}}
	if m.Run != "" {
		h[wire.HeaderRun] = out.run[:]
	}
	return &out.Msg
}

// batch makes the headers of the messages in a batch, one after the other in the same map: the client has written a
// message's headers when it returns.
type batch struct {
	h           nats.Header
	id, seq, on []string
}

func newBatch(id string) *batch {
	return &batch{h: make(nats.Header, 12), id: []string{id}, seq: []string{""}, on: []string{"1"}}
}

// header returns what the server needs to know about message n; the keys are the server's.
func (b *batch) header(n int, commit bool) nats.Header {
	clear(b.h)
	b.seq[0] = strconv.Itoa(n)
	b.h["Nats-Batch-Id"], b.h["Nats-Batch-Sequence"] = b.id, b.seq
	if commit {
		b.h["Nats-Batch-Commit"] = b.on
	}
	return b.h
}
