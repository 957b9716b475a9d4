// Package access says who may do what: roles, API tokens, and the gate in front of the pages.
//
// There are four roles, each of which may all that the one before it may. People and programs show a token; only its
// hash is stored, in a bucket of NATS that every dispatcher watches, so that one that is revoked opens nothing any more
// within a moment. What is asked is [Identity.May]; nothing else decides about rights.
package access

import (
	"fmt"

	"belay/internal/handoff"
)

// Role is what somebody may do.
type Role string

// The roles, the least first.
const (
	Viewer   Role = "viewer"   // looks
	Operator Role = "operator" // also decides, but approves nothing
	Approver Role = "approver" // also approves and rejects
	Admin    Role = "admin"    // also makes and revokes tokens, and rotates keys
)

// Roles lists them, the least first.
func Roles() []Role { return []Role{Viewer, Operator, Approver, Admin} }

func (r Role) rank() int {
	for i, known := range Roles() {
		if r == known {
			return i + 1
		}
	}
	return 0 // nobody's role may nothing
}

// Cancel is the one act on a run that is not about an escalation.
const Cancel handoff.Action = "cancel"

// needed is the least role for an act; what is not in it takes an approver.
var needed = map[handoff.Action]Role{
	handoff.ActClaim: Operator, handoff.ActRelease: Operator, handoff.ActAssign: Operator, handoff.ActSnooze: Operator, handoff.ActNote: Operator,
	"retry": Operator, "edit": Operator, "answer": Operator, "skip": Operator, "verify": Operator, "abort": Operator, Cancel: Operator,
	"approve": Approver, "reject": Approver,
}

// Identity is somebody who was let in.
type Identity struct {
	Name  string // of the person: two tokens of one person are one
	Role  Role
	Token string // id of the token that was shown
}

// May is nil if the identity may do a; else it says which role that takes.
func (i Identity) May(a handoff.Action) error {
	least, ok := needed[a]
	if !ok {
		least = Approver
	}
	if i.Role.rank() >= least.rank() {
		return nil
	}
	return fmt.Errorf("%s is %s; to %s takes %s", i.Name, i.Role, a, least)
}
