package dispatch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"belay/internal/bus"
	"belay/internal/crashpoint"
	"belay/internal/dlq"
	"belay/internal/runlog"
	"belay/internal/steps"
	"belay/internal/steps/view"
	"belay/internal/wire"
)

// ensure publishes what a run wants because of the touched units (nil = all) and does not have yet, and makes the receipt
// wait for it.
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
	if p.settle(r, touched, rc); r.gone {
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

// end publishes the run's result as soon as nothing else of the run is in flight.
func (p *partition) end(r *run, rc *receipt, c steps.Closed) {
	if r.knows(result, "") {
		return
	}
	r.note(result, "")
	rc.left++
	r.result = &pendingResult{c, runlog.FaultsMet(r.fold.State), rc}
	if r.out == 0 {
		p.quiet(r)
	}
}

// wants turns a panic of the core into an error, so that a bug does not take down every other run.
func wants(s *steps.State, touched []int) (w steps.WantList, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("computing what the run wants panicked: %v", p)
		}
	}()
	return steps.Wants(s, touched), nil
}

func (p *partition) publishAll(r *run, rc *receipt, w *steps.WantList) error {
	if err := p.tellDamage(r, rc, w); err != nil {
		return err
	}
	if w.Next != nil {
		p.goOn(r, rc, *w.Next)
	}
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
		p.putEscalation(r, rc, dlq.Entry{Escalation: view.EscalationOf(r.fold.State, n)})
	}
	for _, n := range w.Closed {
		p.removeEscalation(r, rc, view.EscalationOf(r.fold.State, n))
	}
	return nil
}

// goOn submits the run that this one goes on as. That is stored before the end of this one is.
func (p *partition) goOn(r *run, rc *receipt, e steps.Migrated) {
	if r.knows(goneOn, e.To) {
		return
	}
	r.note(goneOn, e.To)
	e.Next.Trace = r.fold.State.Trace
	p.expect(rc)
	go func() {
		p.purges <- struct{}{}
		crashpoint.At(crashpoint.BeforeGoingOn)
		id, err := p.Log.GoOn(p.work, e)
		<-p.purges
		p.box.call(func() {
			if err == nil {
				p.goneOn(r, id, &e)
			}
			p.answered(answer{rc, err})
		})
	}()
}

// goneOn has the end of the run say which one it goes on as, where that is not the one that was meant.
func (p *partition) goneOn(r *run, id string, e *steps.Migrated) {
	if id != e.To {
		p.logger.Warn("the id that a run was to go on as has been taken by another run", "run_id", r.id, "taken", e.To, "goes_on_as", id)
	}
	if r.result != nil {
		r.result.closed = r.result.closed.GoneOnAs(id, e)
	}
}

