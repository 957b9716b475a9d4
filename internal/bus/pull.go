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
	"github.com/nats-io/nats.go/jetstream"
)

// puller pulls messages from one consumer, continuously, and delivers them in order, one at a time.
//
// It does not use the client library's implementation, which mistakes a message with an empty body and a header "Status"
// for a status of the server: any worker could stop a dispatcher with one. Here, only what arrives on the inbox itself is a
// status; a message arrives on its own subject.
type puller struct {
	*Bus
	stream, consumer string
	pull             pull
	deliver          func(*nats.Msg)

	inbox string
	next  string // the subject that pulls go to
	info  string // the subject that its leader answers on
	sub   *nats.Subscription
	heard atomic.Int64  // when the server was last heard of, in Unix nanoseconds
	busy  atomic.Bool   // a message is being handled
	lost  atomic.Bool   // the server was silent, and has not been heard of since
	leads chan struct{} // it has a leader again

	mu    sync.Mutex
	asked int    // messages that were asked for and have not been handled yet
	pin   string // of the last message

	end   sync.Once
	ended chan struct{} // closed when no more messages arrive: the consumer is gone, or stop was called
}

// pull is a pull request, with the server's names.
type pull struct {
	Batch     int           `json:"batch"`
	MaxBytes  int           `json:"max_bytes"`
	Expires   time.Duration `json:"expires"`
	Heartbeat time.Duration `json:"idle_heartbeat"`
	Group     string        `json:"group,omitempty"`
	Pin       string        `json:"id,omitempty"`

	once   bool    // a lost message is not redelivered: end when the connection was lost, so that a new consumer delivers it
	demand *Demand // in place of Batch
}

// batch is how many messages may be asked for and not handled yet.
func (p pull) batch() int {
	if p.demand == nil {
		return p.Batch
	}
	return p.demand.now()
}

// refill is how few of these are left when more are asked for.
func (p pull) refill() int {
	if p.demand == nil {
		return p.Batch / 2
	}
	return p.demand.now() - 1
}

const (
	pullBytes = 32 << 20               // for one pull
	watchTick = 250 * time.Millisecond // between checks that the server is alive
)

func (b *Bus) newPuller(stream, consumer string, p pull, deliver func(*nats.Msg)) (*puller, error) {
	p.MaxBytes = pullBytes
	l := &puller{
		Bus: b, stream: stream, consumer: consumer, pull: p, deliver: deliver, inbox: b.nc.NewInbox(),
		next: b.api("CONSUMER.MSG.NEXT." + stream + "." + consumer), info: b.api("CONSUMER.INFO." + stream + "." + consumer), leads: make(chan struct{}, 1), ended: make(chan struct{}),
	}
	sub, err := b.nc.Subscribe(l.inbox, l.receive)
	if err != nil {
		return nil, fmt.Errorf("consume %s of stream %s: %w", consumer, stream, err)
	}
	l.sub = sub
	if err := sub.SetPendingLimits(-1, -1); err != nil { // never drop messages
		return nil, fmt.Errorf("consume %s of stream %s: %w", consumer, stream, err)
	}
	l.askAnew()
	go l.watch(b.nc.StatusChanged(nats.CONNECTED, nats.CLOSED))
	return l, nil
}

// stop asks for no more messages. Those in flight are still delivered, for at most a moment.
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

func (l *puller) receive(m *nats.Msg) {
	if m.Subject == l.inbox && m.Header.Get("Status") == "" {
		l.found(m)
		return
	}
	l.lost.Store(false)
	if m.Subject == l.inbox {
		l.status(m)
		l.heard.Store(uptime())
		return
	}
	l.busy.Store(true)
	if pin := serverSays(m.Header, "Nats-Pin-Id"); pin != "" {
		l.setPin(pin)
	}
	l.deliver(m)
	l.handled(1)
	l.heard.Store(uptime())
	l.busy.Store(false)
}

