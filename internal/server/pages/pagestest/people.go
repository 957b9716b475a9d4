package pagestest

import "belay/internal/people"

// Approver may do everything that a page offers.
func Approver(name string) people.Actor { return of(name, people.Approver) }

// Operator may decide all but approvals.
func Operator(name string) people.Actor { return of(name, people.Operator) }

// Viewer may only read.
func Viewer(name string) people.Actor { return of(name, people.Viewer) }

func of(name string, r people.Role) people.Actor {
	return people.Actor{Name: name, Role: r, Via: "console", Token: "0123456789abcdef"}
}
