package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"belay/internal/audit"
	"belay/internal/breaker"
	"belay/internal/dispatch"
	"belay/internal/gates"
	"belay/internal/handoff"
	"belay/internal/limits"
	"belay/internal/people"
)

// CloseGate closes a gate for a person: what it covers, why and until when is taken from g.
func (e *Engine) CloseGate(ctx context.Context, who people.Actor, g gates.Gate) (gates.Gate, error) {
	if err := who.May(people.CloseGate); err != nil {
		return gates.Gate{}, fmt.Errorf("%w: %w", gates.ErrDenied, err)
	}
	now := e.Bus.Now().Truncate(time.Millisecond)
	if !g.Until.IsZero() && !g.Since.IsZero() { // its time is counted from now, whatever the clock of whoever closes it
		g.Until = now.Add(g.Until.Sub(g.Since))
	}
	if g.ID == "" {
		g.ID = gates.NewID()
	}
	g.By, g.Via, g.Since, g.Opened, g.Reason = who.Name, who.Via, now, nil, strings.TrimSpace(g.Reason)
	if err := g.Check(); err != nil {
		return gates.Gate{}, fmt.Errorf("%w: %w", gates.ErrWrong, err)
	}
	if err := gates.Of(e.Bus).Close(ctx, g); err != nil {
		return gates.Gate{}, err
	}
	e.recordGate(ctx, "close gate", who, g, g.Reason, g.Since)
	return g, nil
}

// OpenGate opens a gate for a person.
func (e *Engine) OpenGate(ctx context.Context, who people.Actor, id, reason string) (gates.Gate, error) {
	if err := who.May(people.OpenGate); err != nil {
		return gates.Gate{}, fmt.Errorf("%w: %w", gates.ErrDenied, err)
	}
	found, err := gates.Of(e.Bus).Find(ctx, id)
	if err != nil {
		return gates.Gate{}, err
	}
	g, err := gates.Of(e.Bus).Open(ctx, found.ID, gates.Opening{By: who.Name, Via: who.Via, Reason: strings.TrimSpace(reason), At: e.Bus.Now().Truncate(time.Millisecond)})
	if err == nil {
		e.recordGate(ctx, "open gate", who, g, g.Opened.Reason, g.Opened.At)
	}
	return g, err
}

// ListGates lists the gates that are closed, and those that were opened lately.
func (e *Engine) ListGates(ctx context.Context) ([]gates.Progress, error) {
	return gates.Of(e.Bus).List(ctx)
}

// ListBreakers lists the breakers that are not closed.
func (e *Engine) ListBreakers(ctx context.Context) ([]breaker.Record, error) {
	return breaker.List(ctx, e.Bus)
}

// ListLimits lists the limits that calls count for at present.
func (e *Engine) ListLimits(ctx context.Context) ([]limits.Limit, error) {
	return limits.List(ctx, e.Bus)
}

// ClosedGates are the gates that are closed, as this process knows them; nil where another one dispatches.
func (e *Engine) ClosedGates() []gates.Gate {
	if e.Gates == nil {
		return nil
	}
	return e.Gates.Closed()
}

// FindGate finds a gate by its id.
func (e *Engine) FindGate(ctx context.Context, id string) (gates.Progress, error) {
	return gates.Of(e.Bus).Find(ctx, id)
}

// recordGate records what was done about a gate; the same twice is the same act.
func (e *Engine) recordGate(ctx context.Context, action string, who people.Actor, g gates.Gate, reason string, at time.Time) {
	after, err := json.Marshal(g)
	if err == nil {
		err = audit.New(e.Bus).Append(ctx, audit.Record{
			ID: "gate/" + g.ID + "/" + action + "/" + g.Since.Format(time.RFC3339Nano), At: at, Who: who.Name, Via: who.Via, Token: who.Token, Action: action, On: g.ID, Reason: reason, Effect: g.Covers.String(), After: after,
		})
	}
	if err != nil {
		e.logger.Warn("an act is not in the audit trail", "act", action, "gate_id", g.ID, "by", who.Name, "error", err)
	}
	e.logger.Warn(map[string]string{"close gate": "gate closed", "open gate": "gate opened"}[action], "gate_id", g.ID, "covers", g.Covers.String(), "by", who.Name, "via", who.Via, "reason", reason)
}

// gateFor closes or opens a gate for another process.
func (e *Engine) gateFor(ctx context.Context, letIn handoff.LetIn, r gates.Request) (gates.Gate, error) {
	who, err := letIn(ctx, r.Shown, r.Name)
	if err != nil {
		return gates.Gate{}, fmt.Errorf("%w: %w", gates.ErrDenied, err)
	}
	if who.Via = r.Via; r.Close != nil {
		return e.CloseGate(ctx, who, *r.Close)
	}
	return e.OpenGate(ctx, who, r.Open, r.Reason)
}

// BehindGates is how many attempts gates hold back, as far as this process dispatches their runs.
func (e *Engine) BehindGates() int {
	if e.behindGates == nil {
		return 0
	}
	return e.behindGates()
}

// LimitedCalls are the calls that limits hold back, as far as this process dispatches their runs.
func (e *Engine) LimitedCalls() map[dispatch.Limited]int {
	if e.limitedCalls == nil {
		return nil
	}
	return e.limitedCalls()
}

// Outside are the attempts that wait for their turn to be queued, as far as this process dispatches their runs.
func (e *Engine) Outside() []dispatch.Outside {
	if e.outside == nil {
		return nil
	}
	return e.outside()
}

// startLimits shares limits with other dispatchers.
func (e *Engine) startLimits() *limits.Keeper {
	k := limits.NewKeeper(e.Bus, e.logger)
	e.part(func(ctx context.Context) error {
		k.Run(ctx)
		return nil
	})
	e.Limits = k
	return k
}

// startBreakers shares breakers with other dispatchers.
func (e *Engine) startBreakers() *breaker.Keeper {
	k := breaker.NewKeeper(e.Bus, uuid.NewString(), e.logger)
	e.part(func(ctx context.Context) error {
		k.Run(ctx)
		return nil
	})
	e.Breakers = k
	return k
}

// startGates follows the gates for the dispatcher.
func (e *Engine) startGates() *gates.Keeper {
	k := gates.NewKeeper(e.Bus, e.logger)
	k.Expired = func(g gates.Gate) {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		e.recordGate(ctx, "open gate", people.Actor{Name: "belay"}, g, g.Opened.Reason, g.Opened.At)
	}
	e.part(func(ctx context.Context) error {
		k.Run(ctx)
		return nil
	})
	return k
}
