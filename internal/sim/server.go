package sim

import (
	"slices"
	"time"

	"belay/internal/steps"
)

// hop is how long a message is on its way.
func (p *play) hop() time.Duration {
	if p.Hop != nil {
		return p.Hop()
	}
	return time.Millisecond
}

// loseQueue is a server that was restarted: the queue is empty, and dispatchers look what is missing.
func (p *play) loseQueue() {
	p.say("server", "loses its queue")
	p.queuesLost++
	clear(p.queue)
	if p.d.up {
		p.d.up = p.d.frozen.still // one that stands still does not know, and another one does it
		p.startDispatcher()
		p.in(time.Second, p.wake)
	}
}

// append stores an event. It returns false for what must be the first of its kind and is not.
func (p *play) append(e steps.Event) bool {
	switch e := e.(type) {
	case steps.Claimed:
		name := steps.AttemptName(Run, e.Attempt)
		if p.claims[name] && p.Broken != NoFence {
			return false
		}
	case steps.Closed:
		if p.closed {
			return false
		}
		p.closed = true
	}
	p.store(e)
	return true
}

// store stores an event without a condition.
func (p *play) store(e steps.Event) {
	if s, is := e.(steps.Succeeded); is && s.Step == p.CancelWith {
		p.cancel()
	}
	if c, is := e.(steps.Claimed); is {
		p.claims[steps.AttemptName(Run, c.Attempt)] = true
	}
	rec := steps.Record{Seq: uint64(len(p.Log) + 1), Time: p.now, Run: Run, Event: e}
	p.Log = append(p.Log, rec)
	p.truth, _ = steps.Apply(p.truth, rec)
	p.say("log", "%s", Sentence(e))
	p.cancelAnswered()
	p.in(p.hop(), p.wake)
	p.sync()
}

// cancel has somebody cancel the run with the result of a unit: in the moment before it, so that the run is not over then.
func (p *play) cancel() {
	p.CancelWith, p.Cancelled = "", p.Published
	p.store(steps.Cancelled{By: "ann"})
}

// cancelAnswered cancels the run right after a person has given the result.
func (p *play) cancelAnswered() {
	if i := p.truth.Unit(p.CancelWith); i >= 0 && p.truth.Units[i].State() == steps.StepSucceeded && !p.truth.Status().Ended() {
		p.cancel()
	}
}

// claimsOf counts the claims of an attempt in the log.
func (p *play) claimsOf(a steps.Attempt) (n int) {
	for _, rec := range p.Log {
		if c, is := rec.Event.(steps.Claimed); is && c.Attempt == a {
			n++
		}
	}
	return n
}

// item is a message in the queue.
type item struct {
	m          steps.StepMessage
	requeued   bool
	deliveries int
	unbegun    bool  // its last delivery was handed back by a worker that had not begun it
	holder     *hand // who has it in hand; nil: nobody
}

func (p *play) enqueue(m steps.StepMessage, requeued bool) {
	name := steps.AttemptName(m.Run, m.Attempt)
	if p.queue[name] != nil {
		return
	}
	it := &item{m: m, requeued: requeued}
	p.queue[name] = it
	p.at(later(p.now.Add(p.hop()), m.NotBefore.Add(-p.earliest())), func() { p.offer(it) })
}

// earliest is how long before its time a worker may take a message for due: where clocks differ, each looks for itself.
func (p *play) earliest() time.Duration {
	if p.Ahead == nil {
		return 0
	}
	return 3 * time.Minute
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func (p *play) there(it *item) bool {
	return p.queue[steps.AttemptName(it.m.Run, it.m.Attempt)] == it
}

// remove acknowledges or purges a message.
func (p *play) remove(m steps.StepMessage) { delete(p.queue, steps.AttemptName(m.Run, m.Attempt)) }

// queued lists the attempts that are in the queue.
func (p *play) queued() []steps.Attempt {
	var all []steps.Attempt
	for _, it := range p.queue {
		all = append(all, it.m.Attempt)
	}
	return all
}

// offer delivers a message that nobody has in hand, if a worker serves it.
func (p *play) offer(it *item) {
	if !p.there(it) || it.holder != nil {
		return
	}
	if !p.served(it.m) {
		p.waitServed(it)
		return
	}
	p.deliver(it)
}

func (p *play) served(m steps.StepMessage) bool {
	if p.gone[m.Tool+"/"+m.RungName] {
		return false
	}
	return p.Serves == nil || p.Serves(m)
}

func (p *play) deliver(it *item) {
	it.deliveries++
	h := p.newHand(it)
	it.unbegun, it.holder = false, h
	p.in(p.hop(), h.arrive)
}

// silent delivers a message once more, an ack wait after its worker fell silent.
func (p *play) silent(h *hand) {
	p.in(p.AckWait, func() {
		if h.it.holder == h && p.there(h.it) {
			h.it.holder = nil
			p.say("server", "delivers %s again: its worker has been silent for %s", short(h.it.m.Attempt), p.AckWait)
			p.offer(h.it)
		}
	})
}

// handBack returns a message to the queue for a while.
func (p *play) handBack(h *hand, pause time.Duration, unbegun bool) {
	if h.it.holder == h {
		h.it.holder, h.it.unbegun = nil, unbegun
		p.in(pause+p.hop(), func() { p.offer(h.it) })
	}
	h.done = true
}

func (p *play) handsOf(a steps.Attempt) []*hand {
	return slices.DeleteFunc(slices.Clone(p.hands), func(h *hand) bool { return h.done || h.m.Attempt != a })
}
