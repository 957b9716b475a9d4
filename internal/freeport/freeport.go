// Package freeport reserves ports for tests whose programs are given one before they listen on it. Asking the kernel for
// any port and closing it again is not enough: it may give the same one to the test beside this one, or to an outgoing
// connection, before the program has come up.
package freeport

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
	"testing"
)

// Ports come from below those that Linux (32768) and others (49152) give to outgoing connections, and from above those
// that programs are known for.
const (
	lowest = 20000
	beyond = 32000
)

// Address is 127.0.0.1 with a port that nobody else is given until the test ends.
func Address(t testing.TB) string {
	t.Helper()
	port, release, err := Take()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	return net.JoinHostPort("127.0.0.1", port)
}

// Take reserves a port on which nobody listens now, until release is called or this process ends. What keeps it from
// other processes that use this package is a UDP socket on the same port: it needs no file, and ends with its process.
func Take() (port string, release func(), err error) {
	const tries = 1000
	var listen net.ListenConfig
	for range tries {
		port = strconv.Itoa(lowest + rand.IntN(beyond-lowest))
		address := net.JoinHostPort("127.0.0.1", port)
		lock, err := listen.ListenPacket(context.Background(), "udp4", address)
		if err != nil {
			continue
		}
		if free(address) {
			return port, func() { _ = lock.Close() }, nil
		}
		_ = lock.Close()
	}
	return "", nil, errors.New("no port is free on 127.0.0.1")
}

// free reports whether nobody listens on an address. While it listens itself, this process starts no program: that would
// have the socket too, for a moment after it was closed here, and the port would not be free yet.
func free(address string) (ok bool) {
	withoutForks(func() {
		var listen net.ListenConfig
		l, err := listen.Listen(context.Background(), "tcp4", address)
		ok = err == nil && l.Close() == nil
	})
	return ok
}
