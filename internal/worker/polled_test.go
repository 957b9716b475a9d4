package worker

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"belay/internal/bus"
	"belay/internal/executor"
	"belay/internal/executor/remote"
	"belay/internal/ladder"
	"belay/internal/steps"
)

// programs is what gives out the work of a remote rung.
type programs struct {
	t   *testing.T
	hub *remote.Hub
	url string
}

func newPrograms(t *testing.T) programs {
	h := remote.NewHub(nil)
	server := httptest.NewServer(h.Handler())
	t.Cleanup(server.Close)
	return programs{t, h, server.URL}
}

func (p programs) rung() ladder.Rung { return p.beating(20 * time.Second) }

// beating is a rung whose programs have to give a sign of life so often; a busy machine stands still for seconds.
func (p programs) beating(every time.Duration) ladder.Rung {
	return ladder.Rung{Executor: p.hub.Executor(tool.Tool, tool.Rung, executor.Remote{BeatEvery: every})}
}

func (p programs) post(ctx context.Context, path, body string) (status int, answer []byte) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url+"/work/"+path, strings.NewReader(body))
	if err != nil {
		p.t.Error(err)
		return 0, nil
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err = io.ReadAll(resp.Body)
	if err != nil {
		p.t.Error(err)
	}
	return resp.StatusCode, answer
}

// poll waits for an attempt and returns its lease.
func (p programs) poll() string {
	p.t.Helper()
	status, answer := p.post(p.t.Context(), "poll", `{"tools":["t"],"wait":"20s"}`)
	var call struct{ Lease string }
	if err := json.Unmarshal(answer, &call); status != http.StatusOK || err != nil {
		p.t.Fatalf("a poll is answered with %d %s", status, answer)
	}
	return call.Lease
}

func (p programs) say(want int, path, body string) string {
	p.t.Helper()
	status, answer := p.post(p.t.Context(), path, body)
	if status != want {
		p.t.Fatalf("%s is answered with %d %s, want %d", path, status, answer, want)
	}
	return string(answer)
}

// waiting polls until so many pulls wait at the server, which does not signal it.
func (r *rig) waiting(n int) {
	r.t.Helper()
	r.backlog(func(b bus.Backlog) bool { return b.Waiting == n })
}

// backlog waits until the queue is as is says: what the server says of it lags behind what was acknowledged.
func (r *rig) backlog(is func(bus.Backlog) bool) {
	r.t.Helper()
	var all []bus.Backlog
	var err error
	for begun := time.Now(); time.Since(begun) < time.Minute; time.Sleep(10 * time.Millisecond) {
		if all, err = r.Backlogs(r.t.Context()); err == nil && len(all) == 1 && is(all[0]) {
			return
		}
	}
	r.t.Fatalf("the queue is %+v, %v", all, err)
}

func TestARemoteRungIsServedWhileSomebodyPolls(t *testing.T) {
	t.Parallel()
	r, p := newRig(t), newPrograms(t)
	r.start(Options{}, p.rung())
	<-r.newest.Ready()
	r.queue(message(steps.EffectsNone))
	r.backlog(func(b bus.Backlog) bool { return b.Pending == 1 && b.InFlight == 0 && b.Waiting == 0 }) // nobody polls
	if s := r.newest.state(); len(s.Serves) != 0 || !slices.Equal(r.newest.Serves(), []string{"t/primary"}) {
		t.Errorf("nobody polls, and it says that it serves %v", s.Serves)
	}
	lease := p.poll()
	if s := r.newest.state(); !slices.Equal(s.Serves, []string{"t/primary"}) || s.Executing != 1 {
		t.Errorf("it says of itself %+v", s)
	}
	p.say(http.StatusNoContent, lease+"/succeed", `{"output":{"done":true}}`)
	stored := r.entries() // the program has heard it, so it is there
	if len(stored) == 0 || !strings.Contains(string(stored[len(stored)-1].Data), `{"done":true}`) {
		t.Errorf("the program was told that its output is stored, and the log has %d entries", len(stored))
	}
	r.drained()
}

