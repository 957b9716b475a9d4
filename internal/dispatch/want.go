package dispatch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"belay/internal/bus"
	"belay/internal/dlq"
	"belay/internal/runlog"
	"belay/internal/steps"
	"belay/internal/wire"
)

// ensure publishes what a run wants because of the touched units (nil = all) and does not yet have, and lets the
// receipt wait for it.
func (p *partition) ensure(r *run, touched []int, rc *receipt) {
	s := r.fold.State
	w, err := wants(s, touched)
	if err != nil {
		p.troubled(r, rc, err)
		return
	}
	if s.Closed() {
		p.closed(r, rc)
		return
	}
	if err := p.publishAll(r, rc, &w); err != nil {
		p.troubled(r, rc, err)
		return
	}
	p.arm(r, w.Timer)
	if w.Result != nil {
		p.end(r, rc, *w.Result)
	}
	if rc.left == 0 {
		p.finish(rc)
	}
}

// end publishes the run's result, as soon as nothing else of the run is on its way.
func (p *partition) end(r *run, rc *receipt, c steps.Closed) {
	if r.knows(result, "") {
		return
	}
	r.note(result, "")
	rc.left++
	r.result = &heldResult{c, rc}
	if r.out == 0 {
		p.quiet(r)
	}
}

// wants keeps a bug in the core from taking down every other run with this one.
func wants(s *steps.State, touched []int) (w steps.WantList, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("working out what the run wants panicked: %v", p)
		}
	}()
	return steps.Wants(s, touched), nil
}

func (p *partition) publishAll(r *run, rc *receipt, w *steps.WantList) error {
	for i := range w.Steps {
		if err := p.publishStep(r, rc, &w.Steps[i]); err != nil {
			return err
		}
	}
	if err := p.withdrawAll(r, rc, w.Withdraw); err != nil {
		return err
	}
	for i := range w.Gone {
		p.purgeStep(r, rc, &w.Gone[i])
	}
	for i := range w.Stop {
		p.tellStop(&w.Stop[i])
	}
	for _, n := range w.Escalations {
		p.putLetter(r, rc, dlq.Letter{EscalationView: steps.ViewEscalation(r.fold.State, n)})
	}
	for _, n := range w.Settled {
		p.removeLetter(r, rc, steps.ViewEscalation(r.fold.State, n))
	}
	return nil
}

// publishStep queues an attempt, unless it was queued before.
func (p *partition) publishStep(r *run, rc *receipt, m *steps.StepMessage) error {
	if r.hasSent(m.Attempt) {
		return nil
	}
	if r.sent == nil {
		r.sent = make(map[string]*sent, 1)
	}
	r.sent[m.Step] = &sent{m.Attempt, time.Now()}
	p.routes.add(route{m.Tool, m.RungName})
	if _, there := r.queued[m.Attempt]; there {
		return nil
	}
	p.expect(rc)
	attempt := m.Attempt
	p.Bus.Publish(p.names.StepsStream(), bus.Message{
		Subject: p.names.Step(m.Tool, m.RungName, m.Run, m.Attempt), Header: stepHeader(r, m, rc.again), Data: wire.EncodeStep(*m),
	}, func(_ uint64, err error) {
		switch {
		case errors.Is(err, bus.ErrQueued):
			err = nil
		case errors.Is(err, bus.ErrTooLarge):
			p.box.call(func() { p.tooLarge(r, rc, attempt, err) })
			return
		}
		p.box.answer(answer{rc, err})
	})
	return nil
}

// tooLarge ends an attempt whose message the server never takes: its parameters go to a person, like those that are
// larger than any server's.
func (p *partition) tooLarge(r *run, rc *receipt, a steps.Attempt, why error) {
	m, stream, err := p.Log.Message(r.id, steps.Failed{Attempt: a, Fault: steps.Fault{
		Class: steps.BudgetExceeded, Acted: steps.ActedNo, Message: "the parameters do not fit into a step message: " + why.Error(),
	}})
	if err != nil {
		p.answered(answer{rc, err})
		return
	}
	p.Bus.Publish(stream, m, func(_ uint64, err error) { p.box.answer(answer{rc, err}) })
}

// stepHeader marks a message that may stand for one that was lost with an earlier queue, and its worker with it. It makes
// all values share one array; there is one header per attempt.
func stepHeader(r *run, m *steps.StepMessage, again bool) map[string][]string {
	v := [7]string{m.Run, m.Step, m.Token(), m.RungName}
	h := map[string][]string{
		wire.HeaderRun: v[0:1:1], wire.HeaderStep: v[1:2:2], wire.HeaderAttempt: v[2:3:3], wire.HeaderRung: v[3:4:4],
	}
	if !m.NotBefore.IsZero() {
		v[4] = m.NotBefore.UTC().Format(time.RFC3339Nano)
		h[wire.HeaderNotBefore] = v[4:5:5]
	}
	if r.fold.State.Trace != "" {
		v[5] = r.fold.State.Trace
		h[wire.HeaderTrace] = v[5:6:6]
	}
	if again {
		v[6] = "1"
		h[wire.HeaderAgain] = v[6:7:7]
	}
	return h
}

