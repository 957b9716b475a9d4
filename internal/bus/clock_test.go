package bus

import (
	"encoding/json"
	"testing"
	"time"

	"belay/internal/wire"
)

// TestClock: what the server is taken to say is its time is around the time that it gives a message.
func TestClock(t *testing.T) {
	t.Parallel()
	_, b := start(t, t.TempDir(), "")
	c, err := b.AskTime(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	before := c.Earliest(time.Now())
	p := wire.Partition("r", b.Partitions())
	subject := b.Names().Log(p, "r", wire.KindOutcome)
	if _, err := b.PublishWait(t.Context(), b.Names().RunsStream(p), Message{Subject: subject, Run: "r", Data: []byte("x")}); err != nil {
		t.Fatal(err)
	}
	after := c.Latest(time.Now())
	all, err := b.ReadLog(t.Context(), "r", 0)
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	if at := all[0].Time; at.Before(before) || at.After(after) {
		t.Errorf("stored at %v, not between %v and %v", at, before, after)
	}
}

// TestAClockThatIsWrong changes nothing: only the time that has passed here counts.
func TestAClockThatIsWrong(t *testing.T) {
	t.Parallel()
	now := time.Now()
	server := now.Add(-2 * time.Minute)
	c := NewClock(server, now.Add(-30*time.Millisecond), now)
	if got := c.Earliest(now.Add(time.Hour)); !got.Equal(server.Add(time.Hour)) {
		t.Errorf("an hour after the answer it is at least %v", got)
	}
	if got := c.Latest(now.Add(time.Hour)); !got.Equal(server.Add(time.Hour + 30*time.Millisecond)) {
		t.Errorf("an hour after the answer it is at most %v", got)
	}
	if got := new(Clock).Latest(now); !got.Equal(now) {
		t.Errorf("nobody was asked, and it is %v", got)
	}
}

// TestALeaseIsByTheServersTime: whoever's machine is an hour wrong has it for no longer than others, and takes it from nobody.
func TestALeaseIsByTheServersTime(t *testing.T) {
	t.Parallel()
	_, b := start(t, t.TempDir(), "")
	bucket, err := b.Bucket(t.Context(), "leases", "")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	wrong := NewClock(now.Add(-time.Hour), now, now) // this machine is an hour ahead of the server
	b.clock.Store(&wrong)
	if ours, err := NewLease(bucket, "k", time.Minute).Renew(t.Context()); !ours || err != nil {
		t.Fatal(ours, err)
	}
	var held leaseHolder
	it, _, err := bucket.Get(t.Context(), "k")
	if err == nil {
		err = json.Unmarshal(it.Value, &held)
	}
	if left := held.Until.Sub(b.Now()); err != nil || left > time.Minute || left < 0 {
		t.Errorf("it is held for %v by the server's time: %v", left, err)
	}
	if ours, err := NewLease(bucket, "k", time.Minute).Renew(t.Context()); ours || err != nil {
		t.Errorf("another one takes it: %v %v", ours, err)
	}
}
