package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"belay/internal/approval"
	"belay/internal/audit"
	"belay/internal/handoff"
	"belay/internal/people"
	"belay/internal/tally"
)

// AcceptDamage notes that a person has looked at what happened to the log behind Belay's back, that work may go on, and what
// becomes of calls that may have happened. V says it, but for who.
func (e *Engine) AcceptDamage(ctx context.Context, who people.Actor, v tally.Verdict) ([]tally.Damage, error) {
	if err := who.May(people.AcceptDamage); err != nil {
		return nil, fmt.Errorf("%w: %w", tally.ErrDenied, err)
	}
	if strings.TrimSpace(v.Reason) == "" {
		return nil, fmt.Errorf("say why, with --reason")
	}
	v.By = who.Name
	var of json.RawMessage
	if len(v.Runs) > 0 {
		body, err := json.Marshal(map[string][]string{"runs": v.Runs})
		if err != nil {
			return nil, err
		}
		of = body
	}
	accepted, err := e.Tally.Accept(ctx, v)
	for _, d := range accepted {
		id := "damage/" + d.ID
		if d.Accepted.IsZero() {
			id += fmt.Sprint("/", len(d.Choices))
		}
		rec := audit.Record{ID: id, At: e.Bus.Now(), Who: who.Name, Via: who.Via, Token: who.Token, Action: "accept damage", On: d.ID, Reason: v.Reason, Effect: d.Text() + "; " + v.Text(), After: of}
		if err := audit.New(e.Bus).Append(ctx, rec); err != nil {
			e.logger.Warn("an act is not in the audit trail", "act", rec.Action, "on", d.ID, "by", who.Name, "error", err)
		}
	}
	return accepted, err
}

// DeclareRestored notes that somebody says that the log is an old copy. Dir is the folder of the tally outside the store; empty
// where another process has it.
func (e *Engine) DeclareRestored(ctx context.Context, who people.Actor, dir, why string) ([]tally.Damage, error) {
	k := e.Tally
	if k == nil {
		k = tally.New(e.Bus, tally.Options{Dir: dir})
	}
	found, err := k.Declare(ctx, who.Name, why)
	for _, d := range found {
		rec := audit.Record{ID: "damage/" + d.ID + "/restored", At: e.Bus.Now(), Who: who.Name, Via: who.Via, Action: "declare restored", On: d.ID, Reason: why, Effect: d.Text()}
		if err := audit.New(e.Bus).Append(ctx, rec); err != nil {
			return found, fmt.Errorf("it is noted, and not in the audit trail: %w", err)
		}
	}
	return found, err
}

// remade publishes the key of this process and closed gates and schedules anew, where their buckets were removed.
func (e *Engine) remade(streams []string) {
	if slices.Contains(streams, "KV_"+e.Bus.Names().GatesBucket()) {
		e.Gates.Anew()
	}
	if slices.Contains(streams, "KV_"+e.Bus.Names().SchedulesBucket()) {
		e.Schedules.Anew()
	}
	if slices.Contains(streams, "KV_"+e.Bus.Names().LimitsBucket()) {
		e.Limits.Anew()
	}
	if slices.Contains(streams, "KV_"+e.Bus.Names().BreakersBucket()) {
		e.Breakers.Anew()
	}
	if !slices.Contains(streams, "KV_"+e.Bus.Names().KeysBucket()) {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if _, err := e.signer.PublishTo(ctx, approval.NewPublished(e.Bus)); err != nil {
		e.logger.Error("the key that signs approvals is not published; workers refuse what it signs until this dispatcher is started again", "error", err)
	}
}

// acceptFor is AcceptDamage for another process.
func (e *Engine) acceptFor(ctx context.Context, letIn handoff.LetIn, r tally.Request) ([]tally.Damage, error) {
	who, err := letIn(ctx, r.Shown, r.Name)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", tally.ErrDenied, err)
	}
	who.Via = r.Via
	return e.AcceptDamage(ctx, who, tally.Verdict{Reason: r.Reason, Calls: r.Calls, Runs: r.Runs, Partitions: r.Partitions})
}
