package herald

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
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
	"belay/internal/notify"
	"belay/internal/steps"
)

// town has a desk with letters, and a pager that people carry.
type town struct {
	t     *testing.T
	bus   *bus.Bus
	box   *dlq.Box
	desk  *handoff.Desk
	setup *notify.Setup
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
	n.setup, err = notify.Load(file, func(string) string {
		return "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 32))
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// herald starts one; stop ends it.
func (n *town) herald() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	end := make(chan error, 1)
	go func() {
		end <- Run(ctx, Options{
			Bus: n.bus, Items: n.desk.Items, Policy: n.setup.Policy,
			Sender: func(d func(notify.Report)) Sender {
				return notify.NewSender(n.setup.Channels, d, slog.New(slog.DiscardHandler))
			},
		})
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
	n.box.Put(dlq.Letter{EscalationView: steps.EscalationView{
		ID: id, Kind: steps.KindFailure, State: steps.EscalationOpen, Run: id, Tool: "t", Rung: "primary", Class: steps.Class(message), Message: message, Opened: time.Now(),
	}}, func(err error) { done <- err })
	if err := <-done; err != nil {
		n.t.Fatal(err)
	}
}

// told is what the card of a question tells of who was told; a page comes a moment before it is remembered.
func (n *town) told(id, message string) []handoff.TrailLine {
	n.t.Helper()
	v := steps.EscalationView{ID: id, Kind: steps.KindFailure, Tool: "t", Rung: "primary", Class: steps.Class(message), Message: message}
	lines, err := Told(n.bus)(n.t.Context(), v)
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
	case <-time.After(20 * time.Second):
		n.t.Fatal("nobody was told")
	}
	return nil
}

// quiet makes sure that nothing was told: what is asked now is told, and nothing before it.
func (n *town) quiet(id string) {
	n.t.Helper()
	n.ask(id, id)
	p := n.page()
	if ids := fmt.Sprint(p["data"].(map[string]any)["ids"]); ids != "["+id+"]" {
		n.t.Errorf("told of %s; want %s alone", ids, id)
	}
}

func TestPeopleAreToldOnce(t *testing.T) {
	n := newTown(t)
	stop := n.herald()
	n.ask("a-1", "timeout")
	p := n.page()
	if data := p["data"].(map[string]any); p["type"] != "dev.belay.escalation.opened.v1" || data["link"] != "https://belay.example.com/e/a-1" {
		t.Errorf("%v", p)
	}
	n.quiet("b-1")
	if told := n.told("a-1", "timeout"); len(told) != 1 || told[0].To != "ops" || told[0].Reason != "it is new" || told[0].At.IsZero() {
		t.Errorf("the card says %+v", told)
	}
	if told := n.told("never-1", "never"); len(told) != 0 {
		t.Errorf("nobody was told, and the card says %+v", told)
	}
	stop()
	stop = n.herald() // after a restart nothing is said again
	n.quiet("c-1")
	stop()
}

func TestAHundredAlikeAreOneNotice(t *testing.T) {
	n := newTown(t)
	for i := range 100 {
		n.ask(fmt.Sprintf("r%d-1", i), "timeout")
	}
	stop := n.herald()
	defer stop()
	if data := n.page()["data"].(map[string]any); data["count"] != float64(100) {
		t.Errorf("%v", data)
	}
	n.quiet("other-1")
}

func TestOnlyOneSpeaks(t *testing.T) {
	n := newTown(t)
	stops := []func(){n.herald(), n.herald(), n.herald()}
	n.ask("a-1", "timeout")
	n.page()
	n.quiet("b-1")
	for _, stop := range stops {
		stop()
	}
}

func TestWhatDidNotArriveIsSaidAgain(t *testing.T) {
	n := newTown(t)
	n.down <- struct{}{}
	stop := n.herald()
	n.ask("a-1", "timeout")
	first := n.page()
	stop()
	if first["id"] == "" {
		t.Errorf("%v", first)
	}
}

func TestWhoIsAtItIsNotTold(t *testing.T) {
	n := newTown(t)
	now := time.Now()
	items := []handoff.Item{
		{EscalationView: steps.EscalationView{ID: "a-1", Opened: now, Tier: 7}, Claim: &handoff.Claim{By: "mia", Until: now.Add(time.Minute)}, Lease: &handoff.Claim{By: "mia", Until: now.Add(time.Minute)}},
		{EscalationView: steps.EscalationView{ID: "b-1", Opened: now.Add(-time.Hour), Deadline: new(now.Add(time.Hour))}, Lease: &handoff.Claim{By: "mia", Until: now.Add(-time.Minute)}, Snoozed: now.Add(time.Hour)},
	}
	h := &Herald{Options: Options{Policy: n.setup.Policy}}
	got := h.itemsOf(items, now)
	if !got[0].Claimed || got[0].ClaimedBy != "mia" || got[0].Tier != "ops" || !got[0].LeaseEnded.IsZero() {
		t.Errorf("%+v", got[0])
	}
	if got[1].Claimed || got[1].LeaseEnded.IsZero() || got[1].SnoozedUntil.IsZero() || got[1].Deadline.IsZero() || got[1].Tier != "" {
		t.Errorf("%+v", got[1])
	}
}
