package dispatcher_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"belay/internal/approval"
	"belay/internal/bus"
	"belay/internal/bus/embedded"
	"belay/internal/cli"
	"belay/internal/cli/dispatcher"
	"belay/internal/dlq"
	"belay/internal/handoff"
	"belay/internal/notify"
	"belay/internal/people"
	"belay/internal/plan"
	"belay/internal/runlog"
	"belay/internal/server"
	"belay/internal/server/gate"
	"belay/internal/steps"
	"belay/internal/steps/view"
	"belay/internal/wire"
)

// counter is a desk with its pages, its API and its door for other processes, over a real server, and a spy that hears
// every request to that server. There is no dispatcher, whose own requests would be among them.
type counter struct {
	*testing.T
	nats string
	http string
	runs *runlog.Log
	desk *handoff.Desk
	open *dlq.Queue

	spy   *nats.Conn
	heard *nats.Subscription
}

func newCounter(t *testing.T) *counter {
	srv, err := embedded.Start(embedded.Options{StoreDir: t.TempDir(), Durability: embedded.Interval, Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Shutdown)
	b, err := bus.Connect(t.Context(), bus.Options{InProcess: srv})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	if err := b.Setup(t.Context(), bus.SetupOptions{Partitions: 1, Replicas: 1}); err != nil {
		t.Fatal(err)
	}
	signer, err := approval.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	claims := handoff.NewClaims(b)
	if err := claims.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	c := &counter{T: t, nats: srv.URL(), runs: runlog.New(b, plan.NewCache(8)), open: dlq.New(b)}
	c.desk = handoff.NewDesk(c.runs, c.open, claims, signer)
	c.desk.Notified = notify.Notified(b)
	if c.spy, err = nats.Connect(srv.URL()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.spy.Close)
	if c.heard, err = c.spy.SubscribeSync(">"); err != nil {
		t.Fatal(err)
	}
	if err := c.heard.SetPendingLimits(-1, -1); err != nil {
		t.Fatal(err)
	}
	c.serve(b)
	for until := time.Now().Add(time.Minute); !slices.Contains(c.drain(), "list claims"); { // the first look of the trends
		if time.Now().After(until) {
			t.Fatal("the pages do not look at the inbox")
		}
	}
	return c
}

// signedIn lets everybody in as the person at this machine.
type signedIn struct{ *gate.Local }

func (s signedIn) Who(*http.Request) people.Actor { return people.Trusted(s.Name, "") }

// serve opens the doors: HTTP for people and programs, NATS for the command line.
func (c *counter) serve(b *bus.Bus) {
	ctx, stop := context.WithCancel(context.Background())
	door := &gate.Local{Name: "mia"}
	site := httptest.NewServer(server.New(ctx, server.Options{Bus: b, Runs: c.runs, Desk: c.desk, Redrives: handoff.NewRedrives(b, c.desk), Gate: signedIn{door}, Logger: slog.New(slog.DiscardHandler)}))
	c.Cleanup(func() { site.Close(); stop() })
	c.http, door.Port = site.URL, site.URL[strings.LastIndexByte(site.URL, ':')+1:]
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- handoff.Serve(ctx, b, c.desk, func(_ context.Context, _ wire.Shown, name string) (people.Actor, error) {
			return people.Trusted(name, ""), nil
		}, func() { close(ready) })
	}()
	select {
	case <-ready:
	case err := <-ended:
		c.Fatal(err)
	}
}

// ask submits a run that waits for an approval, and puts its question where a dispatcher would.
func (c *counter) ask(run string) *handoff.Card {
	c.Helper()
	tools, err := plan.ParseTools("tools.yaml", []byte(`tools: {pay: {approval: always, input_schema: {type: object, required: [amount]}, rungs: [{http: {method: POST, url: "http://127.0.0.1:1/pay"}}]}}`))
	if err != nil {
		c.Fatal(err)
	}
	doc, err := plan.ParsePlan("p.yaml", []byte(`{name: p, steps: [{id: s, tool: pay, with: {amount: 120}}]}`), tools)
	if err != nil {
		c.Fatal(err)
	}
	if _, err := c.runs.Submit(c.Context(), run, steps.Submitted{Document: doc.JSON, Input: json.RawMessage(`{}`), By: "sue"}); err != nil {
		c.Fatal(err)
	}
	s, err := c.runs.Load(c.Context(), run)
	if err != nil {
		c.Fatal(err)
	}
	stored := make(chan error, 1)
	c.open.Put(dlq.Entry{Escalation: view.EscalationOf(s, 0)}, func(err error) { stored <- err })
	if err := <-stored; err != nil {
		c.Fatal(err)
	}
	card, err := c.desk.Card(c.Context(), run+"-1")
	if err != nil {
		c.Fatal(err)
	}
	return &card
}

// drain is what was asked of the server since the last drain: a few words for each round trip.
func (c *counter) drain() (words []string) {
	c.Helper()
	if err := c.spy.Flush(); err != nil {
		c.Fatal(err)
	}
	for {
		m, err := c.heard.NextMsg(5 * time.Millisecond)
		if err != nil {
			return words
		}
		if w := word(m); w != "" {
			words = append(words, w)
		}
	}
}

// places are what the streams and buckets hold, as people call it.
var places = map[string]string{
	"KV_BELAY_INBOX": "claims", "KV_BELAY_SETTLED": "settled", "KV_BELAY_NOTICES": "notices", "BELAY_RUNS_0": "log",
	"BELAY_ESCALATIONS": "escalations", "BELAY_STEPS": "steps", "BELAY_TIMERS": "timers", "BELAY_AUDIT": "audit",
}

