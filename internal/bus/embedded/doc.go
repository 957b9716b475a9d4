// Package embedded runs a NATS server in this process, with its store in a folder that only one process at a time can use.
// It is the only package that links nats-server: a program that talks to a server somewhere else does not carry one.
package embedded
