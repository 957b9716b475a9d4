// Package worker is the command line of the worker program: one command that serves a tools file until it is stopped.
// It links nothing that only a dispatcher needs: no NATS server, no console, no sign-in, no mail.
package worker