// status reads what the server says about a pull.
func (l *puller) status(m *nats.Msg) {
	switch status, text := m.Header.Get("Status"), m.Header.Get("Description"); {
	case status == "100": // it is alive
	case status == "408", strings.HasPrefix(text, "Batch Completed"), strings.HasPrefix(text, "Message Size Exceeds"):
		l.handled(notDelivered(m))
	case status == "423": // another consumer has the pin now
		l.setPin("")
		l.handled(notDelivered(m))
	case status == "409" && strings.HasPrefix(text, "Leadership Change"):
		l.forget()
	case status == "409" && strings.HasPrefix(text, "Server Shutdown"): // the next server is asked again
	default:
		l.logger.Debug("a pull was refused", "stream", l.stream, "consumer", l.consumer, "status", status, "text", text)
		l.gone()
	}
}

// gone ends the pulling. Its caller then checks that the consumer exists, and starts again.
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

// outstanding returns how many messages are asked for.
func (l *puller) outstanding() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.asked
}

// handled counts handled messages, and asks for more once half of them are.
func (l *puller) handled(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked = max(0, l.asked-n)
	if l.asked <= l.pull.refill() {
		l.ask()
	}
}

// forget treats all pulls as lost; the next check pulls again. Pulling at once would reach a server that is just changing.
func (l *puller) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked = 0
}

// askAnew pulls as if nothing had been asked for before.
func (l *puller) askAnew() {
	waiting, _, _ := l.sub.Pending()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked = max(0, waiting)
	l.ask()
}

// ask pulls as many messages as are missing. The lock is held.
func (l *puller) ask() {
	select {
	case <-l.ended:
		return
	default:
	}
	p := l.pull
	wanted := l.pull.batch()
	p.Batch, p.Pin = wanted-l.asked, l.pin
	if p.Batch <= 0 {
		return
	}
	body, err := json.Marshal(p)
	if err != nil {
		panic(fmt.Sprintf("bus: a pull cannot be encoded: %v", err))
	}
	if err := l.nc.PublishRequest(l.next, l.inbox, body); err != nil {
		return // not connected: watch pulls again later
	}
	l.asked = wanted
}

// more pulls if the demand has risen.
func (l *puller) more() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ask()
}

// watch pulls again after a reconnect, and when the server is silent, because then it does not know of any pull.
func (l *puller) watch(status chan nats.Status) {
	defer l.nc.RemoveStatusListener(status)
	tick := time.NewTicker(watchTick)
	defer tick.Stop()
	l.heard.Store(uptime())
	for {
		select {
		case <-l.ended:
			return
		case s := <-status:
			if s == nats.CLOSED {
				l.gone()
				return
			}
			if l.pull.once {
				l.finish()
				return
			}
			l.renew()
		case <-l.pull.demand.raised():
			l.more()
		case <-l.leads:
			l.renew()
		case <-tick.C:
			l.look()
		}
	}
}

// look pulls again where the server has been silent for too long. Who has taken over from the server that knew of the pulls may be
// chosen much later: it is asked for often, since a question costs nothing and each pull may bring another batch.
func (l *puller) look() {
	if l.silent() {
		l.lost.Store(true)
		l.renew()
	} else if l.lost.Load() {
		_ = l.nc.PublishRequest(l.info, l.inbox, nil)
	}
}

// found reads the answer of who leads the consumer now.
func (l *puller) found(m *nats.Msg) {
	var answer struct {
		Error *jetstream.APIError `json:"error"`
	}
	switch err := json.Unmarshal(m.Data, &answer); {
	case err != nil, !l.lost.Load():
	case answer.Error == nil:
		l.lost.Store(false)
		select {
		case l.leads <- struct{}{}:
		default:
		}
	case answer.Error.ErrorCode == jetstream.JSErrCodeConsumerNotFound:
		l.gone()
	}
}

func (l *puller) renew() {
	l.heard.Store(uptime())
	l.askAnew()
}

func (l *puller) silent() bool {
	if l.busy.Load() || !l.nc.IsConnected() {
		return false
	}
	l.mu.Lock()
	asked := l.asked
	l.mu.Unlock()
	return asked == 0 || time.Duration(uptime()-l.heard.Load()) > 2*l.pull.Heartbeat+watchTick
}
