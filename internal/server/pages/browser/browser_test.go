package browser

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"

	"belay/internal/handoff"
	"belay/internal/manual"
	"belay/internal/people"
	"belay/internal/schedules"
	"belay/internal/server/pages"
	"belay/internal/server/pages/pagestest"
	"belay/internal/steps"
)

// policy is the Content-Security-Policy that the gate sets before the console; here, so that a page that would need
// more fails.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

var environment = pages.Environment{Name: "PROD eu-1", Colour: pages.Red}

// stage serves a console over a world that the browser's tests change and make anew.
type stage struct {
	mu      sync.Mutex
	world   *pagestest.World
	console http.Handler
	person  people.Actor
	keys    *pagestest.Passkeys
	stop    context.CancelFunc // of what looks at the world in the background
}

func (s *stage) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stop != nil {
		s.stop()
	}
	s.person = pagestest.Approver("mia")
	s.world = pagestest.Morning(time.Now)
	s.world.Schedules = []schedules.Schedule{pagestest.Nightly(time.Now())}
	s.keys = &pagestest.Passkeys{}
	c := pages.New(pages.Options{
		Desk: s.world, Redrives: s.world, Runs: s.world, Replays: s.world, Migrations: s.world, Tools: s.world.Tools, Workers: s.world.Workers, Examine: s.world.Examine, Gates: s.world, Schedules: s.world, Score: s.world, Passkeys: s.keys, Changes: &s.world.Changes, Environment: environment,
		Who: func(*http.Request) people.Actor { return s.person }, Now: time.Now,
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
		_, err := world.Act(r.Context(), pagestest.Approver("bo"), r.URL.Query().Get("id"), people.Act{Verb: people.Abort, Reason: "I was faster"})
		if err != nil {
			http.Error(w, err.Error(), http.StatusConflict)
		}
	case "/stage/wave": // many are being decided, and some of them are
		n, _ := strconv.Atoi(r.URL.Query().Get("done"))
		wave := pagestest.Wave(100, n)
		wave.Started = time.Now()
		if n == 100 {
			wave.State = handoff.RedriveDone
		}
		world.PutRedrive(wave)
	case "/stage/approvals": // twenty alike
		for n := range 20 {
			world.Put(pagestest.Approval(n, time.Now()))
		}
	case "/stage/agents": // a call and a limit of agents
		pagestest.PutAgents(world)
	case "/stage/over": // the run of an agent is cancelled
		d, err := world.Document(r.Context(), pagestest.Payout[:len(pagestest.Payout)-2])
		if err != nil {
			http.Error(w, err.Error(), http.StatusNotFound)
			return
		}
		d.State = steps.RunCancelled
		world.PutRun(d)
	case "/stage/messages":
		_ = json.NewEncoder(w).Encode(world.Messages())
	case "/stage/unadvised": // a question loses its suggestion
		change(w, r, world, func(c *handoff.Card) { c.Dossier.Suggestion = nil })
	case "/stage/passkey": // the tool of a question asks for one
		change(w, r, world, func(c *handoff.Card) { c.Dossier.Approval.Proof = steps.ProofPasskey })
	case "/stage/proven":
		s.proven(w, r)
	case "/stage/free": // nobody has it
		change(w, r, world, func(c *handoff.Card) { c.Item.Claim = nil })
	case "/login":
		s.signIn(w, r)
	case "/login/code": // as dispatcher dev asks before somebody decides what an agent does
		s.signInByCode(w, r)
	case "/stage/hangup":
		world.Changes.Hangup()
	case "/stage/acts":
		_ = json.NewEncoder(w).Encode(world.Acts())
	case "/stage/listeners":
		_ = json.NewEncoder(w).Encode(world.Changes.Listeners())
	default:
		w.Header().Set("Content-Security-Policy", policy)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		pages.ServeHTTP(w, r)
	}
}

// change changes the card that a request names.
func change(w http.ResponseWriter, r *http.Request, world *pagestest.World, do func(*handoff.Card)) {
	card, err := world.Card(r.Context(), r.URL.Query().Get("id"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	do(&card)
	world.Put(card)
}

// proven checks what a passkey has signed for the first act, as workers do.
func (s *stage) proven(w http.ResponseWriter, r *http.Request) {
	all, err := s.keys.Seen(r.Context(), people.Actor{Role: people.Admin})
	if acts := s.world.Acts(); err == nil && len(all) == 1 && len(acts) == 1 && acts[0].Passkey != nil {
		if err = all[0].Verify(*acts[0].Passkey, []byte("approve "+r.URL.Query().Get("id"))); err == nil {
			return
		}
	}
	http.Error(w, fmt.Sprint("nothing was signed: ", err), http.StatusConflict)
}

// signIn shows the page on which people sign in. What was sent is wrong, unless it is the-code.
func (s *stage) signIn(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Security-Policy", policy)
	problem, status := "", http.StatusOK
	if r.Method == http.MethodPost && r.FormValue("token") == "the-code" {
		http.Redirect(w, r, r.FormValue("next"), http.StatusSeeOther)
		return
	}
	if r.Method == http.MethodPost {
		problem, status = "the token is not valid: it was revoked, or mistyped", http.StatusUnauthorized
	}
	_ = pages.NewSignIn(environment)(w, status, "/", problem, r.URL.Query().Has("provider")) // the browser is gone
}

// signInByCode shows the page of the sign-in code. Its form sends what was typed to /login.
func (s *stage) signInByCode(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Security-Policy", policy)
	_ = pages.NewCodeSignIn(environment)(w, http.StatusOK, r.URL.Query().Get("next"), r.URL.Query().Get("problem"), false) // the browser is gone
}

// urgent is a question that belongs to the top of the list.
func urgent() handoff.Card {
	card := pagestest.StormCard(200, time.Now().Add(2*time.Minute))
	soon := time.Now().Add(time.Minute)
	card.Item.Fingerprint, card.Item.Tool, card.Item.Deadline = "another", "carrier.quote", &soon
	card.Dossier.Tool, card.Dossier.Deadline = "carrier.quote", &soon
	return card
}

func TestInABrowser(t *testing.T) {
	chromium := needed(t, "chromium")
	node := needed(t, "node")
	if _, err := os.Stat("node_modules"); err != nil {
		missing(t, "the browser tests need their packages: run `npm ci` in internal/server/pages/browser")
	}
	s := &stage{}
	s.reset()
	defer func() { s.stop() }()
	server := httptest.NewUnstartedServer(manual.Handler("/", s))
	if addr := os.Getenv("BELAY_BROWSER_LISTEN"); addr != "" {
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		server.Listener = l
	}
	server.Start()
	defer server.CloseClientConnections()
	cmd := exec.CommandContext(t.Context(), node, "--test", "--test-concurrency=1", "--test-reporter=spec", "--test-name-pattern="+cmp.Or(os.Getenv("BELAY_BROWSER_ONLY"), "."))
	cmd.Env = append(os.Environ(), "BASE="+server.URL, "CHROMIUM="+chromium, "SHOTS="+os.Getenv("BELAY_SHOTS"))
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