func TestAnAttemptThatNobodyWaitsForGoesToOthers(t *testing.T) {
	t.Parallel()
	r, first, second := newRig(t), newPrograms(t), newPrograms(t)
	r.start(Options{Name: "first"}, first.rung())
	<-r.newest.Ready()
	ctx, leave := context.WithCancel(t.Context())
	gone := make(chan int, 1)
	go func() {
		status, _ := first.post(ctx, "poll", `{"tools":["t"]}`)
		gone <- status
	}()
	r.waiting(1)
	leave()
	<-gone
	for len(r.newest.state().Serves) > 0 { // until the worker knows
	}
	r.start(Options{Name: "second"}, second.rung())
	<-r.newest.Ready()
	r.submit(steps.EffectsUnsafe)
	r.queue(message(steps.EffectsUnsafe)) // the pull of the one that left brings it to the first worker
	lease := second.poll()
	second.say(http.StatusNoContent, lease+"/succeed", `{"output":1}`)
	all := r.until(isOutcome)
	for _, e := range all {
		if c, is := e.(steps.Claimed); is && !strings.HasPrefix(c.Worker, "second#") {
			t.Errorf("claimed by %s, for whom nobody waited", c.Worker)
		}
	}
	if done, is := all[len(all)-1].(steps.Succeeded); !is || string(done.Output) != "1" {
		t.Errorf("the outcome is %+v", all[len(all)-1])
	}
}

func TestALostProgramIsACrash(t *testing.T) {
	t.Parallel()
	r, p := newRig(t), newPrograms(t)
	r.start(Options{}, p.beating(200*time.Millisecond))
	r.submit(steps.EffectsUnsafe)
	r.queue(message(steps.EffectsUnsafe))
	lease := p.poll()
	if f := r.fault(steps.Crashed); f.Acted != steps.ActedMaybe {
		t.Errorf("fault = %+v", f)
	}
	if said := p.say(http.StatusGone, lease+"/succeed", `{"output":1}`); !strings.Contains(said, "gave no sign of life for 600ms") {
		t.Errorf("its late word is answered with %s", said)
	}
	r.drained()
}

func TestAStopWordReachesAProgram(t *testing.T) {
	t.Parallel()
	r, p := newRig(t), newPrograms(t)
	r.start(Options{}, p.rung())
	m := message(steps.EffectsNone)
	r.queue(m)
	lease := p.poll()
	if err := r.Tell(r.Names().Stop(m.Run, m.Attempt), nil); err != nil {
		t.Fatal(err)
	}
	said := ""
	for !strings.Contains(said, `"stop":true`) {
		said = p.say(http.StatusOK, lease+"/beat", `{}`)
	}
	if !strings.Contains(said, "the run is ending or has given this attempt up") {
		t.Errorf("a beat is answered with %s", said)
	}
	p.say(http.StatusNoContent, lease+"/fail", `{"class":"unavailable","acted":"no","message":"stopped in time"}`)
	if f := r.fault(steps.Unavailable); f.Acted != steps.ActedNo || f.Message != "stopped in time" {
		t.Errorf("fault = %+v", f)
	}
}

func TestADrainLetsProgramsFinish(t *testing.T) {
	t.Parallel()
	r, p := newRig(t), newPrograms(t)
	stop := r.start(Options{}, p.rung())
	r.queue(message(steps.EffectsNone))
	lease := p.poll()
	idle := make(chan int, 1)
	go func() {
		status, _ := p.post(t.Context(), "poll", `{"tools":["t"]}`)
		idle <- status
	}()
	r.waiting(1)
	drained := make(chan struct{})
	go func() { stop(); close(drained) }()
	if status := <-idle; status != http.StatusServiceUnavailable {
		t.Errorf("who waits is answered with %d", status)
	}
	p.say(http.StatusOK, lease+"/beat", `{"progress":"nearly"}`)
	p.say(http.StatusNoContent, lease+"/succeed", `{"output":1}`)
	<-drained
	r.drained()
}

func TestADrainTimeoutStopsPrograms(t *testing.T) {
	t.Parallel()
	r, p := newRig(t), newPrograms(t)
	stop := r.start(Options{DrainTimeout: 100 * time.Millisecond}, p.rung())
	r.queue(message(steps.EffectsNone))
	lease := p.poll()
	go stop()
	said := ""
	for !strings.Contains(said, `"stop":true`) {
		said = p.say(http.StatusOK, lease+"/beat", `{}`)
	}
	if !strings.Contains(said, "the drain timeout has passed") {
		t.Errorf("a beat is answered with %s", said)
	}
	if said := p.say(http.StatusGone, lease+"/fail", `{"class":"unavailable","message":"stopped"}`); !strings.Contains(said, "could not be stored") {
		t.Errorf("its word, which is nobody's any more, is answered with %s", said)
	}
	stop()
	r.start(Options{Name: "next"}, ok(func() {}))
	r.succeeded()
}