// publishStep queues an attempt, unless it was queued before.
func (p *partition) publishStep(r *run, rc *receipt, m *steps.StepMessage) error {
	if r.hasSent(m.Attempt) {
		return nil
	}
	if is, err := p.outlived(r, rc, m); is || err != nil {
		return err
	}
	_, there := r.queued[m.Attempt]
	if p.holds(r, m) {
		if there { // since before this dispatcher had the partition
			p.unqueue(r, m)
		}
		return nil
	}
	if p.gated(r, rc, m) || p.broken(r, rc, m, there) || p.limited(r, rc, m, there) { // a call that a breaker keeps back uses up no rate
		return nil
	}
	if p.waitsForTurn(r, m, there) {
		return nil
	}
	delete(r.passes, m.Step)
	p.sends(r, m)
	p.routes.add(route{m.Tool, m.RungName})
	if there {
		return nil
	}
	p.expect(rc)
	attempt := m.Attempt
	p.Bus.Publish(p.names.StepsStream(), bus.Message{
		Subject: p.names.Step(m.Tool, m.RungName, m.Run, m.Attempt), Header: stepHeader(r, m, rc.requeued), Data: wire.EncodeStep(*m),
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

// sends notes that an attempt is queued now, or was.
func (p *partition) sends(r *run, m *steps.StepMessage) {
	if r.sent == nil {
		r.sent = make(map[string]*sent, 1)
	}
	if was := r.sent[m.Step]; was != nil {
		p.leaves(was)
	}
	s := &sent{attempt: m.Attempt, at: time.Now()}
	r.sent[m.Step] = s
	p.enters(m, s)
}

// tooLarge ends an attempt whose message is too large for this server: a person is asked, as about parameters that are too
// large for any server.
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

// stepHeader marks a message that may replace one that was lost with an earlier queue and its worker. All values share one
// array, because there is one header per attempt.
func stepHeader(r *run, m *steps.StepMessage, requeued bool) map[string][]string {
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
	if requeued {
		v[6] = "1"
		h[wire.HeaderRepeated] = v[6:7:7]
	}
	return h
}

// withdraw claims an attempt so that no worker can execute it. If a worker's claim was first, that is in the log.
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

// tellStop tells the worker that executes an attempt to stop. The message is not stored; the core repeats it periodically.
func (p *partition) tellStop(m *steps.StepMessage) {
	if err := p.Bus.Tell(p.names.Stop(m.Run, m.Attempt), nil); err != nil {
		p.complain(m.Run, err)
	}
}

func (p *partition) putEscalation(r *run, rc *receipt, l dlq.Entry) {
	if r.knows(escalation, l.ID) {
		return
	}
	r.note(escalation, l.ID)
	p.expect(rc)
	put := p.putting[l.ID]
	if put == nil {
		put = &putting{}
		p.putting[l.ID] = put
	}
	put.left++
	p.escalations.Put(l, func(err error) { p.box.call(func() { p.escalationPut(l.ID, answer{rc, err}) }) })
}

// putting is an escalation that is being published. It is not removed before that is confirmed: the put and the removal
// take different ways, and if the put arrived last it would ask people about something decided.
type putting struct {
	left int      // puts that have not answered
	then []func() // removals that wait for them
}

func (p *partition) escalationPut(id string, a answer) {
	put := p.putting[id]
	if put.left--; put.left == 0 {
		delete(p.putting, id)
		for _, remove := range put.then {
			remove()
		}
	}
	p.answered(a)
}

func (p *partition) removeEscalation(r *run, rc *receipt, v view.Escalation) {
	if r.knows(escalationRemoved, v.ID) {
		return
	}
	r.note(escalationRemoved, v.ID)
	p.expect(rc)
	remove := func() {
		p.startPurge(rc, func(ctx context.Context) error { return p.escalations.Remove(ctx, v) })
	}
	if put := p.putting[v.ID]; put != nil {
		put.then = append(put.then, remove)
		return
	}
	remove()
}

// besideBody is more than the size of a result's subject and headers.
const besideBody = 1 << 10

// publishResult ends the run. The first Closed is the only one; they all say the same.
func (p *partition) publishResult(r *run, h *pendingResult) {
	crashpoint.At(crashpoint.BeforeResult)
	msg, stream, err := p.Log.End(r.id, h.closed, h.met)
	if err != nil {
		p.troubled(r, h.receipt, err)
		return
	}
	if int64(len(msg.Data))+besideBody > p.Bus.MaxPayload() { // without the summary for lists; the log has what is degraded
		msg, stream, err = p.Log.End(r.id, steps.Closed{State: h.closed.State}, h.met)
		if err != nil {
			p.troubled(r, h.receipt, err)
			return
		}
	}
	h.receipt.left--
	p.publish(h.receipt, stream, msg, bus.ErrConflict)
}

// closed drops a run whose end is in the log.
func (p *partition) closed(r *run, rc *receipt) {
	p.cancelTimer(r)
	p.ackWhenStored(r, rc)
	p.drop(r)
}

// removeDecided removes the dead letters of a run that people have decided and that no longer freeze it.
func (p *partition) removeDecided(r *run, rc *receipt) {
	frozenBy := ""
	if r.frozen() {
		frozenBy = steps.DeadLetterID(r.id, r.fold.Poison.Entry.Seq)
	}
	if r.fold.Orphan != nil {
		frozenBy = steps.DeadLetterID(r.id, r.fold.Orphan.Entry.Seq)
	}
	for _, id := range r.fold.DeadLetters {
		if id != frozenBy {
			p.removeEscalation(r, rc, view.Escalation{ID: id, Kind: steps.KindDeadLetter})
		}
	}
}
