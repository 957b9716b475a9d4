package bus

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
)

// puller asks one consumer for messages, again and again, and delivers them in order, one at a time.
//
// It is not the client library's own because that takes a message with an empty body and a header "Status" for the
// server's word: any worker could stop a dispatcher with one. What the server says to a pull comes on the inbox itself,
// what it delivers comes on the message's own subject.
type puller struct {
	*Bus
	stream, consumer string
	pull             pull
	deliver          func(*nats.Msg)

	inbox string
	next  string // the subject that pulls go to
	sub   *nats.Subscription
	heard atomic.Int64 // when the server last gave a sign of life, in Unix nanoseconds
	busy  atomic.Bool  // a message is being handled

	mu    sync.Mutex
	asked int    // messages that were asked for and are not handled yet
	pin   string // of the last message

	end   sync.Once
	ended chan struct{} // no more comes: the consumer is gone, or stop was called
}

// pull is what is asked of the server, in its own words.
type pull struct {
	Batch     int           `json:"batch"`
	MaxBytes  int           `json:"max_bytes"`
	Expires   time.Duration `json:"expires"`
	Heartbeat time.Duration `json:"idle_heartbeat"`
	Group     string        `json:"group,omitempty"`
	Pin       string        `json:"id,omitempty"`
}

const (
	pullBytes = 32 << 20               // that one pull may bring
	watchTick = 250 * time.Millisecond // between looks at whether the server is alive
)

func (b *Bus) newPuller(stream, consumer string, p pull, deliver func(*nats.Msg)) (*puller, error) {
	p.MaxBytes = pullBytes
	l := &puller{
		Bus: b, stream: stream, consumer: consumer, pull: p, deliver: deliver, inbox: b.nc.NewInbox(),
		next: b.api("CONSUMER.MSG.NEXT." + stream + "." + consumer), ended: make(chan struct{}),
	}
	sub, err := b.nc.Subscribe(l.inbox, l.take)
	if err != nil {
		return nil, fmt.Errorf("consume %s of stream %s: %w", consumer, stream, err)
	}
	l.sub = sub
	if err := sub.SetPendingLimits(-1, -1); err != nil { // what was asked for has room
		return nil, fmt.Errorf("consume %s of stream %s: %w", consumer, stream, err)
	}
	l.askAnew()
	go l.watch(b.nc.StatusChanged(nats.CONNECTED, nats.CLOSED))
	return l, nil
}

// stop takes no more. What is on its way is still delivered, for at most a moment.
func (l *puller) stop() {
	l.finish()
	if !l.sub.IsValid() {
		return
	}
	if !l.nc.IsConnected() {
		_ = l.sub.Unsubscribe()
		return
	}
	drained := make(chan struct{})
	l.sub.SetClosedHandler(func(string) { close(drained) })
	if l.sub.Drain() != nil {
		return
	}
	timeout := time.NewTimer(closeWait)
	defer timeout.Stop()
	select {
	case <-drained:
	case <-timeout.C:
		_ = l.sub.Unsubscribe()
	}
}

func (l *puller) finish() { l.end.Do(func() { close(l.ended) }) }

func (l *puller) take(m *nats.Msg) {
	if m.Subject == l.inbox {
		l.told(m)
		l.heard.Store(time.Now().UnixNano())
		return
	}
	l.busy.Store(true)
	if pin := serverSays(m.Header, "Nats-Pin-Id"); pin != "" {
		l.setPin(pin)
	}
	l.deliver(m)
	l.handled(1)
	l.heard.Store(time.Now().UnixNano())
	l.busy.Store(false)
}

// told reads what the server says about a pull.
func (l *puller) told(m *nats.Msg) {
	switch status, text := m.Header.Get("Status"), m.Header.Get("Description"); {
	case status == "100": // it is alive
	case status == "408", strings.HasPrefix(text, "Batch Completed"), strings.HasPrefix(text, "Message Size Exceeds"):
		l.handled(notDelivered(m))
	case status == "423": // the pin has gone to somebody else
		l.setPin("")
		l.handled(notDelivered(m))
	case status == "409" && strings.HasPrefix(text, "Leadership Change"):
		l.forget()
	case status == "409" && strings.HasPrefix(text, "Server Shutdown"): // asked again when there is another
	default:
		l.log.Debug("a pull was refused", "stream", l.stream, "consumer", l.consumer, "status", status, "text", text)
		l.gone()
	}
}

// gone ends the pulling. Whoever began it looks whether the consumer is there, and begins anew.
func (l *puller) gone() {
	l.finish()
	_ = l.sub.Unsubscribe()
}

// notDelivered is how many messages of its pull the server will not send.
func notDelivered(m *nats.Msg) int {
	n, _ := strconv.Atoi(m.Header.Get("Nats-Pending-Messages"))
	return n
}

func (l *puller) lastPin() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.pin
}

func (l *puller) setPin(pin string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pin = pin
}

// handled counts messages that no longer wait to be handled, and asks for more once half of them are.
func (l *puller) handled(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked = max(0, l.asked-n)
	if l.asked <= l.pull.Batch/2 {
		l.ask()
	}
}

// forget takes all pulls for lost; the next look asks anew. Asking at once would hit a server that is just changing.
func (l *puller) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked = 0
}

// askAnew asks as if nothing had been asked before.
func (l *puller) askAnew() {
	waiting, _, _ := l.sub.Pending()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked = max(0, waiting)
	l.ask()
}

// ask fills up what is asked for. The lock is held.
func (l *puller) ask() {
	select {
	case <-l.ended:
		return
	default:
	}
	p := l.pull
	p.Batch, p.Pin = l.pull.Batch-l.asked, l.pin
	if p.Batch <= 0 {
		return
	}
	body, err := json.Marshal(p)
	if err != nil {
		panic(fmt.Sprintf("bus: a pull cannot be encoded: %v", err))
	}
	if err := l.nc.PublishRequest(l.next, l.inbox, body); err != nil {
		return // not connected: asked anew when it is
	}
	l.asked = l.pull.Batch
}

// watch asks anew when the connection was lost and made again, and when the server is silent: it then knows of no pull.
func (l *puller) watch(status chan nats.Status) {
	defer l.nc.RemoveStatusListener(status)
	tick := time.NewTicker(watchTick)
	defer tick.Stop()
	l.heard.Store(time.Now().UnixNano())
	for {
		select {
		case <-l.ended:
			return
		case s := <-status:
			if s == nats.CLOSED {
				l.gone()
				return
			}
			l.renew()
		case <-tick.C:
			if l.silent() {
				l.renew()
			}
		}
	}
}

func (l *puller) renew() {
	l.heard.Store(time.Now().UnixNano())
	l.askAnew()
}

func (l *puller) silent() bool {
	if l.busy.Load() || !l.nc.IsConnected() {
		return false
	}
	l.mu.Lock()
	asked := l.asked
	l.mu.Unlock()
	return asked == 0 || time.Since(time.Unix(0, l.heard.Load())) > 2*l.pull.Heartbeat+watchTick
}
