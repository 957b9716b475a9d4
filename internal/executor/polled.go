package executor

import "time"

// Polled is an [Executor] whose programs poll for work. A worker pulls messages for it only while a program is waiting.
type Polled interface {
	Executor
	// Demand calls set with how many messages to pull from the queue, now and whenever that changes. Set is called under a
	// lock: it must not block or call back. After stop no program gets work any more, and waiting ones get an answer.
	Demand(set func(n int)) (stop func())
	// Attended reports whether there is a program for the rung: one that waits or executes now.
	Attended() bool
	// Reserve reserves one of the waiting programs. If there is none, seat is nil, and the message should be handed back for
	// the pause.
	Reserve() (seat Seat, pause time.Duration)
}

// Seat is a waiting program, reserved to execute one attempt. If that does not begin, the next attempt can use the program.
type Seat interface {
	Executor
	// Waits reports whether the program is still waiting; if not, Execute fails and nothing has acted.
	Waits() bool
	// Leave ends the reservation. Stored says that the outcome of the attempt is on disk: only then is it confirmed to the
	// program.
	Leave(stored bool)
}
