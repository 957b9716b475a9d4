package chaos

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"belay"
)

var slotCalls = flag.Int("chaos.slots", 0, "calls that share ten slots while workers and dispatchers are killed; the figure in docs/reliability.md is of 10000")

// crowd is a service that counts the calls that it has at once, by their idempotency keys: what a killed worker has left does not count
// beside the call that replaces it.
type crowd struct {
	mu     sync.Mutex
	inHand map[string]int
	most   int
	calls  int
}

func (c *crowd) serve(rw http.ResponseWriter, r *http.Request) {
	key := r.Header.Get("Idempotency-Key")
	c.mu.Lock()
	c.calls++
	c.inHand[key]++
	c.most = max(c.most, len(c.inHand))
	c.mu.Unlock()
	select {
	case <-time.After(time.Duration(rand.IntN(40)) * time.Millisecond):
	case <-r.Context().Done():
	}
	c.mu.Lock()
	if c.inHand[key]--; c.inHand[key] == 0 {
		delete(c.inHand, key)
	}
	c.mu.Unlock()
	fmt.Fprint(rw, `{}`)
}

// TestSlotsUnderKills: never are more calls in hand than slots, whoever is killed, and all runs end.
func TestSlotsUnderKills(t *testing.T) {
	if *slotCalls == 0 {
		t.Skip("-chaos.slots=10000 takes some minutes")
	}
	const slots = 10
	c := &crowd{inHand: map[string]int{}}
	site := httptest.NewServer(http.HandlerFunc(c.serve))
	t.Cleanup(site.CloseClientConnections)
	tools := fmt.Sprintf("tools: {look: {effects: none, timeout: 1h, limits: {concurrency: %d}, rungs: [{http: {method: GET, url: %q}, timeout: 10s, retry: {initial: 50ms, max_attempts: 9}}]}}", slots, site.URL)
	f := startFleet(t, build(t, ""), "", tools)
	client, err := belay.Open(t.Context(), belay.Options{NATS: belay.NATS{Server: f.url, Timeout: time.Minute}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	plan := planOf(t, tools, `{name: p, steps: [{id: a, tool: look, for_each: "[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]", max_parallel: 10}]}`)
	ctx, stop := context.WithCancel(t.Context())
	killing := make(chan struct{})
	go func() {
		defer close(killing)
		members := f.members()
		for ctx.Err() == nil {
			pause(ctx, time.Second+time.Duration(rand.IntN(4000))*time.Millisecond)
			if m := members[rand.IntN(len(members))]; m.role != "server" && ctx.Err() == nil {
				f.kill(m)
			}
		}
	}()
	began, ended := time.Now(), 0
	flood(t, client, plan, *slotCalls/10, func(string, time.Duration) { ended++ })
	stop()
	<-killing
	c.mu.Lock()
	defer c.mu.Unlock()
	t.Logf("%d runs of 10 calls ended in %s; %d calls came, at most %d at once; killed: %v", ended, time.Since(began).Round(time.Second), c.calls, c.most, f.kills)
	if ended != *slotCalls/10 || c.most > slots {
		t.Errorf("%d runs ended; %d calls were in hand at once, and there are %d slots", ended, c.most, slots)
	}
}
