package remote

import (
	"context"
	"slices"
	"time"

	"belay/internal/executor"
	"belay/internal/steps"
)

// poll is a program that waits for work.
type poll struct {
	hub    *Hub
	rungs  []*rung // that it would execute
	client string  // its name for itself, for people
	answer chan *lease

	// Under the hub's lock.
	left bool // it is not waiting any more
}

// enter makes a program wait.
func (h *Hub) enter(rungs []*rung, client string) (*poll, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	select {
	case <-h.draining:
		return nil, errDraining
	default:
	}
	if h.waiting >= maxWaiting {
		return nil, errFull
	}
	h.waiting++
	p := &poll{hub: h, rungs: rungs, client: client, answer: make(chan *lease, 1)}
	p.enterQueues(false)
	return p, nil
}

// Poll waits until there is an attempt for one of the rungs; nil if there is none in time.
func (h *Hub) poll(ctx context.Context, rungs []*rung, client string, wait time.Duration) (*lease, error) {
	p, err := h.enter(rungs, client)
	if err != nil {
		return nil, err
	}
	timeout := time.NewTimer(wait)
	defer timeout.Stop()
	select {
	case l := <-p.answer:
		return p.take(ctx, l), nil
	case <-timeout.C:
	case <-ctx.Done():
	case <-h.draining:
		err = errDraining
	}
	if l := p.leave(); l != nil {
		return p.take(ctx, l), nil
	}
	return nil, err
}

// take returns the lease that a program got, unless the program is gone: then nothing has begun.
func (p *poll) take(ctx context.Context, l *lease) *lease {
	if ctx.Err() == nil {
		return l
	}
	l.over("the program was gone before it got the call", steps.Fault{
		Class: steps.Connection, Acted: steps.ActedNo, Message: "the program that polled for it was gone before it got the call",
	})
	return nil
}

// leave ends the wait, unless an attempt arrived just now.
func (p *poll) leave() *lease {
	p.hub.mu.Lock()
	defer p.hub.mu.Unlock()
	select {
	case l := <-p.answer:
		return l
	default:
	}
	p.gone()
	p.leaveQueues()
	return nil
}

// gone ends the wait. The lock is held.
func (p *poll) gone() {
	p.left = true
	p.hub.waiting--
}

// enterQueues adds the poll to the queues of all its rungs; first puts it in front, if it had been waiting. The lock is held.
func (p *poll) enterQueues(first bool) {
	for _, r := range p.rungs {
		at := len(r.waiting)
		if first {
			at = 0
		}
		r.waiting = slices.Insert(r.waiting, at, p)
		r.changed()
	}
}

// leaveQueues removes it from them. The lock is held.
func (p *poll) leaveQueues() {
	for _, r := range p.rungs {
		if i := slices.Index(r.waiting, p); i >= 0 {
			r.waiting = slices.Delete(r.waiting, i, i+1)
			r.changed()
		}
	}
}

// seat is a poll that is reserved for one attempt.
type seat struct {
	rung  *rung
	poll  *poll  // nil once it is used or released
	lease *lease // of the executing attempt
}

// Prompt implements [executor.Prompt].
func (s *seat) Prompt() {}

// Waits implements [executor.Seat].
func (s *seat) Waits() bool {
	s.rung.hub.mu.Lock()
	defer s.rung.hub.mu.Unlock()
	return s.waits()
}

func (s *seat) waits() bool { return s.poll != nil && !s.poll.left }

// Leave implements [executor.Seat].
func (s *seat) Leave(stored bool) {
	s.rung.hub.mu.Lock()
	defer s.rung.hub.mu.Unlock()
	if s.waits() {
		s.poll.enterQueues(true)
	}
	s.poll = nil
	if s.lease != nil {
		s.lease.settle(stored)
	}
}

// Execute gives the attempt to the program, and waits for its report. If that program is not waiting any more, it uses
// another one that is.
func (s *seat) Execute(ctx context.Context, req executor.Request) (executor.Result, error) {
	if ctx.Err() != nil {
		return executor.Result{}, executor.Stopped(ctx, steps.ActedNo)
	}
	l := s.grant(ctx, req)
	if l == nil {
		return executor.Result{}, steps.Fault{
			Class: steps.Unavailable, Acted: steps.ActedNo, Message: "no program is waiting for calls of " + s.rung.name() + " any more",
		}
	}
	return l.await(ctx)
}

func (s *seat) grant(ctx context.Context, req executor.Request) *lease {
	h := s.rung.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if !s.waits() {
		if s.poll = s.rung.next(); s.poll == nil {
			return nil
		}
	}
	p := s.poll
	s.poll = nil
	s.lease = h.lease(s.rung, p, ctx, req)
	p.gone()
	p.answer <- s.lease
	return s.lease
}
