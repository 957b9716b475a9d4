package engine

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"belay/internal/bus"
	"belay/internal/dispatch"
	"belay/internal/handoff"
	"belay/internal/people"
	"belay/internal/plan"
	"belay/internal/runlog"
	"belay/internal/steps"
	"belay/internal/steps/view"
	"belay/internal/wire"
	"belay/internal/worker"
)

// smallPayload is what the server of these tests takes.
const smallPayload = 64 << 10

const smallTools = `tools:
  size: {effects: none, timeout: 20s, rungs: [{http: {method: POST, url: "%[1]s/size/${ params.n }"}}]}
  sizeonce: {effects: unsafe, timeout: 20s, rungs: [{http: {method: POST, url: "%[1]s/size/${ params.n }"}}]}
  take: {effects: none, timeout: 20s, rungs: [{http: {method: POST, url: "%[1]s/take"}}]}
`

// small is an engine on a server that takes less than Belay sends.
type small struct {
	*rig

	mu    sync.Mutex
	log   bytes.Buffer
	calls map[string]int // by path
}

func startSmall(t *testing.T) *small {
	t.Helper()
	nats, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, MaxPayload: smallPayload, JetStream: true, StoreDir: t.TempDir(), NoLog: true, NoSigs: true})
	if err != nil {
		t.Fatal(err)
	}
	go nats.Start()
	t.Cleanup(func() { nats.Shutdown(); nats.WaitForShutdown() })
	if !nats.ReadyForConnections(10 * time.Second) {
		t.Fatal("no server")
	}
	s := &small{calls: map[string]int{}}
	world := httptest.NewServer(http.HandlerFunc(s.answer))
	t.Cleanup(world.Close)
	tools, err := plan.ParseTools(filepath.Join(t.TempDir(), "tools.yaml"), fmt.Appendf(nil, smallTools, world.URL))
	if err != nil {
		t.Fatal(err)
	}
	e, err := Start(t.Context(), Options{
		Connect:  bus.Options{Server: nats.ClientURL()},
		Setup:    true,
		Dispatch: &dispatch.Options{Name: "d1", Logger: slog.New(slog.DiscardHandler)},
		People:   &PeopleOptions{Keys: t.TempDir()},
		Worker:   &WorkerOptions{Options: worker.Options{Name: "w1", AckWait: 10 * time.Second, Logger: slog.New(slog.DiscardHandler)}, Tools: tools},
		Logger:   slog.New(slog.NewTextHandler(s, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Stop)
	s.rig = &rig{e, tools}
	return s
}

// Write is the log.
func (s *small) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.Write(p)
}

func (s *small) said() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.String()
}

// answer gives as many bytes as it is asked for.
func (s *small) answer(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.calls[r.URL.Path]++
	s.mu.Unlock()
	n := 1
	_, _ = fmt.Sscanf(r.URL.Path, "/size/%d", &n)
	fmt.Fprintf(w, `{"v":%q}`, strings.Repeat("x", n))
}

// attempts checks that a step was called once and is with people, and that they are told both figures.
func (s *small) asked(t *testing.T, d view.Document, class steps.Class, path string, calls int, figures ...string) {
	t.Helper()
	last := d.Steps[len(d.Steps)-1]
	if d.State != steps.RunWaiting || len(d.Escalations) != 1 {
		t.Errorf("the run is %s with %d questions: %+v", d.State, len(d.Escalations), last)
	}
	at := last.Attempts[len(last.Attempts)-1]
	if at.Class != class || len(last.Attempts) != 1 {
		t.Errorf("attempts %+v, want one of class %s", last.Attempts, class)
	}
	for _, f := range figures {
		if !strings.Contains(at.Message, f) || !strings.Contains(last.Message, f) {
			t.Errorf("people are told %q and %q, without %s", at.Message, last.Message, f)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.calls[path] != calls {
		t.Errorf("%d calls of %s, want %d", s.calls[path], path, calls)
	}
}

// TestAServerThatTakesLittle: whatever is larger than the server's max_payload is said, with both figures, where it enters,
// and nothing is done again and again because of it.
func TestAServerThatTakesLittle(t *testing.T) {
	t.Parallel()
	s := startSmall(t)
	for _, part := range []string{"65536", "1048576", "max_payload"} {
		if !strings.Contains(s.said(), part) {
			t.Errorf("at the start it is said: %s; without %s", s.said(), part)
		}
	}
	t.Run("an output", func(t *testing.T) {
		d := s.run(t, "out", `{name: p, steps: [{id: a, tool: size, with: {n: 100000}}]}`)
		s.asked(t, d, steps.InvalidOutput, "/size/100000", 1, "100008 bytes", "65536")
	})
	t.Run("an output of an unsafe tool", func(t *testing.T) {
		d := s.run(t, "once", `{name: p, steps: [{id: a, tool: sizeonce, with: {n: 100001}}]}`)
		s.asked(t, d, steps.InvalidOutput, "/size/100001", 1, "100009 bytes", "65536")
	})
	t.Run("parameters", func(t *testing.T) {
		d := s.run(t, "params", `{name: p, steps: [
			{id: a, tool: size, with: {n: 40000}}, {id: b, tool: size, with: {n: 40001}},
			{id: c, tool: take, with: {a: "${ steps.a.output }", b: "${ steps.b.output }"}}]}`)
		s.asked(t, d, steps.BudgetExceeded, "/take", 0, "bytes", "65536")
	})
	t.Run("an answer", func(t *testing.T) {
		answer := json.RawMessage(`{"v":"` + strings.Repeat("y", 90000) + `"}`)
		_, err := s.Desk.Act(t.Context(), people.Trusted("mia", "cli"), "out-1", people.Act{Verb: people.Answer, Answer: answer})
		if !errors.Is(err, handoff.ErrInvalid) || !strings.Contains(err.Error(), "65536") {
			t.Errorf("an answer of 90 kB: %v", err)
		}
	})
	t.Run("a plan", func(t *testing.T) {
		doc, err := plan.ParsePlan("plan.yaml", []byte(`{name: p, input: {x: ""}, steps: [{id: a, tool: take, with: {x: "${ input.x }"}}]}`), s.tools)
		if err != nil {
			t.Fatal(err)
		}
		input := json.RawMessage(`{"x":"` + strings.Repeat("z", 90000) + `"}`)
		_, err = s.Runs.Submit(t.Context(), "large", steps.Submitted{Document: doc.JSON, Input: input})
		if !errors.Is(err, runlog.ErrTooLarge) || !strings.Contains(err.Error(), "65536") {
			t.Errorf("a submission of 90 kB: %v", err)
		}
	})
	t.Run("a dead letter", func(t *testing.T) {
		n := s.Bus.Names()
		p := wire.Partition("out", s.Bus.Partitions())
		m := bus.Message{Subject: n.Log(p, "out", wire.KindOutcome), Data: bytes.Repeat([]byte("g"), 60000)}
		if _, err := s.Bus.PublishWait(t.Context(), n.RunsStream(p), m); err != nil {
			t.Fatal(err)
		}
		within(t, time.Minute, func() bool {
			for _, i := range look(t, s.Engine) {
				if i.Kind == steps.KindDeadLetter && i.Run == "out" {
					return true
				}
			}
			return false
		}, func() string { return "no dead letter" })
	})
}
