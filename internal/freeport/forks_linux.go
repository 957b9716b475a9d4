package freeport

import "syscall"

// withoutForks calls f while this process starts no other one.
func withoutForks(f func()) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	f()
}
