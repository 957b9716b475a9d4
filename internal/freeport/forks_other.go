//go:build !linux

package freeport

// withoutForks calls f. Where opening a socket takes the lock that holds forks back, it cannot be taken around it.
func withoutForks(f func()) { f() }
