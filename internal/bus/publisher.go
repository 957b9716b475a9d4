package bus

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// How a publisher groups. While one group is in flight the next one gathers. More than one in flight was not faster, and a
// message could overtake another on its subject, for example a timer its cancellation.
const (
	maxBatch      = 1000    // the server's limit
	maxBatchBytes = 4 << 20 // of one group
	closeWait     = 2 * time.Second
)

var errClosed = errors.New("the connection is closed")

type item struct {
	Message
	done func(uint64, error)
}

// publisher is the group commit of one stream.
type publisher struct {
	*Bus
	stream string
	prefix string // of batch ids; unique to this publisher

	// Of the one goroutine that flies.
	batches uint64
	cost    cost

	mu      sync.Mutex
	waiting []item
	flying  bool
	flew    time.Time // when the group in flight was sent
	closing bool
	landed  chan struct{} // closed when closing and nothing flies any more
}

func (b *Bus) publisher(stream string) *publisher {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.publishers[stream]
	if p == nil {
		p = &publisher{
			Bus: b, stream: stream, prefix: nats.NewInbox()[len(nats.InboxPrefix):] + "-",
			cost: newCost(), landed: make(chan struct{}), closing: b.closing,
		}
		if !b.closing {
			b.publishers[stream] = p
		}
	}
	return p
}

func (p *publisher) add(it item) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closing {
		go it.done(0, p.uncertain(errClosed))
		return
	}
	p.waiting = append(p.waiting, it)
	if !p.flying {
		p.flying, p.flew = true, time.Now()
		go p.fly()
	}
}

// fly sends one group after the other until nothing waits.
func (p *publisher) fly() {
	for {
		most, singly := maxBatch, p.cost.tries()
		if singly {
			most = tryWith
		}
		group := p.next(most)
		if group == nil {
			return
		}
		if !singly && p.cost.batchPays(len(group)) {
			p.sendBatch(group)
			continue
		}
		began := time.Now()
		p.sendSingly(group)
		p.cost.singlesTook(len(group), time.Since(began))
	}
}

// next removes and returns the next group; nil if there is none, which ends the flight.
func (p *publisher) next(most int) []item {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.waiting) == 0 {
		p.flying = false
		if p.closing {
			close(p.landed)
		}
		return nil
	}
	n, bytes := 0, 0
	for n < len(p.waiting) && n < most {
		if bytes += p.waiting[n].size(); bytes > maxBatchBytes && n > 0 {
			break
		}
		n++
	}
	p.flew = time.Now()
	group := p.waiting[:n:n]
	p.waiting = p.waiting[n:]
	if len(p.waiting) == 0 {
		p.waiting = nil
	}
	return group
}

// close accepts no more messages, and waits a moment for those in flight.
func (p *publisher) close() {
	p.mu.Lock()
	p.closing = true
	idle := !p.flying || time.Since(p.flew) > closeWait // whoever waited for that has given up
	p.mu.Unlock()
	if idle {
		return
	}
	timeout := time.NewTimer(closeWait)
	defer timeout.Stop()
	select {
	case <-p.landed:
	case <-timeout.C:
	}
}

// sendSingly publishes each message separately, and waits for all answers.
func (p *publisher) sendSingly(group []item) {
	p.count(len(group), len(group))
	var wg sync.WaitGroup
	wg.Add(len(group))
	for i := range group {
		it := &group[i]
		p.send(it.wire(nil), func(a pubAck, err error) {
			it.done(a.Seq, err)
			wg.Done()
		})
	}
	wg.Wait()
}

// sendBatch publishes all messages of a group or none. If the server refuses one, it refuses all; then each is sent
// separately, to get its own verdict.
func (p *publisher) sendBatch(group []item) {
	p.batches++
	b := newBatch(p.prefix + strconv.FormatUint(p.batches, 36))
	began := time.Now()
	last := len(group) - 1
	for i := range last {
		err := p.nc.PublishMsg(group[i].wire(b.header(i+1, false)))
		if errors.Is(err, nats.ErrMaxPayload) { // connected to a server with a smaller limit; the group is never committed
			p.sendSingly(group)
			return
		}
		if err != nil {
			p.fail(group, p.uncertain(err))
			return
		}
	}
	answer := make(chan error, 1)
	var ack pubAck
	p.send(group[last].wire(b.header(last+1, true)), func(a pubAck, err error) {
		ack = a
		answer <- err
	})
	switch err := <-answer; {
	case err == nil:
		p.count(len(group), 1)
		p.cost.batchTook(len(group), time.Since(began))
		for i := range group {
			group[i].done(ack.Seq-uint64(last-i), nil)
		}
	case errors.Is(err, ErrUncertain):
		p.fail(group, err)
	default:
		p.sendSingly(group)
	}
}

func (p *publisher) fail(group []item, err error) {
	for i := range group {
		group[i].done(0, err)
	}
}

// send publishes m and calls done with the server's verdict, or as uncertain after the timeout or when the connection
// is lost.
func (p *publisher) send(m *nats.Msg, done func(pubAck, error)) {
	conn, sent := p.ConnectedAt(), time.Now()
	p.replies.request(m, p.timeout, func(r *nats.Msg, err error) {
		if errors.Is(err, nats.ErrMaxPayload) {
			done(pubAck{}, fmt.Errorf("publish to %s: %w", p.stream, &TooLarge{What: m.Subject, Size: int64(m.Size()), Most: p.MaxPayload()}))
			return
		}
		if err != nil {
			p.wrote(p.stream, sent, conn, err)
			done(pubAck{}, p.uncertain(err))
			return
		}
		ack, err := verdict(p.stream, r)
		p.wrote(p.stream, sent, conn, err)
		if err == nil {
			p.confirmed(p.stream, ack.Seq, conn)
		}
		done(ack, err)
	})
}

func (p *publisher) uncertain(err error) error {
	return fmt.Errorf("publish to %s: %w: %w", p.stream, ErrUncertain, p.away(err))
}
