package engine

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"time"

	"github.com/google/uuid"

	"belay/internal/approval"
	"belay/internal/audit"
	"belay/internal/dlq"
	"belay/internal/gates"
	"belay/internal/handoff"
	"belay/internal/passkey"
	"belay/internal/people"
	"belay/internal/requests"
	"belay/internal/runindex"
	"belay/internal/schedules"
	"belay/internal/steps"
	"belay/internal/tally"
)

// startPeople makes the desk at which people decide; without options it is another process's. Lossy says that the
// server beside it confirms what is not on disk yet.
func (e *Engine) startPeople(ctx context.Context, o *PeopleOptions, token string, lossy bool) error {
	if o == nil {
		e.People = handoff.Remote{Bus: e.Bus, Token: token}
		e.Runs.Picker, e.Runs.Elsewhere = runindex.Remote{Bus: e.Bus}, requests.Remote{Bus: e.Bus, Token: token}
		return nil
	}
	e.endedTokens = o.EndedTokens
	if err := e.startIndex(ctx, o); err != nil {
		return err
	}
	signer, err := approval.Open(o.Keys)
	if err != nil {
		return err
	}
	e.signer = signer
	k, err := signer.PublishTo(ctx, approval.NewPublished(e.Bus))
	if err != nil {
		return err
	}
	e.logger.Info("signs approvals", "key", k.ID)
	claims := handoff.NewClaims(e.Bus)
	if err := claims.Prepare(ctx); err != nil {
		return err
	}
	e.Desk = handoff.NewDesk(e.Runs, dlq.New(e.Bus), claims, signer)
	e.Desk.Proofs, e.Desk.RequireProof = approval.NewPublished(e.Bus), o.RequireProof
	e.Desk.Passkeys, e.Desk.PasskeyFile = passkey.NewRegistry(e.Bus), signer.PasskeyFile()
	e.Prove = func(run string, s *steps.Submitted) error { return signer.Prove(run, s, e.Bus.Now()) }
	e.Schedules = schedules.NewKeeper(e.Bus, e.Runs, e.logger)
	e.Schedules.Prove = e.Prove
	e.Redrives = handoff.NewRedrives(e.Bus, e.Desk)
	e.Redrives.Prove, e.Redrives.Record = e.Prove, e.recordRuns
	e.part(e.Redrives.Run)
	e.People = e.Desk
	e.Tally = tally.New(e.Bus, tally.Options{Dir: o.Tally, Logger: e.logger, Lossy: lossy})
	e.startAudit(signer, o)
	e.Runs.Leaving = func(ctx context.Context, partition int, subject string) error {
		return tally.Leave(ctx, e.Bus, partition, subject)
	}
	if n := o.Notifier; n != nil {
		e.Desk.Notified = n.Notified(e.Bus)
		e.part(func(ctx context.Context) error { return n.Run(ctx, e.Bus, e.Desk.Items, e.logger) })
	}
	if o.LetIn == nil {
		return nil
	}
	err = e.answer(func(ctx context.Context, ready func()) error {
		return handoff.Serve(ctx, e.Bus, e.Desk, o.LetIn, ready)
	})
	if err != nil {
		return err
	}
	asked := &requests.Desk{Rights: requests.Rights{Runs: e.Runs, Named: o.Named}, Prove: e.Prove, Many: e.Redrives.Part, Logger: e.logger, Refused: o.Refused}
	err = e.answer(func(ctx context.Context, ready func()) error {
		return asked.Serve(ctx, e.Bus, requests.LetIn(o.LetIn), ready)
	})
	if err != nil {
		return err
	}
	err = e.answer(func(ctx context.Context, ready func()) error {
		return gates.Serve(ctx, e.Bus, func(ctx context.Context, r gates.Request) (gates.Gate, error) { return e.gateFor(ctx, o.LetIn, r) }, ready)
	})
	if err != nil {
		return err
	}
	err = e.answer(func(ctx context.Context, ready func()) error {
		return schedules.Serve(ctx, e.Bus, func(ctx context.Context, r schedules.Request) (schedules.Done, error) {
			return e.scheduleFor(ctx, o.LetIn, r)
		}, ready)
	})
	if err != nil {
		return err
	}
	return e.answer(func(ctx context.Context, ready func()) error {
		return tally.Serve(ctx, e.Bus, func(ctx context.Context, r tally.Request) ([]tally.Damage, error) {
			return e.acceptFor(ctx, o.LetIn, r)
		}, ready)
	})
}

