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
	Seq     uint64
	Time    time.Time // the stream's own timestamp
	Subject string
	Header  map[string][]string // as whoever published it wrote them; the server may have added some
	Data    []byte
}

// Delivery is a message handed to a consumer. It stays the consumer's until it is acknowledged, parked, or its ack wait
// passes. What is said of it travels without an answer: a word that is lost means that the message comes again.
type Delivery struct {
	Entry
	Count uint64 // how often it was delivered; starts again at 1 when the server was killed
	Pin   string // the pin under which it came, on pinned consumers
	msg   *nats.Msg

	nc     *nats.Conn // set when the message goes with its server
	server string     // the server process that it came from
}

// ErrGone says that a message went with the server that it came from: nothing can be said of it any more.
var ErrGone = errors.New("the server was restarted, and the step queue with it")

// bound ties the delivery to the server process that it came from.
func (d *Delivery) bound(nc *nats.Conn) { d.nc, d.server = nc, nc.ConnectedServerId() }

// Ack says that everything the message caused is stored.
func (d Delivery) Ack() error { return d.say("acknowledge", "+ACK") }

// Park hands the message back, to come again after a pause. A pause of zero means at once.
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

// serverSays is a header that the server put on a message. It puts its own after those of the publisher, who may have
// written the same key: only the last value is the server's.
func serverSays(h map[string][]string, key string) string {
	v := h[key]
	if len(v) == 0 {
		return ""
	}
	return v[len(v)-1]
}
