package people

import (
	"errors"
	"fmt"
)

// ErrForbidden says that an actor may not do what they ask for.
var ErrForbidden = errors.New("you may not do this")

// Actor is who asks for something, as whoever let them in knows them. The zero Actor may do nothing.
type Actor struct {
	Name  string // of the person: two tokens of one person are one
	Role  Role   // what they may do; "" = nothing
	Via   string // the way in, as logs and the audit trail have it: cli, console, api, mcp
	Token string // id of the token that they showed; "" = they were let in without one
	// Local says that they are trusted for reaching this machine's loopback alone, as an agent on it does too. They decide
	// nothing about what agents do.
	Local bool
	// Limits are what a submitter may start; they say nothing about the other roles.
	Limits Limits
	// Valid returns why what let the actor in opens nothing any more; nil = it lasts as long as the process.
	Valid func() error
}

// Trusted is somebody whom nobody asks for a token, and who may do everything: the person at this machine, or whoever
// NATS let in.
func Trusted(name, via string) Actor { return Actor{Name: name, Role: Admin, Via: via} }

// May returns nil if the actor may do a now; otherwise an [ErrForbidden] that says which role it takes, or why their
// rights ended. Ask again each time it counts.
func (p Actor) May(a Action) error {
	if p.Valid != nil {
		if err := p.Valid(); err != nil {
			return fmt.Errorf("%w: %w", ErrForbidden, err)
		}
	}
	sees := a == LookAtOwn && p.Role.Includes(Viewer) // all runs, and so their own
	if p.Role.Includes(a.Needs()) || sees || p.Role == Submitter && p.Limits.allow(a) {
		return nil
	}
	role, takes := string(p.Role), string(a.Needs())
	if p.Role == Submitter {
		role += ", which starts runs and sees, cancels and retries its own"
	}
	switch {
	case a.Needs() == Submitter:
		takes += " or operator"
	case p.Role == Submitter && a == SubmitWhole:
		takes += ", or --whole-plans of `dispatcher token create`"
	case p.Role == Submitter && a == CallTool:
		takes += ", or --tool of `dispatcher token create`"
	}
	return fmt.Errorf("%w: %s is %s; to %s takes %s", ErrForbidden, p.Name, role, a, takes)
}
