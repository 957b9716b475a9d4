// Package accesstest opens tokens for tests that need a second process: what one made is known to the other a moment
// later.
package accesstest

import (
	"context"
	"testing"
	"time"

	"belay/internal/access"
	"belay/internal/bus"
)

// Open gives tokens that watch the bucket, and know what another process does, until the test ends.
func Open(t testing.TB, b *bus.Bus) *access.Tokens {
	t.Helper()
	tokens, err := access.OpenTokens(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ready, end := make(chan struct{}), make(chan error, 1)
	go func() { end <- tokens.Watch(ctx, func() { close(ready) }, func(error) {}) }()
	<-ready
	t.Cleanup(func() {
		cancel()
		if err := <-end; err != nil {
			t.Error(err)
		}
	})
	return tokens
}

// Eventually waits for what another process has done to be known here; the test fails if that takes 10 seconds.
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	look, end := time.NewTicker(time.Millisecond), time.After(10*time.Second)
	defer look.Stop()
	for !ok() {
		select {
		case <-look.C:
		case <-end:
			t.Fatal("never: " + what)
		}
	}
}
