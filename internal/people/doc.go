// Package people says who asks for something, what they want, and whether they may.
//
// An [Actor] is made where somebody is let in (a token, a sign-in, the person at this machine) and is handed on unchanged
// to whoever carries out what they ask for; only that asks [Actor.May]. Rights can end while something goes on, so May is
// asked each time it counts. Nothing else in Belay decides who may do what.
//
// Where to start reading: role.go (the roles), action.go (what people do, and which role it takes), actor.go (who asks),
// limits.go (what a submitter may start), act.go (what they want done).
package people
