package bus

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
)

// Entry is a stored message.
type Entry struct {
	Seq     uint64              // in its stream, from 1
	Time    time.Time           // the stream's timestamp
	Subject string              // the full subject; [wire.Names] parses it
	Header  map[string][]string // as published; the server may have added some
	Data    []byte              // the body, at most max_payload bytes
}

// IsFirst reports whether the entry is certainly the first on its subject: the server stored it on the condition that there
// was none.
func (e Entry) IsFirst() bool {
	v := e.Header[headerExpected]
	return len(v) == 1 && v[0] == "0"
}

// Delivery is a message that a consumer has in hand, until it is acknowledged or parked, or its ack wait passes. Acks and
// parks have no answer: if one is lost, the message is redelivered. So acknowledge only after everything that the message
// caused is stored.
type Delivery struct {
	Entry
	Count uint64 // how often it was delivered, from 1; starts again when the server was killed
	Pin   string // the pin that it was delivered to, on pinned consumers
	msg   *nats.Msg

	nc     *nats.Conn // set if the message is lost with its server
	server string     // the server process that delivered it
}

// ErrGone is returned for a message that was lost with its server: it cannot be acknowledged any more.
var ErrGone = errors.New("the server was restarted, and the step queue with it")

// bound ties the delivery to the server process that it came from.
func (d *Delivery) bound(nc *nats.Conn) { d.nc, d.server = nc, nc.ConnectedServerId() }

// Ack acknowledges the message: everything that it caused is stored.
func (d Delivery) Ack() error { return d.say("acknowledge", "+ACK") }

// Park hands the message back, to be redelivered after a pause; 0 means at once.
func (d Delivery) Park(pause time.Duration) error {
	if pause <= 0 {
		return d.say("hand back", "-NAK")
	}
	return d.say("park", `-NAK {"delay":`+strconv.FormatInt(int64(pause), 10)+`}`)
}

// InProgress keeps the message for another ack wait.
func (d Delivery) InProgress() error { return d.say("keep", "+WPI") }

func (d Delivery) say(what, word string) error {
	if d.nc != nil && d.nc.ConnectedServerId() != d.server {
		return fmt.Errorf("%s message %d on %s: %w", what, d.Seq, d.Subject, ErrGone)
	}
	if err := d.msg.Respond([]byte(word)); err != nil {
		return fmt.Errorf("%s message %d on %s: %w", what, d.Seq, d.Subject, err)
	}
	return nil
}

func delivery(m *nats.Msg) (Delivery, error) {
	meta, err := m.Metadata()
	if err != nil {
		return Delivery{}, fmt.Errorf("message on %s: %w", m.Subject, err)
	}
	return Delivery{
		Entry: Entry{Seq: meta.Sequence.Stream, Time: meta.Timestamp, Subject: m.Subject, Header: m.Header, Data: m.Data},
		Count: meta.NumDelivered, Pin: serverSays(m.Header, "Nats-Pin-Id"), msg: m,
	}, nil
}

// serverSays returns a header that the server added to a message. The publisher may have used the same key, and the server
// appends: only the last value is the server's.
func serverSays(h map[string][]string, key string) string {
	v := h[key]
	if len(v) == 0 {
		return ""
	}
	return v[len(v)-1]
}
