package limits

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"belay/internal/bus"
	"belay/internal/bus/bustest"
	"belay/internal/wire"
)

// keeping runs a Keeper until the test ends, or until it is stopped.
func keeping(t *testing.T, b *bus.Bus, given func(k *Keeper, t Use)) (k *Keeper, stop func()) {
	t.Helper()
	k = NewKeeper(b, slog.New(slog.DiscardHandler))
	k.WhenGiven(func(_ int, t Use) { given(k, t) })
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		k.Run(ctx)
	}()
	stop = func() {
		cancel()
		<-done
	}
	t.Cleanup(stop)
	select {
	case <-k.Ready():
	case <-time.After(30 * time.Second):
		t.Fatal("it never knows who has a slot")
	}
	return k, stop
}

// desk counts the slots that are taken, as those know who were told.
type desk struct {
	mu      sync.Mutex
	has     map[string]bool
	most    int
	doubled bool
	ended   chan string
}

func (d *desk) given(k *Keeper, own func(string) bool, t Use) {
	if !own(t.Attempt) {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.doubled = d.doubled || d.has[t.Attempt]
	d.has[t.Attempt] = true
	d.most = max(d.most, len(d.has))
	go func() {
		d.mu.Lock()
		delete(d.has, t.Attempt)
		d.mu.Unlock()
		k.GiveBack(t)
		d.ended <- t.Attempt
	}()
}

// TestTwoShareSlots: two dispatchers have attempts wait for three slots. Each gets one once, and never have more than three one.
func TestTwoShareSlots(t *testing.T) {
	t.Parallel()
	const slots, each = 3, 60
	d := &desk{has: map[string]bool{}, ended: make(chan string, 2*each)}
	b := bustest.Start(t, 2)
	var all []*Keeper
	for n := range 2 { // each has a partition of the log
		mine := func(attempt string) bool { return wire.Partition(RunOf(attempt), 2) == n }
		k, _ := keeping(t, b, func(k *Keeper, t Use) { d.given(k, mine, t) })
		all = append(all, k)
	}
	count := [2]int{}
	for i := 0; count[0] < each || count[1] < each; i++ {
		run := fmt.Sprint("r", i)
		if p := wire.Partition(run, 2); count[p] < each {
			count[p]++
			all[p].Stand("tool/pay", "pay", Waiter{Attempt: run + "/s/0-0-1", Since: time.Now().UTC(), Most: slots})
		}
	}
	for range 2 * each {
		select {
		case <-d.ended:
		case <-time.After(30 * time.Second):
			t.Fatal("somebody never gets a slot")
		}
	}
	if d.most > slots || d.most < 2 || d.doubled {
		t.Errorf("%d of %d slots were taken at once; one of them twice: %v", d.most, slots, d.doubled)
	}
}

// TestSlotsAreStoredAgain where somebody removes their record: whoever has a slot keeps it, and nobody else gets it.
func TestSlotsAreStoredAgain(t *testing.T) {
	t.Parallel()
	b := bustest.Start(t, 1)
	got := make(chan Use, 10)
	k, _ := keeping(t, b, func(_ *Keeper, t Use) { got <- t })
	next := func() Use {
		select {
		case x := <-got:
			return x
		case <-time.After(30 * time.Second):
			t.Fatal("nobody gets a slot")
		}
		return Use{}
	}
	k.Stand("tool/pay", "pay", Waiter{Attempt: "a/s/0-0-1", Since: noon, Most: 1})
	a := next()
	bucket, err := k.bucket(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := bucket.Delete(t.Context(), keyOf(slotsPrefix, "tool/pay")); err != nil {
		t.Fatal(err)
	}
	k.Stand("tool/pay", "pay", Waiter{Attempt: "b/s/0-0-1", Since: noon, Most: 1})
	for end := time.Now().Add(30 * time.Second); ; {
		all, err := List(t.Context(), b)
		if err != nil || time.Now().After(end) {
			t.Fatal(all, err)
		}
		if len(all) == 1 && all[0].InHand == 1 && all[0].Waiting == 1 && all[0].Calls[0].Attempt == a.Attempt {
			break
		}
	}
	k.GiveBack(a)
	if x := next(); x.Attempt != "b/s/0-0-1" {
		t.Error(x)
	}
}
