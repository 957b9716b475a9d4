package belay_test

import (
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"belay"
	"belay/belaytype"
	"belay/internal/approval"
	busembedded "belay/internal/bus/embedded"
	"belay/internal/dispatch"
	"belay/internal/dlq"
	"belay/internal/engine"
	"belay/internal/handoff"
	"belay/internal/ladder"
	"belay/internal/plan"
	"belay/internal/runlog"
	"belay/internal/steps/view"
	"belay/internal/worker"
)

// TestAConnectionOfTheCallers is used, refused where it would store what was given up, and left open.
func TestAConnectionOfTheCallers(t *testing.T) {
	t.Parallel()
	server := serve(t)
	connect := func(o ...nats.Option) *nats.Conn {
		nc, err := nats.Connect("", append(o, nats.InProcessServer(server.Server))...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(nc.Close)
		return nc
	}
	if _, err := belay.Open(t.Context(), belay.Options{Conn: connect()}); err == nil || !strings.Contains(err.Error(), "ReconnectBufSize(-1)") {
		t.Errorf("a connection that keeps publishes: %v", err)
	}
	closed := connect(nats.ReconnectBufSize(-1))
	closed.Close()
	if _, err := belay.Open(t.Context(), belay.Options{Conn: closed}); !errors.Is(err, belay.ErrUnreachable) {
		t.Errorf("a closed connection: %v", err)
	}
	nc := connect(nats.ReconnectBufSize(-1), nats.ReconnectWait(10*time.Millisecond))
	_, _ = nc.Request("nobody", nil, time.Millisecond) // from now on the connection has the one for answers to its requests
	before := nc.NumSubscriptions()
	c, err := belay.Open(t.Context(), belay.Options{Conn: nc})
	if err != nil {
		t.Fatal(err)
	}
	tools, err := belay.ParseTools("tools.yaml", []byte(toolsFile))
	if err != nil {
		t.Fatal(err)
	}
	b := &rig{c, t, tools}
	var wg sync.WaitGroup
	for range 20 {
		run := b.submit("fixed", belay.Submission{})
		wg.Go(func() {
			if doc, err := run.Wait(t.Context()); err != nil || string(doc.Output) != "7" {
				t.Error(err)
			}
		})
	}
	if err := nc.ForceReconnect(); err != nil {
		t.Error(err)
	}
	wg.Wait()
	waits := b.submit("ladder", belay.Submission{}) // nobody serves it
	failed := make(chan error)
	go func() {
		_, err := waits.Wait(t.Context())
		failed <- err
	}()
	c.Close()
	if err := <-failed; !errors.Is(err, belay.ErrClosed) {
		t.Errorf("who waits when the client is closed: %v", err)
	}
	if nc.IsClosed() || nc.NumSubscriptions() != before {
		t.Errorf("closed %v, %d subscriptions are left of it", nc.IsClosed(), nc.NumSubscriptions()-before)
	}
}

// serve is a server with a dispatcher, and a worker of what needs no handler.
// TestWhoWaitsIsSentTheEnds of the runs that it submits from then on, one by one or many at once.
func TestWhoWaitsIsSentTheEnds(t *testing.T) {
	t.Parallel()
	server := serve(t)
	reports := make(chan string, 20)
	stop, err := server.Bus.Hear("belay.reports.>", func(subject string, _ []byte) { reports <- subject[strings.LastIndexByte(subject, '.')+1:] })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	nc, err := nats.Connect("", nats.InProcessServer(server.Server), nats.ReconnectBufSize(-1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	c, err := belay.Open(t.Context(), belay.Options{Conn: nc})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	tools, err := belay.ParseTools("tools.yaml", []byte(toolsFile))
	if err != nil {
		t.Fatal(err)
	}
	b := &rig{c, t, tools}
	wait := func(runs ...*belay.Run) {
		for _, r := range runs {
			if doc, err := r.Wait(t.Context()); err != nil || string(doc.Output) != "7" {
				t.Errorf("%+v, %v", doc, err)
			}
		}
	}
	wait(b.submit("fixed", belay.Submission{ID: "before"})) // nobody had waited when it was submitted
	many, err := c.SubmitMany(t.Context(), b.plan("fixed"), []belay.Submission{{ID: "m1"}, {ID: "m2"}, {ID: "m3"}})
	if err != nil {
		t.Fatal(err)
	}
	wait(append(many, b.submit("fixed", belay.Submission{ID: "one"}))...)
	left := map[string]bool{"m1": true, "m2": true, "m3": true, "one": true}
	for len(left) > 0 {
		select {
		case run := <-reports:
			if !left[run] {
				t.Errorf("the end of %s is reported", run)
			}
			delete(left, run)
		case <-time.After(time.Minute):
			t.Fatalf("not reported: %v", left)
		}
	}
}

func serve(t *testing.T) *engine.Engine {
	t.Helper()
	tools, err := plan.ParseTools("tools.yaml", []byte(toolsFile))
	if err != nil {
		t.Fatal(err)
	}
	e, err := engine.Start(t.Context(), engine.Options{
		Embedded: &busembedded.Options{StoreDir: t.TempDir(), Durability: busembedded.Interval}, Dispatch: &dispatch.Options{Name: "d"},
		Worker: &engine.WorkerOptions{Options: worker.Options{Name: "w"}, Tools: tools, Box: ladder.Options{}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Stop)
	return e
}

// TestRealRunsLookAlikeInsideAndOutside compares what programs get of runs with what commands print of them.
func TestRealRunsLookAlikeInsideAndOutside(t *testing.T) {
	t.Parallel()
	server := serve(t)
	nc, err := nats.Connect("", nats.InProcessServer(server.Server), nats.ReconnectBufSize(-1))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	c, err := belay.Open(t.Context(), belay.Options{Conn: nc})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	tools, err := belay.ParseTools("tools.yaml", []byte(toolsFile))
	if err != nil {
		t.Fatal(err)
	}
	b := &rig{c, t, tools}
	done, asks := b.submit("fixed", belay.Submission{Labels: map[string]string{"team": "pay"}}), b.submit("refused", belay.Submission{})
	if _, err := done.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := asks.Rest(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, r := range []*belay.Run{done, asks} {
		inside, err := server.Runs.Load(t.Context(), r.ID())
		if err != nil {
			t.Fatal(err)
		}
		outside, err := r.Show(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		same(t, view.Show(inside), outside)
		for n, id := range outside.Escalations {
			d, err := c.Escalation(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			want, err := handoff.Dossier(t.Context(), server.Runs, approval.NewPublished(server.Bus), inside.Escalations[n].ID)
			if err != nil {
				t.Fatal(err)
			}
			same(t, want, d)
		}
	}
	outside, err := c.ListPage(t.Context(), belaytype.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	inside, err := server.Runs.List(t.Context(), runlog.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	same(t, inside, outside)
	asked, err := server.Runs.Load(t.Context(), asks.ID())
	if err != nil {
		t.Fatal(err)
	}
	if err := dlq.New(server.Bus).Await(t.Context(), view.EscalationOf(asked, 0)); err != nil { // the list comes from the log
		t.Fatal(err)
	}
	open, err := c.Escalations(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(open) != 1 || open[0].Run != asks.ID() {
		t.Errorf("%v", open)
	}
}

func same(t *testing.T, inside, outside any) {
	t.Helper()
	a, errA := json.Marshal(inside)
	b, errB := json.Marshal(outside)
	if errA != nil || errB != nil || string(a) != string(b) {
		t.Errorf("inside  %s (%v)\noutside %s (%v)", a, errA, b, errB)
	}
}
