package chaos

import (
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"belay/internal/access"
	"belay/internal/bus/embedded"
	"belay/internal/dlq"
	"belay/internal/freeport"
	"belay/internal/handoff"
	"belay/internal/people"
	"belay/internal/plan"
	"belay/internal/steps"
	"belay/internal/steps/view"
)

var clockSeeds = flag.Int("chaos.clocks", 1, "worlds of wrong clocks in TestClocksThatAreWrong; the figure in docs/reliability.md is of 100")

// What a deadline may be early or late by, compared with the log's own time.
const (
	clockEarly = time.Second
	clockLate  = 30 * time.Second
)

const clockPlan = `
name: clocks
input: {n: 1}
deadline: 5m
steps:
  - {id: a, needs: [], tool: flaky, with: {n: "${ input.n }"}}
  - {id: b, needs: [], tool: pay, with: {n: "${ input.n }"}}
  - {id: c, needs: [], tool: slow, with: {n: "${ input.n }"}, on_failure: skip}
  - {id: d, needs: [], tool: ask, with: {n: "${ input.n }"}}
  - {id: e, tool: flaky, needs: [b], with: {n: "${ input.n }"}}
`

// What slow may take, and people have for their answer.
const (
	slowBudget = 3 * time.Second
	askedFor   = 2 * time.Second
)

const clockTools = `
tools:
  flaky: {effects: idempotent, timeout: 4m, rungs: [{name: primary, http: {method: POST, url: "URL/flaky"}, timeout: 30s, retry: {initial: 2s, max_attempts: 5}}]}
  pay: {effects: unsafe, timeout: 4m, approval: {when: "params.n % 2 == 0", valid_for: 1m}, rungs: [{name: primary, http: {method: POST, url: "URL/pay"}, timeout: 30s}]}
  slow: {effects: none, timeout: 3s, rungs: [{name: primary, http: {method: POST, url: "URL/slow"}, timeout: 1m}]}
  note: {effects: none, rungs: [{name: primary, command: {argv: [cat]}}]}
  ask:
    effects: none
    timeout: 4m
    rungs:
      - {name: desk, human: {question: "Which?", deadline: 2s, on_deadline: fallback}}
      - {name: usual, static: {output: {ok: true}}}
`

// clockWorld is the outside world, which notes when each call arrives, by its path and key. Its clock is the server's.
type clockWorld struct {
	*httptest.Server
	mu    sync.Mutex
	calls map[string][]time.Time
}

func newClockWorld(t *testing.T) *clockWorld {
	w := &clockWorld{calls: map[string][]time.Time{}}
	w.Server = httptest.NewServer(http.HandlerFunc(w.serve))
	t.Cleanup(w.CloseClientConnections)
	return w
}

func (w *clockWorld) serve(rw http.ResponseWriter, r *http.Request) {
	now := time.Now()
	_, _ = io.Copy(io.Discard, r.Body)
	key := r.URL.Path + " " + r.Header.Get("Idempotency-Key")
	w.mu.Lock()
	w.calls[key] = append(w.calls[key], now)
	n := len(w.calls[key])
	w.mu.Unlock()
	switch {
	case r.URL.Path == "/slow":
		<-r.Context().Done()
		return
	case r.URL.Path == "/flaky" && n == 1:
		rw.WriteHeader(http.StatusServiceUnavailable)
	}
	fmt.Fprint(rw, `{"ok":true}`)
}

func (w *clockWorld) arrived(path, key string) []time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.calls[path+" "+key]
}

// skewedFleet is dispatchers and workers on machines whose clocks are wrong, at a server whose clock is right, and somebody who
// submits and decides.
type skewedFleet struct {
	*client
	world  *clockWorld
	clocks map[member]string
	tokens *access.Tokens

	next  int
	late  time.Duration // the latest that anything was
	early time.Duration // and the earliest, if before its time
	asked int
	wrong []string
}

