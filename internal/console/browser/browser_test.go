package browser

import (
	"cmp"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"

	"belay/internal/console"
	"belay/internal/console/consoletest"
	"belay/internal/handoff"
	"belay/internal/steps"
)

// policy is the Content-Security-Policy that the gate sets before the console; here, so that a page that would need
// more fails.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

var environment = console.Environment{Name: "PROD eu-1", Colour: console.Red}

// stage serves a console over a world that the browser's tests change and make anew.
type stage struct {
	mu      sync.Mutex
	world   *consoletest.World
	console http.Handler
	person  console.Person
	stop    context.CancelFunc // of what looks at the world in the background
}

func (s *stage) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stop != nil {
		s.stop()
	}
	s.person = consoletest.Approver("mia")
	s.world = consoletest.Morning(time.Now)
	c := console.New(console.Options{
		Desk: s.world, Together: s.world, Runs: s.world, Fleet: s.world, Changes: s.world, Environment: environment,
		Who: func(*http.Request) console.Person { return s.person }, Now: time.Now,
		Events: func(run string) string { return "/api/runs/" + run + "/events" }, Why: s.world.Why,
	})
	s.console = c
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	go c.Watch(ctx)
}

func (s *stage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	world, pages := s.world, s.console
	s.mu.Unlock()
	switch r.URL.Path {
	case "/stage/reset":
		s.reset()
	case "/stage/arrive": // one more question, the most urgent of all
		world.Put(urgent())
	case "/stage/decide": // somebody else is first
		_, err := world.Act(r.Context(), consoletest.Approver("bo"), r.URL.Query().Get("id"), handoff.Act{Verb: handoff.Action(steps.VerbAbort), Reason: "I was faster"})
		if err != nil {
			http.Error(w, err.Error(), http.StatusConflict)
		}
	case "/stage/wave": // many are being decided, and some of them are
		n, _ := strconv.Atoi(r.URL.Query().Get("done"))
		wave := consoletest.Wave(100, n)
		wave.Started = time.Now()
		if n == 100 {
			wave.State = handoff.BatchDone
		}
		world.PutBatch(wave)
	case "/stage/approvals": // twenty alike
		for n := range 20 {
			world.Put(consoletest.Approval(n, time.Now()))
		}
	case "/stage/unadvised": // a question loses its suggestion
		change(w, r, world, func(c *handoff.Card) { c.Dossier.Suggestion = nil })
	case "/stage/free": // nobody has it
		change(w, r, world, func(c *handoff.Card) { c.Item.Claim = nil })
	case "/login":
		s.signIn(w, r)
	case "/stage/hangup":
		world.Hangup()
	case "/stage/acts":
		_ = json.NewEncoder(w).Encode(world.Acts())
	case "/stage/listeners":
		_ = json.NewEncoder(w).Encode(world.Listeners())
	default:
		w.Header().Set("Content-Security-Policy", policy)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		pages.ServeHTTP(w, r)
	}
}

// change changes the card that a request names.
func change(w http.ResponseWriter, r *http.Request, world *consoletest.World, do func(*handoff.Card)) {
	card, err := world.Card(r.Context(), r.URL.Query().Get("id"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	do(&card)
	world.Put(card)
}

// signIn shows the page on which people sign in. What was sent is wrong.
func (s *stage) signIn(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Security-Policy", policy)
	page, status := console.SignIn{Next: "/", Provider: r.URL.Query().Has("provider")}, http.StatusOK
	if r.Method == http.MethodPost {
		page.Problem, status = "the token is not valid: it was revoked, or mistyped", http.StatusUnauthorized
	}
	_ = console.NewSignIn(environment)(w, status, page) // the browser is gone
}

// urgent is a question that belongs to the top of the list.
func urgent() handoff.Card {
	card := consoletest.StormCard(200, time.Now().Add(2*time.Minute))
	soon := time.Now().Add(time.Minute)
	card.Item.Fingerprint, card.Item.Tool, card.Item.Deadline = "another", "carrier.quote", &soon
	card.Dossier.Tool, card.Dossier.Deadline = "carrier.quote", &soon
	return card
}

func TestInABrowser(t *testing.T) {
	chromium := needed(t, "chromium")
	node := needed(t, "node")
	if _, err := os.Stat("node_modules"); err != nil {
		missing(t, "the browser tests need their packages: run `npm ci` in internal/console/browser")
	}
	s := &stage{}
	s.reset()
	defer func() { s.stop() }()
	server := httptest.NewUnstartedServer(s)
	if addr := os.Getenv("BELAY_BROWSER_LISTEN"); addr != "" {
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		server.Listener = l
	}
	server.Start()
	defer server.CloseClientConnections()
	cmd := exec.CommandContext(t.Context(), node, "--test", "--test-concurrency=1", "--test-reporter=spec")
	cmd.Env = append(os.Environ(), "BASE="+server.URL, "CHROMIUM="+chromium, "SHOTS="+cmp.Or(os.Getenv("BELAY_SHOTS"), t.ArtifactDir()))
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatalf("the tests in the browser failed: %v", err)
	}
}

func needed(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		missing(t, "the browser tests need "+program+" in the PATH")
	}
	return path
}

// missing skips the tests, or fails them where they must run.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("BELAY_BROWSER") == "1" {
		t.Fatal(what)
	}
	t.Skip(what)
}
