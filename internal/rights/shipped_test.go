package rights_test

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"belay/internal/bus"
	"belay/internal/rights"
	"belay/internal/wire"
)

// TestTheShippedConfiguration: deploy/nats/nats.conf is what `dispatcher permissions` prints.
func TestTheShippedConfiguration(t *testing.T) {
	t.Parallel()
	shipped, err := os.ReadFile("../../deploy/nats/nats.conf")
	if err != nil {
		t.Fatal(err)
	}
	var made bytes.Buffer
	if err := (rights.Layout{Names: wire.Default, Partitions: wire.DefaultPartitions}).Conf(&made); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(shipped, made.Bytes()) {
		t.Error("deploy/nats/nats.conf is another one: go run ./cmd/dispatcher permissions > deploy/nats/nats.conf")
	}
}

// TestWide: who may do more than their role is told so, and who may not is not.
func TestWide(t *testing.T) {
	t.Parallel()
	s := startLayout(t, layout)
	for _, a := range layout.Accounts() {
		u := a.Users[0]
		b, err := bus.Connect(t.Context(), as(s, u.Name, &complaints{}))
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		if may := rights.Wide(b, u.Role); may != nil {
			t.Errorf("%s may %v", u.Name, may)
		}
		if may := rights.Wide(b, rights.Worker); u.Role == rights.Provisioner && len(may) < 8 {
			t.Errorf("a worker that connects as the provisioner may only %v", may)
		}
	}
	open := startConf(t, "listen: \"127.0.0.1:4222\"\njetstream { store_dir: /var/lib/nats }\n")
	b, err := bus.Connect(t.Context(), bus.Options{Server: open.ClientURL()})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if may := strings.Join(rights.Wide(b, rights.Dispatcher), "; "); !strings.Contains(may, "delete streams") || strings.Contains(may, "decide") {
		t.Errorf("where everybody may do everything, a dispatcher may %s", may)
	}
	if may := rights.Wide(b, rights.Reader); len(may) != 9 {
		t.Errorf("where everybody may do everything, a reader may only %v", may)
	}
}

// TestAWorkerOfItsOwnTools serves its own tools, and has no part in those of another group.
func TestAWorkerOfItsOwnTools(t *testing.T) {
	t.Parallel()
	l := layout
	l.Workers = []rights.Group{{Name: "payments", Rungs: []rights.Rung{{Tool: "pay.out", Name: "primary"}}}, {Name: "rest", Rungs: []rights.Rung{{Tool: "look", Name: "primary"}}}}
	if err := l.Check(); err != nil {
		t.Fatal(err)
	}
	s := startLayout(t, l)
	connect := func(user string) *bus.Bus {
		t.Helper()
		b, err := bus.Connect(t.Context(), as(s, user, &complaints{}))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(b.Close)
		return b
	}
	if err := connect("dispatcher").Setup(t.Context(), bus.SetupOptions{Partitions: l.Partitions}); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		user, tool string
		may        bool
	}{{"payments", "pay.out", true}, {"payments", "look", false}, {"rest", "look", true}, {"rest", "pay.out", false}} {
		b := connect(x.user)
		if err := b.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
		c, err := b.ConsumeSteps(t.Context(), x.tool, "primary", bus.StepsOptions{}, func(bus.Delivery) {})
		if (err == nil) != x.may {
			t.Errorf("%s serves %s: %v", x.user, x.tool, err)
		}
		if err == nil {
			c.Stop()
			<-c.Done()
		}
	}
	// Not by asking first, which the client does, but by trying.
	evil := dial(t, s, "rest")
	inbox, err := evil.SubscribeSync(evil.NewInbox())
	if err != nil {
		t.Fatal(err)
	}
	admin := connect("dispatcher")
	if _, err := admin.PublishWait(t.Context(), "BELAY_STEPS", bus.Message{Subject: "belay.steps.pay~out.primary.r.s.0-0-1", Data: []byte("x")}); err != nil {
		t.Fatal(err)
	}
	for _, prefix := range []string{"$JS.API.", "$JS.BELAY.API."} {
		_ = evil.PublishRequest(prefix+"CONSUMER.MSG.NEXT.BELAY_STEPS.pay~out~~primary", inbox.Subject, []byte(`{"batch":1,"no_wait":true}`))
	}
	_ = evil.Publish("$JS.ACK.BELAY_STEPS.pay~out~~primary.1.1.1.1.1", []byte("+ACK"))
	if m, err := evil.Request("$JS.BELAY.API.CONSUMER.INFO.BELAY_STEPS.look~~primary", nil, 0x7fffffff); err != nil || !bytes.Contains(m.Data, []byte("consumer_info")) {
		t.Fatalf("%v", err) // everything before it has been dealt with
	}
	if n, _, _ := inbox.Pending(); n != 0 {
		t.Error("a worker got a step of another group's tool")
	}
}