// startSkewed starts so many workers and two dispatchers, whose clocks are as given.
func startSkewed(t *testing.T, clocks map[member]string) *skewedFleet {
	t.Helper()
	w := newClockWorld(t)
	server, err := embedded.Start(embedded.Options{StoreDir: t.TempDir(), Durability: embedded.Interval, Listen: freeport.Address(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Shutdown)
	s := &skewedFleet{world: w, clocks: clocks}
	f := &fleet{t: t, bin: buildSkewed(t), dir: t.TempDir(), url: server.URL(), procs: map[member]*process{}, kills: map[string]int{}, workerArgs: []string{"--concurrency", "64"}}
	f.crash = func(m member) []string { return []string{"BELAY_CLOCK=" + s.clocks[m]} }
	for name, text := range map[string]string{"tools.yaml": strings.ReplaceAll(clockTools, "URL", w.URL), "plan.yaml": clockPlan} {
		if err := os.WriteFile(filepath.Join(f.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f.shareKey()
	t.Cleanup(f.end)
	for m := range clocks {
		if m.role == "dispatcher" {
			f.start(m)
		}
	}
	s.client = f.client(nil)
	s.read(t)
	for m := range clocks {
		if m.role == "worker" {
			f.start(m)
		}
	}
	return s
}

// read reads the plan, and has people decide through a dispatcher, which signs for them: it is not this process whose clock
// counts.
func (s *skewedFleet) read(t *testing.T) {
	t.Helper()
	tools, err := plan.LoadTools(filepath.Join(s.fleet.dir, "tools.yaml"))
	if err == nil {
		s.doc, err = plan.ParsePlan("plan.yaml", []byte(clockPlan), tools)
	}
	if err == nil {
		s.tokens, err = access.OpenTokens(t.Context(), s.bus)
	}
	var token string
	if err == nil {
		token, _, err = s.tokens.Make(t.Context(), access.Token{Name: "mia", Owner: "mia", Role: people.Approver, Expires: time.Now().Add(30 * time.Minute)}, time.Now())
	}
	if err != nil {
		t.Fatal(err)
	}
	s.act = handoff.Remote{Bus: s.bus, Token: token}.Act
}

// play submits runs, approves what is to be approved, and waits until all have ended; then it compares.
func (s *skewedFleet) play(ctx context.Context, runs int) {
	first := s.next
	s.next += runs
	for n := first; n < s.next; n++ {
		s.submit(ctx, n)
	}
	left := map[int]bool{}
	for n := first; n < s.next; n++ {
		left[n] = true
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for len(left) > 0 && ctx.Err() == nil {
		s.approve(ctx)
		for n := range left {
			if st, err := s.runs.Load(ctx, runID(n)); err == nil && st.Status().Ended() {
				delete(left, n)
				s.judge(n, st)
			}
		}
		pause(ctx, 200*time.Millisecond)
	}
	for n := range left {
		s.say(n, "has not ended after two minutes")
	}
}

// approve approves what waits for it, and nothing else.
func (s *skewedFleet) approve(ctx context.Context) {
	open, err := dlq.New(s.bus).List(ctx)
	if err != nil {
		return
	}
	for _, e := range open {
		st, err := s.runs.Load(ctx, e.Run)
		if err != nil || e.Kind != steps.KindApproval {
			continue
		}
		if n := st.FindEscalation(e.ID); n >= 0 && st.Escalations[n].State == steps.EscalationOpen {
			_, _ = s.act(ctx, people.Trusted("mia", ""), e.ID, people.Act{Verb: "approve", Digest: view.DossierOf(st, n).Approval.Digest})
		}
	}
}

func (s *skewedFleet) say(n int, format string, args ...any) {
	s.wrong = append(s.wrong, runID(n)+" "+fmt.Sprintf(format, args...))
}

// judge compares an ended run with what its log says should have been when.
func (s *skewedFleet) judge(n int, st *steps.State) {
	if st.Status() != steps.RunDegraded {
		s.say(n, "ends as %s", st.Status())
	}
	for _, e := range st.Escalations {
		s.asked++
		switch {
		case e.Kind == steps.KindApproval && n%2 == 0 && e.State == steps.EscalationDecided:
		case e.Question != nil:
			s.due(n, "a question's deadline", e.Ended, e.Opened.Add(askedFor))
		default:
			s.say(n, "went to a person: %s %s: %s", e.Kind, e.State, e.Fault.Message)
		}
	}
	for i := range st.Units {
		s.judgeUnit(n, &st.Units[i])
	}
}

func (s *skewedFleet) judgeUnit(n int, u *steps.Unit) {
	switch u.ID {
	case "a", "e":
		calls := s.world.arrived("/flaky", runID(n)+"/"+u.ID+"/0")
		if len(calls) != 2 || len(u.Attempts) != 2 {
			s.say(n, "%s was called %d times, in %d attempts", u.ID, len(calls), len(u.Attempts))
			return
		}
		s.due(n, "a retry", calls[1], u.Attempts[1].Queued.Add(time.Duration(u.Attempts[1].Wait)))
	case "b":
		if calls := s.world.arrived("/pay", runID(n)+"/b/0"); len(calls) != 1 {
			s.say(n, "was paid %d times", len(calls))
		}
	case "c":
		last := u.Attempts[len(u.Attempts)-1]
		s.due(n, "a budget", last.Ended, u.Attempts[0].Queued.Add(slowBudget))
	}
}

// due compares when something happened with when it was due.
func (s *skewedFleet) due(n int, what string, at, due time.Time) {
	late := at.Sub(due)
	s.late, s.early = max(s.late, late), max(s.early, -late)
	if late < -clockEarly || late > clockLate {
		s.say(n, "%s was %s late", what, late.Round(time.Millisecond))
	}
}

// randomClock is a clock that is up to an hour wrong, drifts, and is set now and then.
func randomClock(rnd *rand.Rand) string {
	wrong := []time.Duration{0, 90 * time.Second, -90 * time.Second, time.Hour, -time.Hour, 2 * time.Second, -2 * time.Second}
	pick := func() time.Duration { return wrong[rnd.IntN(len(wrong))] }
	words := []string{"0s:" + pick().String(), "drift:" + time.Duration(rnd.IntN(100)*int(time.Millisecond)-50*int(time.Millisecond)).String()}
	for range rnd.IntN(3) {
		words = append(words, (time.Duration(rnd.IntN(12000))*time.Millisecond).String()+":"+pick().String())
	}
	return strings.Join(words, " ")
}

// TestClocksThatAreWrong: two dispatchers and three workers, each on a machine whose clock is up to an hour wrong, drifts and is
// set while runs retry, wait for people and approvals and use up their budgets. Nothing stands still, nothing is early or much
// too late by the log's own time, and nothing is paid twice.
func TestClocksThatAreWrong(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the programs anew")
	}
	all := []member{{"dispatcher", 0}, {"dispatcher", 1}, {"worker", 0}, {"worker", 1}, {"worker", 2}}
	first := *seed
	if first == 0 {
		first = uint64(time.Now().UnixNano())
	}
	began, played := time.Now(), 0
	var s *skewedFleet
	for n := range uint64(*clockSeeds) {
		if end, ok := t.Deadline(); ok && time.Until(end) < 3*time.Minute {
			break // what was played is said below
		}
		rnd, clocks := rand.New(rand.NewPCG(first+n, 0)), map[member]string{}
		for _, m := range all {
			clocks[m] = randomClock(rnd)
		}
		if s == nil {
			s = startSkewed(t, clocks)
		} else {
			s.anew(clocks)
		}
		before := len(s.wrong)
		s.play(t.Context(), 10)
		if played++; len(s.wrong) > before {
			t.Errorf("seed %d, clocks %v: %v", first+n, clocks, s.wrong[before:])
			if len(s.wrong) > 20 {
				break
			}
		}
	}
	if s == nil {
		t.Skip("there is no time left for it: the tests beside it took too long")
	}
	t.Logf("%d worlds from seed %d: %d runs, %d wrong; people were asked %d times; at most %s late and %s early; %s",
		played, first, s.next, len(s.wrong), s.asked, s.late.Round(time.Millisecond), s.early.Round(time.Millisecond), time.Since(began).Round(time.Second))
}

// anew stops all processes, which come back with other clocks.
func (s *skewedFleet) anew(clocks map[member]string) {
	s.fleet.mu.Lock()
	s.clocks = clocks
	s.fleet.mu.Unlock()
	var ended sync.WaitGroup
	for m := range clocks {
		ended.Go(func() { s.fleet.stop(m) })
	}
	ended.Wait()
}

// TestAWorkerIsBehind by 90 seconds, and does all the work: 59 of 60 such runs stood still.
func TestAWorkerIsBehind(t *testing.T) { oneWorker(t, "0s:-90s") }

// TestAWorkerIsAhead by an hour, and does all the work: all that needed approval went to people, for whom nothing was left to do.
func TestAWorkerIsAhead(t *testing.T) { oneWorker(t, "0s:1h") }

func oneWorker(t *testing.T, clock string) {
	t.Helper()
	if testing.Short() {
		t.Skip("builds the programs anew")
	}
	runs := 10
	if *clockSeeds > 1 {
		runs = 60
	}
	s := startSkewed(t, map[member]string{{"dispatcher", 0}: "", {"worker", 0}: clock})
	s.play(t.Context(), runs)
	if len(s.wrong) > 0 {
		t.Errorf("%d wrong: %v", len(s.wrong), s.wrong[:min(5, len(s.wrong))])
	}
	said, err := os.ReadFile(filepath.Join(s.fleet.dir, "worker0.log"))
	if n := strings.Count(string(said), "this machine's clock is wrong"); n != 1 || err != nil {
		t.Errorf("the worker says %d times that its clock is wrong: %v", n, err)
	}
	t.Logf("%d runs, %d wrong; at most %s late and %s early", runs, len(s.wrong), s.late.Round(time.Millisecond), s.early.Round(time.Millisecond))
}