// startIndex keeps the index of runs, and answers those who have none where others can ask at all.
func (e *Engine) startIndex(ctx context.Context, o *PeopleOptions) (err error) {
	if e.Index, err = runindex.Open(ctx, e.Bus, o.Index, e.logger); err != nil {
		return err
	}
	e.Runs.Picker = e.Index
	e.part(e.Index.Run)
	if o.LetIn == nil {
		return nil
	}
	return e.answer(e.Index.Serve)
}

// answer starts a part that answers requests, and waits until they can come.
func (e *Engine) answer(serve func(ctx context.Context, ready func()) error) error {
	ready := make(chan struct{})
	e.part(func(ctx context.Context) error { return serve(ctx, func() { close(ready) }) })
	select {
	case <-ready:
		return nil
	case <-e.fail:
		return e.Err()
	}
}

// startAudit records what people do. Decisions are recorded as they stand in the logs, by one dispatcher; what decides
// nothing, by the desk where it is done.
func (e *Engine) startAudit(signer *approval.Signer, o *PeopleOptions) {
	trail := audit.New(e.Bus)
	e.Desk.Acted = func(ctx context.Context, who people.Actor, a people.Act, d handoff.Done) {
		if a.Verb.Decides() && !d.Discarded { // the recorder finds it in the run's log
			return
		}
		if err := trail.Append(ctx, actRecord(who, a, d)); err != nil {
			e.logger.Warn("an act is not in the audit trail", "act", string(a.Verb), "escalation_id", d.ID, "by", who.Name, "error", err)
		}
	}
	e.Recorder = audit.NewRecorder(e.Bus, e.Runs, trail)
	e.Recorder.Key, e.Recorder.File, e.Recorder.Places, e.Recorder.Logger = signer.Key, o.Checkpoints, o.Places, e.logger
	e.Recorder.Store, e.Recorder.Fork, e.Recorder.Forked = e.Tally.State, e.Tally.Fork, e.Tally.Forked
	e.Recorder.Keys, e.Recorder.Unrevoked, e.Recorder.Witnesses = e.signers, e.unrevoked, e.testimonies
	e.part(e.Recorder.Run)
	e.Desk.Removing = e.recordRemoval
}

// recordRuns records what somebody has ordered to be done to many runs: what found them, and all their ids.
func (e *Engine) recordRuns(ctx context.Context, who people.Actor, s handoff.Redrive) error {
	return audit.New(e.Bus).Append(ctx, audit.Record{
		ID: "runs/" + uuid.NewString(), At: e.Bus.Now(), Who: who.Name, Via: who.Via, Token: who.Token, Action: string(s.Verb) + " runs", On: s.ID, Reason: s.Reason,
		Effect: s.Lot(), After: s.Order(),
	})
}

// signers are the keys of all dispatchers.
func (e *Engine) signers(ctx context.Context) (keys []ed25519.PublicKey, err error) {
	list, err := approval.NewPublished(e.Bus).List(ctx)
	for _, k := range list {
		keys = append(keys, k.Key)
	}
	return keys, err
}

// unrevoked are those of them that nobody has revoked.
func (e *Engine) unrevoked(ctx context.Context) (keys []ed25519.PublicKey, err error) {
	list, err := approval.NewPublished(e.Bus).List(ctx)
	for _, k := range list {
		if k.Revoked.IsZero() {
			keys = append(keys, k.Key)
		}
	}
	return keys, err
}

// testimonies are the checkpoints of the audit trail that workers keep.
func (e *Engine) testimonies(ctx context.Context) (all []audit.Testimony, err error) {
	workers, err := e.Bus.Workers(ctx)
	for _, w := range workers {
		all = append(all, audit.Testimony{By: w.Name, Checkpoints: w.Checkpoints})
	}
	return all, err
}

func actRecord(who people.Actor, a people.Act, d handoff.Done) audit.Record {
	after, err := json.Marshal(struct {
		To    string    `json:"to,omitempty"`
		Until time.Time `json:"until,omitzero"`
		Text  string    `json:"text,omitempty"`
	}{a.To, a.Until, a.Text})
	if err != nil || string(after) == "{}" {
		after = nil
	}
	run, _ := steps.RunOfEscalation(d.ID)
	return audit.Record{
		ID: "act/" + uuid.NewString(), At: d.At, Who: who.Name, Via: who.Via, Action: string(a.Verb), On: d.ID, Run: run, Reason: a.Reason, After: after, Effect: d.Effect,
	}
}