var apiCall = regexp.MustCompile(`^\$JS\.API\.([A-Z.]+?)(?:\.([A-Z]+_[A-Z_0-9]+).*)?$`)

// word says what a message asks the server for; empty for answers, and for what follows the streams whatever is decided.
func word(m *nats.Msg) string {
	for _, noise := range []string{"_INBOX.", "$JS.EVENT.", "$JS.API.CONSUMER.MSG.NEXT."} {
		if strings.HasPrefix(m.Subject, noise) {
			return ""
		}
	}
	if strings.HasPrefix(m.Reply, "$JS.ACK.") { // brought to one who follows
		return ""
	}
	if m.Subject == "$SYS.REQ.USER.INFO" {
		return "who am i"
	}
	call := apiCall.FindStringSubmatch(m.Subject)
	switch parts := strings.Split(m.Subject, "."); {
	case call == nil && parts[0] == "$KV":
		return "write " + places["KV_"+parts[1]]
	case call == nil:
		return "publish " + parts[0] + "." + parts[1]
	case call[1] != "DIRECT.GET":
		return strings.TrimSpace(strings.ToLower(call[1]) + " " + places[call[2]])
	case len(m.Data) == 0:
		return "get " + places[call[2]]
	case places[call[2]] != "log":
		return "list " + places[call[2]]
	case bytes.Contains(m.Data, []byte(`"seq":1,`)), bytes.Contains(m.Data, []byte(`"seq":1}`)):
		return "read the log"
	}
	return "read on in the log"
}

func (c *counter) post(path, kind string, body io.Reader, header ...string) {
	c.Helper()
	req, err := http.NewRequestWithContext(c.Context(), http.MethodPost, c.http+path, body)
	if err != nil {
		c.Fatal(err)
	}
	req.Header.Set("Content-Type", kind)
	for i := 0; i+1 < len(header); i += 2 {
		if header[i+1] != "" {
			req.Header.Set(header[i], header[i+1])
		}
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		c.Fatal(err)
	}
	defer resp.Body.Close()
	said, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusSeeOther {
		c.Fatalf("%s: %d: %s", path, resp.StatusCode, said)
	}
}

// TestWhatADecisionAsksOfTheServer holds the round trips of one approval, on each way in: its run is read once, and behind
// the decision the log is read on, not anew.
func TestWhatADecisionAsksOfTheServer(t *testing.T) {
	c := newCounter(t)
	desk := []string{"read the log", "get claims", "publish belay.runs", "read on in the log", "list notices"}
	ways := []struct {
		name string
		do   func(card *handoff.Card)
		want []string
	}{
		{"api", func(card *handoff.Card) { c.decide(card, "") }, desk},
		{"api with If-Match", func(card *handoff.Card) { c.decide(card, fmt.Sprintf(`"%d-0-open"`, card.Dossier.Revision)) }, desk},
		{"console", c.fillIn, desk},
		{"console, claimed before", func(card *handoff.Card) {
			if _, err := c.desk.Act(t.Context(), people.Trusted("mia", "cli"), card.Item.ID, people.Act{Verb: people.Claim}); err != nil {
				t.Fatal(err)
			}
			c.drain()
			c.fillIn(card)
		}, append(slices.Clone(desk), "write settled", "write claims")},
		{"cli", c.command, append([]string{
			"who am i", "info", "stream.info log", "stream.info log", "stream.info steps", "stream.info timers", "stream.info escalations", "stream.info audit", // connecting
			"stream.msg.get log", // is the id whole?
			"read the log",       // what would be approved
			"publish belay.people",
		}, desk...)},
	}
	for i, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			var got []string
			for again := range 5 { // on a busy machine a question that is not answered within a second is asked once more
				card := c.ask(fmt.Sprintf("r%d-%d", i, again))
				c.drain()
				way.do(card)
				got = compactReads(c.drain())
				if s, err := c.runs.Load(t.Context(), card.Dossier.Run); err != nil || s.Escalations[0].State != steps.EscalationDecided {
					t.Errorf("it is %s (%v)", s.Escalations[0].State, err)
				}
				if slices.Equal(got, way.want) {
					return
				}
			}
			t.Errorf("%d round trips, not %d:\n  %s", len(got), len(way.want), strings.Join(got, "\n  "))
		})
	}
}

// compactReads makes one of requests for the subjects of a log that are sent together: their answers come in one round trip.
func compactReads(words []string) []string {
	return slices.CompactFunc(words, func(a, b string) bool { return a == b && strings.HasPrefix(a, "read") })
}

// decide approves through the API.
func (c *counter) decide(card *handoff.Card, tag string) {
	c.Helper()
	body := strings.NewReader(`{"digest":"` + card.Dossier.Approval.Digest + `"}`)
	c.post("/api/v1/escalations/"+card.Item.ID+"/approve", "application/json", body, "If-Match", tag)
}

// fillIn approves through the form of the console.
func (c *counter) fillIn(card *handoff.Card) {
	c.Helper()
	form := url.Values{"digest": {card.Dossier.Approval.Digest}, "revision": {strconv.FormatUint(card.Dossier.Revision, 10)}, "sure": {"yes"}}
	c.post("/e/"+card.Item.ID+"/approve", "application/x-www-form-urlencoded", strings.NewReader(form.Encode()))
}

// command approves as somebody at a terminal does.
func (c *counter) command(card *handoff.Card) {
	c.Helper()
	var said bytes.Buffer
	sys := cli.IO{In: strings.NewReader(""), Out: &said, Err: &said, Getenv: func(string) string { return "" }}
	if code := dispatcher.Run(c.Context(), []string{"esc", "decide", card.Item.ID, "approve", "--server", c.nats}, sys); code != 0 {
		c.Fatalf("exit code %d: %s", code, said.String())
	}
}
