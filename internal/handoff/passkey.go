package handoff

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"

	"belay/internal/bus"
	"belay/internal/people"
	"belay/internal/steps"
)

// ErrPasskey refuses an approval without the passkey that its tool asks for, or with one that does not count. It is an
// [ErrNotAllowed].
var ErrPasskey = fmt.Errorf("%w without your passkey", ErrNotAllowed)

// Passkeys check what approvers' passkeys have signed.
type Passkeys interface {
	Check(ctx context.Context, g steps.Grant, challenge []byte) error
}

// ReachedAt says under which URL people reach the console, for those who must decide there.
func (k *Desk) ReachedAt(url string) { k.console.Store(&url) }

// page is where somebody decides an escalation who needs a browser for it.
func (k *Desk) page(id string) string {
	console := k.console.Load()
	if console == nil || *console == "" {
		return "on its page in the console (/e/" + id + ")"
	}
	at := *console
	if u, err := url.Parse(at); err == nil && net.ParseIP(u.Hostname()).IsLoopback() {
		u.Host = net.JoinHostPort("localhost", u.Port()) // browsers have no passkeys for numbers
		at = u.String()
	}
	return "at " + at + "/e/" + url.PathEscape(id)
}

// Challenge is what the passkey of somebody must sign for their approval of a card to count; nil where none is asked for, or
// it is not open.
func (k *Desk) Challenge(who people.Actor, c *Card) []byte {
	q := c.question
	if q == nil || !q.open() {
		return nil
	}
	g, ok, err := steps.GrantFor(q.run.State, q.n, steps.Decided{Escalation: c.Item.ID, Verb: steps.VerbApprove, By: who.Name})
	if err != nil || !ok || q.run.State.Tool(q.escalation().Unit).Approval.Proof != steps.ProofPasskey {
		return nil
	}
	return g.Challenge(q.run.State.Submitted)
}

// addPasskey adds to a grant what the approver's passkey has signed, if the tool asks for it and it counts.
func (k *Desk) addPasskey(ctx context.Context, s *steps.State, rule *steps.Approval, g *steps.Grant, shown *steps.Assertion) error {
	if rule.Proof != steps.ProofPasskey {
		return nil
	}
	if shown == nil {
		return fmt.Errorf("%w: %s asks for the passkey of whoever approves it, and that takes a browser: approve it %s", ErrPasskey, g.Tool, k.page(g.Escalation))
	}
	if k.Passkeys == nil {
		return fmt.Errorf("%w: nobody has registered any at this dispatcher", ErrPasskey)
	}
	g.Passkey = shown
	err := k.Passkeys.Check(ctx, *g, g.Challenge(s.Submitted))
	if err == nil || errors.Is(err, bus.ErrUnreachable) || errors.Is(err, bus.ErrUncertain) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return fmt.Errorf("%w: the passkey did not approve this: %w; approve it %s", ErrPasskey, err, k.page(g.Escalation))
}
