package consoletest

import (
	"slices"

	"belay/internal/console"
	"belay/internal/handoff"
	"belay/internal/steps"
)

// Approver may do everything that a page offers.
func Approver(name string) console.Person {
	return console.Person{Name: name, Role: "approver", May: func(handoff.Action) bool { return true }}
}

// Operator may decide all but approvals.
func Operator(name string) console.Person {
	never := []handoff.Action{handoff.Action(steps.VerbApprove), handoff.Action(steps.VerbReject)}
	return console.Person{Name: name, Role: "operator", May: func(a handoff.Action) bool { return !slices.Contains(never, a) }}
}

// Viewer may only read.
func Viewer(name string) console.Person { return console.Person{Name: name, Role: "viewer"} }