// withdraw takes the claim of an attempt that nobody should execute. If a worker's claim was first, the log has it.
func (p *partition) withdraw(r *run, rc *receipt, m *steps.StepMessage) error {
	name := attemptName(m)
	if r.knows(withdrawal, name) {
		return nil
	}
	msg, stream, err := p.Log.Message(r.id, steps.Claimed{Attempt: m.Attempt})
	if err != nil {
		return err
	}
	r.note(withdrawal, name)
	msg.Expect = new(uint64)
	p.publish(rc, stream, msg, bus.ErrConflict)
	return nil
}

func (p *partition) purgeStep(r *run, rc *receipt, m *steps.StepMessage) {
	name := attemptName(m)
	if r.knows(purged, name) {
		return
	}
	r.note(purged, name)
	subject := p.names.Step(m.Tool, m.RungName, m.Run, m.Attempt)
	p.purge(rc, func(ctx context.Context) error { return p.Bus.Purge(ctx, p.names.StepsStream(), subject) })
}

func attemptName(m *steps.StepMessage) string { return m.Step + "/" + m.Token() }

// tellStop tells whoever executes an attempt to stop. Nothing stores the word, and the core says it again at its ticks.
func (p *partition) tellStop(m *steps.StepMessage) {
	if err := p.Bus.Tell(p.names.Stop(m.Run, m.Attempt), nil); err != nil {
		p.complain(m.Run, err)
	}
}

func (p *partition) putLetter(r *run, rc *receipt, l dlq.Letter) {
	if r.knows(letter, l.ID) {
		return
	}
	r.note(letter, l.ID)
	p.expect(rc)
	put := p.putting[l.ID]
	if put == nil {
		put = &putting{}
		p.putting[l.ID] = put
	}
	put.left++
	p.letters.Put(l, func(err error) { p.box.call(func() { p.letterPut(l.ID, answer{rc, err}) }) })
}

// putting is a letter on its way into the escalation stream. It is not taken out before it is there: the two travel by
// different ways, and a letter that came after its removal would ask people what is settled.
type putting struct {
	left int      // puts that have not answered
	then []func() // removals that wait for them
}

func (p *partition) letterPut(id string, a answer) {
	put := p.putting[id]
	if put.left--; put.left == 0 {
		delete(p.putting, id)
		for _, remove := range put.then {
			remove()
		}
	}
	p.answered(a)
}

func (p *partition) removeLetter(r *run, rc *receipt, v steps.EscalationView) {
	if r.knows(letterRemoved, v.ID) {
		return
	}
	r.note(letterRemoved, v.ID)
	p.expect(rc)
	remove := func() {
		p.startPurge(rc, func(ctx context.Context) error { return p.letters.Remove(ctx, v) })
	}
	if put := p.putting[v.ID]; put != nil {
		put.then = append(put.then, remove)
		return
	}
	remove()
}

// besideBody is more than the subject and the headers of a result take.
const besideBody = 1 << 10

// publishResult ends the run. The first Closed is the only one; they all say the same.
func (p *partition) publishResult(r *run, h *heldResult) {
	msg, stream, err := p.Log.Message(r.id, h.closed)
	if err != nil {
		p.troubled(r, h.receipt, err)
		return
	}
	if int64(len(msg.Data))+besideBody > p.Bus.MaxPayload() { // the list is for lists; what is degraded stands in the log
		msg, stream, err = p.Log.Message(r.id, steps.Closed{State: h.closed.State})
		if err != nil {
			p.troubled(r, h.receipt, err)
			return
		}
	}
	msg.Expect = new(uint64)
	h.receipt.left--
	p.publish(h.receipt, stream, msg, bus.ErrConflict)
}

// closed lets go of a run whose end is in the log.
func (p *partition) closed(r *run, rc *receipt) {
	p.cancelTimer(r)
	p.settle(r, rc)
	p.drop(r)
}

// removeDecided takes out the dead letters of a run that people have decided and that hold it no longer.
func (p *partition) removeDecided(r *run, rc *receipt) {
	held := ""
	if r.frozen() {
		held = runlog.LetterID(r.id, r.fold.Poison.Entry.Seq)
	}
	if r.fold.Orphan != nil {
		held = runlog.LetterID(r.id, r.fold.Orphan.Entry.Seq)
	}
	for _, id := range r.fold.Letters {
		if id != held {
			p.removeLetter(r, rc, steps.EscalationView{ID: id, Kind: steps.KindDeadLetter})
		}
	}
}
