package people

import "slices"

// Role is what somebody may do.
type Role string

// The roles. Each from [Viewer] on may do all that the one before it may; an [Operator] may also do what a [Submitter] may.
const (
	Submitter Role = "submitter" // starts what its [Limits] name, and sees, cancels and retries what it has started; nothing else
	Viewer    Role = "viewer"    // looks
	Operator  Role = "operator"  // also decides, but approves nothing
	Approver  Role = "approver"  // also approves and rejects
	Admin     Role = "admin"     // also starts plans of its own and calls tools
)

// Roles lists them, the least first.
func Roles() []Role { return []Role{Submitter, Viewer, Operator, Approver, Admin} }

// Known reports whether r is one of [Roles]. Any other may do nothing.
func (r Role) Known() bool { return slices.Contains(Roles(), r) }

// Includes reports whether r may do all that other may. A role that is not known includes nothing.
func (r Role) Includes(other Role) bool {
	if r == Viewer && other == Submitter {
		return false // who looks starts nothing
	}
	return r.Known() && other.Known() && slices.Index(Roles(), r) >= slices.Index(Roles(), other)
}
