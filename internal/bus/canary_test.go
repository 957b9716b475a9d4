package bus

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"belay/internal/bus/embedded"
)

// begin runs a canary, and returns it once the store has proven to take writes.
func begin(t *testing.T, b *Bus, o CanaryOptions) *Canary {
	t.Helper()
	c := NewCanary(b, o)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { _ = c.Run(ctx); close(done) }()
	t.Cleanup(func() { cancel(); <-done })
	becomes(t, c, func(err error) bool { return err == nil })
	return c
}

// becomes waits until the canary says what is wanted.
func becomes(t *testing.T, c *Canary, want func(error) bool) error {
	t.Helper()
	timeout := time.After(30 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := c.Ready()
		if want(err) {
			return err
		}
		select {
		case <-tick.C:
		case <-timeout:
			t.Fatalf("ready: %v", err)
		}
	}
}

// TestReadyIsAWrite: without a confirmed write to each partition of the log a process is not ready, and what is written for that
// does not grow.
func TestReadyIsAWrite(t *testing.T) {
	t.Parallel()
	_, b := start(t, t.TempDir(), embedded.Fsync)
	c := NewCanary(b, CanaryOptions{Kind: "test", Log: true})
	if err := c.Ready(); err == nil {
		t.Error("ready before anything was written")
	}
	begin(t, b, CanaryOptions{Kind: "test", Log: true})
	for range 3 {
		c.look(t.Context())
	}
	if err := c.Ready(); err != nil {
		t.Error(err)
	}
	for p := range b.Partitions() {
		info, err := b.About(t.Context(), b.Names().RunsStream(p))
		if err != nil || info.Messages != 1 {
			t.Errorf("partition %d has %d messages: %v", p, info.Messages, err)
		}
	}
}

// TestNoRoomIsSaid: where the limit of the store is reached, and for as long as it is.
func TestNoRoomIsSaid(t *testing.T) {
	t.Parallel()
	s := serve(t, embedded.Options{StoreDir: t.TempDir(), MaxStore: 64 << 10})
	b := connect(t, s)
	setUp(t, b, SetupOptions{Partitions: 1})
	c := begin(t, b, CanaryOptions{Kind: "test", Log: true})
	stream, subject := b.Names().RunsStream(0), b.Names().Log(0, "big", "plan")
	var err error
	for err == nil {
		_, err = b.PublishWait(t.Context(), stream, Message{Subject: subject, Data: make([]byte, 16<<10)})
	}
	if !errors.Is(err, ErrFull) {
		t.Fatal(err)
	}
	err = becomes(t, c, func(err error) bool { return errors.Is(err, ErrNoWrites) })
	for _, word := range []string{"there has been no room since 20", stream, "the last good one was at 20", "max_file_store"} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%q is not in: %v", word, err)
		}
	}
	if err := b.Purge(t.Context(), stream, subject); err != nil {
		t.Fatal(err)
	}
	becomes(t, c, func(err error) bool { return err == nil })
}

// TestWritesWithoutAnAnswer make a process not ready until one is confirmed, and what the server says of itself does at once.
func TestWritesWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	_, b := start(t, t.TempDir(), embedded.Fsync)
	var failed []string
	c := NewCanary(b, CanaryOptions{Kind: "test", Log: true, Failed: func() ([]string, time.Time) { return failed, time.Now() }})
	c.look(t.Context())
	stream := b.Names().RunsStream(1)
	b.wrote(stream, time.Now().Add(time.Millisecond), b.ConnectedAt(), errTimeout)
	err := c.Ready()
	if !errors.Is(err, ErrNoWrites) || !strings.Contains(err.Error(), "writes have got no answer") || !strings.Contains(err.Error(), "then restart it") {
		t.Errorf("%v", err)
	}
	if c.Trouble(stream) == nil || c.Trouble(b.Names().RunsStream(0)) != nil {
		t.Errorf("%v, %v", c.Trouble(stream), c.Trouble(b.Names().RunsStream(0)))
	}
	c.look(t.Context())
	if err := c.Ready(); err != nil {
		t.Error(err)
	}
	failed = []string{stream}
	if err := c.Ready(); !errors.Is(err, ErrNoWrites) {
		t.Errorf("%v", err)
	}
}
