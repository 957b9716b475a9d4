package bus

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
)

// Message is something to be stored.
type Message struct {
	Subject string
	Header  map[string][]string
	Data    []byte
	Expect  *uint64 // last sequence expected on this subject; 0 = there must be none; nil = whatever
}

// How a publisher groups. A batch is synced to disk once, so while some are on their way the next one gathers. But a
// batch has its own price whatever its size, so small groups go as single messages; where the line is depends on the
// disk and is measured as it goes.
const (
	maxBatch      = 1000    // the server's limit
	maxBatchBytes = 4 << 20 // of one batch
	lanes         = 2       // groups on their way at once

	smallGroup = 100 // messages that may go singly for the sake of measuring

	guessBatch  = 2 * time.Millisecond   // a batch, before one was measured
	guessSingle = 200 * time.Microsecond // a single message among others
)

// Publish stores m in stream. It returns at once; done is called exactly once, from another goroutine, and must not
// block. The error is one of the four of this package, or a refusal for good.
func (b *Bus) Publish(stream string, m Message, done func(seq uint64, err error)) {
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

type item struct {
	Message
	done func(uint64, error)
}

func (it *item) size() int { return len(it.Data) + len(it.Subject) + 256 }

// publisher is the group commit of one stream.
type publisher struct {
	*Bus
	stream string

	mu      sync.Mutex
	waiting []item
	flying  int // groups on their way
	groups  int // taken so far
	id      string
	ids     atomic.Uint64
	// What a batch and a single message of a group take, as moving averages.
	batchCost, singleCost time.Duration
}

func (b *Bus) publisher(stream string) *publisher {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.publishers[stream]
	if p == nil {
		p = &publisher{
			Bus: b, stream: stream, id: nats.NewInbox()[len(nats.InboxPrefix):],
			batchCost: guessBatch, singleCost: guessSingle,
		}
		b.publishers[stream] = p
	}
	return p
}

func (p *publisher) add(it item) {
	p.mu.Lock()
	p.waiting = append(p.waiting, it)
	start := p.flying < lanes
	if start {
		p.flying++
	}
	p.mu.Unlock()
	if start {
		go p.fly()
	}
}

// fly sends one group after the other until nothing waits.
func (p *publisher) fly() {
	for {
		group := p.next()
		if group == nil {
			return
		}
		began := time.Now()
		if p.pays(len(group)) {
			p.sendBatch(group)
			p.learn(&p.batchCost, time.Since(began))
			continue
		}
		p.sendSingly(group)
		p.learn(&p.singleCost, time.Since(began)/time.Duration(len(group)))
	}
}

// pays says whether n messages are stored sooner as a batch.
func (p *publisher) pays(n int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n <= smallGroup && p.groups%64 == 1 {
		return false // now and then the other way is tried, or its price would never be known
	}
	return n > 1 && time.Duration(n)*p.singleCost > p.batchCost
}

// learn moves an average towards what was measured. It also lets the other one sink back towards its guess, so that a
// choice made in a bad moment is tried again.
func (p *publisher) learn(cost *time.Duration, measured time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	*cost += (measured - *cost) / 8
	if cost == &p.batchCost {
		p.singleCost += (min(guessSingle, p.singleCost) - p.singleCost) / 64
		return
	}
	p.batchCost += (min(guessBatch, p.batchCost) - p.batchCost) / 64
}

// next takes the next group, nil when there is none and the lane ends.
func (p *publisher) next() []item {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.waiting) == 0 {
		p.flying--
		return nil
	}
	n, bytes := 0, 0
	for n < len(p.waiting) && n < maxBatch && (n == 0 || bytes+p.waiting[n].size() <= maxBatchBytes) {
		bytes += p.waiting[n].size()
		n++
	}
	group := p.waiting[:n:n]
	p.waiting = p.waiting[n:]
	if len(p.waiting) == 0 {
		p.waiting = nil
	}
	p.groups++
	return group
}

// stop waits a moment for what is on its way.
func (p *publisher) stop() {
	for end := time.Now().Add(time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		p.mu.Lock()
		idle := p.flying == 0
		p.mu.Unlock()
		if idle {
			return
		}
	}
}

// sendSingly publishes every message by itself and waits for all answers.
func (p *publisher) sendSingly(group []item) {
	var wg sync.WaitGroup
	for i := range group {
		it := &group[i]
		wg.Add(1)
		p.send(it.message(nil), func(a pubAck, err error) {
			it.done(a.Seq, err)
			wg.Done()
		})
	}
	wg.Wait()
}

// sendBatch publishes all messages of a group or none. If the server refuses one it refuses all; then each is sent by
// itself, for a verdict of its own.
func (p *publisher) sendBatch(group []item) {
	id := p.id + "-" + strconv.FormatUint(p.ids.Add(1), 36)
	last := len(group) - 1
	for i := range last {
		m := group[i].message(batchHeader(id, i+1, false))
		if err := p.nc.PublishMsg(m); err != nil {
			p.fail(group, fmt.Errorf("publish to %s: %w: %w", p.stream, ErrUncertain, err))
			return
		}
	}
	answer := make(chan error, 1)
	var ack pubAck
	p.send(group[last].message(batchHeader(id, last+1, true)), func(a pubAck, err error) {
		ack = a
		answer <- err
	})
	switch err := <-answer; {
	case err == nil:
		for i := range group {
			group[i].done(ack.Seq-uint64(last-i), nil)
		}
	case isUncertain(err):
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

// batchHeader is what the server needs to know of a message in a batch; the keys are the server's own spelling.
func batchHeader(id string, n int, commit bool) nats.Header {
	h := nats.Header{"Nats-Batch-Id": {id}, "Nats-Batch-Sequence": {strconv.Itoa(n)}}
	if commit {
		h["Nats-Batch-Commit"] = []string{"1"}
	}
	return h
}

func (it *item) message(h nats.Header) *nats.Msg {
	if h == nil {
		h = make(nats.Header, len(it.Header)+1)
	}
	for k, v := range it.Header {
		h[k] = v
	}
	if it.Expect != nil {
		h["Nats-Expected-Last-Subject-Sequence"] = []string{strconv.FormatUint(*it.Expect, 10)}
	}
	return &nats.Msg{Subject: it.Subject, Header: h, Data: it.Data}
}

// send publishes m and calls done with the server's verdict, or as uncertain after the timeout or when the connection
// is lost.
func (p *publisher) send(m *nats.Msg, done func(pubAck, error)) {
	p.replies.request(m, p.timeout, func(r *nats.Msg, err error) {
		if err != nil {
			done(pubAck{}, fmt.Errorf("publish to %s: %w: %w", p.stream, ErrUncertain, err))
			return
		}
		done(verdict(p.stream, r))
	})
}
