package api

import (
	"context"
	"errors"
	"net/http"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"belay/internal/people"
	"belay/internal/server/gate"
)

// TestWaitsAreBounded by token, and in all.
func TestWaitsAreBounded(t *testing.T) {
	t.Parallel()
	a := &api{Options{Waits: gate.NewWaits()}}
	of := func(token int) people.Actor { return people.Actor{Name: "mia", Token: strconv.Itoa(token)} }
	refused := func(who people.Actor, status int) {
		t.Helper()
		_, err := a.enter(who, true)
		if f, ok := errors.AsType[fault](err); !ok || f.status != status {
			t.Errorf("%v, not a %d", err, status)
		}
	}
	var all []func()
	for n := range gate.MostWaits {
		leave, err := a.enter(of(n/gate.MostWaitsOf), true)
		if err != nil {
			t.Fatalf("%d: %v", n, err)
		}
		all = append(all, leave)
	}
	refused(of(0), http.StatusTooManyRequests)
	refused(of(gate.MostWaits), http.StatusServiceUnavailable)
	if _, err := a.enter(of(0), false); err != nil {
		t.Errorf("who does not wait is refused: %v", err)
	}
	all[0]()
	if _, err := a.enter(of(0), true); err != nil {
		t.Errorf("who waits after one has left is refused: %v", err)
	}
}

// TestNothingIsLeftOfCallersWhoVanish, and what is refused has started nothing. It counts goroutines, so nothing runs
// beside it.
func TestNothingIsLeftOfCallersWhoVanish(t *testing.T) { //nolint:paralleltest // it counts all goroutines
	o := open(t)
	o.held("run1")
	before := runtime.NumGoroutine()
	ctx, vanish := context.WithCancel(t.Context())
	client := &http.Client{Transport: &http.Transport{}}
	var started, gone sync.WaitGroup
	for n := range gate.MostWaitsOf {
		started.Add(1)
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, o.url+"/api/v1/runs/run1/events", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Who", "mia")
		r.Header.Set("Accept", "text/event-stream")
		if n%2 == 0 { // nothing comes
			r.Header.Set("Last-Event-ID", "1000000")
		}
		gone.Go(func() {
			res, err := client.Do(r)
			started.Done()
			if err == nil {
				<-ctx.Done()
				res.Body.Close()
			}
		})
	}
	started.Wait()
	o.refused(o.ask("GET", "/api/v1/runs/run1/events", "", "Accept", "text/event-stream"), 429, "too_many_waits")
	a := o.ask("POST", "/api/v1/runs?wait=1s", `{"plan":"look","id":"never"}`)
	o.refused(a, 429, "too_many_waits")
	if a.Header.Get("Retry-After") == "" {
		t.Error("it does not say when to ask again")
	}
	o.refused(o.ask("GET", "/api/v1/runs/never", ""), 404, "no_run")
	if a := o.ask("GET", "/api/v1/runs/run1?wait=1s", "", "X-Who", "bo"); a.StatusCode != http.StatusOK {
		t.Errorf("somebody else is refused: %s", a.text)
	}
	vanish()
	gone.Wait()
	client.CloseIdleConnections()
	for deadline := time.Now().Add(time.Minute); runtime.NumGoroutine() > before+10; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines before, %d after", before, runtime.NumGoroutine())
		}
	}
	if a := o.ask("GET", "/api/v1/runs/run1?wait=1s", ""); a.StatusCode != http.StatusOK {
		t.Errorf("the places of those who vanished are taken: %s", a.text)
	}
}
