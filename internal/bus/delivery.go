package bus

import (
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Entry is a stored message.
type Entry struct {
	Seq     uint64
	Time    time.Time // the stream's own timestamp
	Subject string
	Header  map[string][]string // as whoever published it wrote them
	Data    []byte
}

// Delivery is a message handed to a consumer. It stays the consumer's until it is acknowledged, parked, or its ack wait
// passes.
type Delivery struct {
	Entry
	Count uint64 // how often it was delivered; starts again at 1 when the server was killed
	Pin   string // the pin under which it came, on pinned consumers
	msg   jetstream.Msg
}

// Ack says that everything the message caused is stored. The word travels without an answer: if it is lost the message
// comes again.
func (d Delivery) Ack() error { return d.msg.Ack() }

// Park hands the message back, to come again after a pause. A pause of zero means at once.
func (d Delivery) Park(pause time.Duration) error {
	if pause <= 0 {
		return d.msg.Nak()
	}
	return d.msg.NakWithDelay(pause)
}

// InProgress keeps the message for another ack wait.
func (d Delivery) InProgress() error { return d.msg.InProgress() }

func delivery(m jetstream.Msg) (Delivery, bool) {
	meta, err := m.Metadata()
	if err != nil {
		return Delivery{}, false
	}
	return Delivery{
		Entry: Entry{Seq: meta.Sequence.Stream, Time: meta.Timestamp, Subject: m.Subject(), Header: m.Headers(), Data: m.Data()},
		Count: meta.NumDelivered, Pin: serverSays(m.Headers(), "Nats-Pin-Id"), msg: m,
	}, true
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
