// Package dispatcher has the commands of the dispatcher program: run, runs, esc, dev, serve and the others. A command
// parses its flags, opens what it needs (session.go: a named server, a running one, or everything embedded), calls the
// packages that do the work, and prints.
package dispatcher
