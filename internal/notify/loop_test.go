package notify

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"belay/internal/bus"
	"belay/internal/bus/bustest"
	"belay/internal/dlq"
	"belay/internal/handoff"
	"belay/internal/outbound"
	"belay/internal/steps"
	"belay/internal/steps/view"
)

// town has a desk with escalations, and a pager that people carry.
type town struct {
	t     *testing.T
	bus   *bus.Bus
	box   *dlq.Queue
	desk  *handoff.Desk
	setup *Setup
	pages chan map[string]any // what arrived at the pager
	down  chan struct{}       // while it has a word, the pager answers 503 once
}

func newTown(t *testing.T) *town {
	t.Helper()
	n := &town{t: t, bus: bustest.Start(t, 1), pages: make(chan map[string]any, 100), down: make(chan struct{}, 10)}
	n.box = dlq.New(n.bus)
	n.desk = handoff.NewDesk(nil, n.box, handoff.NewClaims(n.bus), nil)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-n.down:
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		default:
		}
		body, _ := io.ReadAll(r.Body)
		var page map[string]any
		if err := json.Unmarshal(body, &page); err != nil || r.Header.Get("webhook-signature") == "" {
			t.Errorf("%s: %v", body, err)
		}
		page["id"] = r.Header.Get("webhook-id")
		n.pages <- page
	}))
	t.Cleanup(srv.Close)
	file := filepath.Join(t.TempDir(), "notify.yaml")
	text := fmt.Sprintf("link: https://belay.example.com\nchannels:\n  pager: {webhook: {url: %q, secret_env: SECRET}}\ntiers:\n  - {name: ops, notify: [pager], after: 0s}\n", srv.URL)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var err error
	n.setup, err = Load(file, func(string) string {
		return "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 32))
	}, outbound.Policy{})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func (n *town) options() Options {
	return Options{Bus: n.bus, Items: n.desk.Items, Policy: n.setup.Policy, Channels: n.setup.Channels}
}

// run starts a loop; stop ends it.
func (n *town) run() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	end := make(chan error, 1)
	go func() {
		end <- Run(ctx, n.options())
	}()
	return func() {
		cancel()
		if err := <-end; err != nil {
			n.t.Error(err)
		}
	}
}

func (n *town) ask(id, message string) {
	n.t.Helper()
	done := make(chan error, 1)
	n.box.Put(dlq.Entry{Escalation: view.Escalation{
		ID: id, Kind: steps.KindFailure, State: steps.EscalationOpen, Run: id, Tool: "t", Rung: "primary", Class: steps.Class(message), Message: message, Opened: time.Now(),
	}}, func(err error) { done <- err })
	if err := <-done; err != nil {
		n.t.Fatal(err)
	}
}

// notified is what the card of a question says about who was notified; a page comes a moment before it is remembered.
func (n *town) notified(id, message string) []handoff.TrailLine {
	n.t.Helper()
	v := view.Escalation{ID: id, Kind: steps.KindFailure, Tool: "t", Rung: "primary", Class: steps.Class(message), Message: message}
	lines, err := Notified(n.bus)(n.t.Context(), v)
	if err != nil {
		n.t.Fatal(err)
	}
	return lines
}

func (n *town) page() map[string]any {
	n.t.Helper()
	select {
	case p := <-n.pages:
		return p
	case <-time.After(time.Minute):
		n.t.Fatal("nobody was notified")
	}
	return nil
}

// quiet makes sure that nothing was sent: what is asked now is, and nothing before it.
func (n *town) quiet(id string) {
	n.t.Helper()
	n.ask(id, id)
	p := n.page()
	if ids := fmt.Sprint(p["data"].(map[string]any)["ids"]); ids != "["+id+"]" {
		n.t.Errorf("notified of %s; want %s alone", ids, id)
	}
}

func TestPeopleAreNotifiedOnce(t *testing.T) {
	t.Parallel()
	n := newTown(t)
	stop := n.run()
	n.ask("a-1", "timeout")
	p := n.page()
	if data := p["data"].(map[string]any); p["type"] != "dev.belay.escalation.opened.v1" || data["link"] != "https://belay.example.com/e/a-1" {
		t.Errorf("%v", p)
	}
	n.quiet("b-1")
	if lines := n.notified("a-1", "timeout"); len(lines) != 1 || lines[0].To != "ops" || lines[0].Reason != "it is new" || lines[0].At.IsZero() {
		t.Errorf("the card says %+v", lines)
	}
	if lines := n.notified("never-1", "never"); len(lines) != 0 {
		t.Errorf("nobody was notified, and the card says %+v", lines)
	}
	stop()
	stop = n.run() // after a restart nothing is sent again
	n.quiet("c-1")
	stop()
}

func TestAHundredAlikeAreOneNotice(t *testing.T) {
	t.Parallel()
	n := newTown(t)
	for i := range 100 {
		n.ask(fmt.Sprintf("r%d-1", i), "timeout")
	}
	stop := n.run()
	defer stop()
	if data := n.page()["data"].(map[string]any); data["count"] != float64(100) {
		t.Errorf("%v", data)
	}
	n.quiet("other-1")
}

func TestOnlyOneSends(t *testing.T) {
	t.Parallel()
	n := newTown(t)
	stops := []func(){n.run(), n.run(), n.run()}
	n.ask("a-1", "timeout")
	n.page()
	n.quiet("b-1")
	for _, stop := range stops {
		stop()
	}
}

func TestWhatDidNotArriveIsSentAgain(t *testing.T) {
	t.Parallel()
	n := newTown(t)
	n.down <- struct{}{}
	stop := n.run()
	n.ask("a-1", "timeout")
	first := n.page()
	stop()
	if first["id"] == "" {
		t.Errorf("%v", first)
	}
}

func TestWhoHasClaimedIsNotNotified(t *testing.T) {
	t.Parallel()
	n := newTown(t)
	now := time.Now()
	items := []handoff.Item{
		{Escalation: view.Escalation{ID: "a-1", Opened: now, Tier: 7}, Beside: handoff.Beside{Claim: &handoff.Claim{By: "mia", Until: now.Add(time.Minute)}, Lease: &handoff.Claim{By: "mia", Until: now.Add(time.Minute)}}},
		{Escalation: view.Escalation{ID: "b-1", Opened: now.Add(-time.Hour), Deadline: new(now.Add(time.Hour))}, Beside: handoff.Beside{Lease: &handoff.Claim{By: "mia", Until: now.Add(-time.Minute)}, Snoozed: now.Add(time.Hour)}},
	}
	due := n.setup.Policy.Look(items, nil, now)
	if len(due.Notices) != 0 || !due.Next.Equal(now.Add(time.Minute)) {
		t.Errorf("%+v, and the next look in %s", due.Notices, due.Next.Sub(now))
	}
}
