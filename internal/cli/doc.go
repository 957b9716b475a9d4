// Package cli is the command line of the two programs, dispatcher and worker. A command parses its flags, opens what it
// needs (session.go: a named server, a running one, or everything embedded), calls the packages that do the work, and
// prints. Data goes to stdout, everything else to stderr when -o json is given; exit codes are a contract (exit.go).
package cli
