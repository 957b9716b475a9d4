package bus

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"belay/internal/freeport"
	"belay/internal/wire"
)

// cluster is three servers in this process.
type cluster struct{ nodes map[string]*server.Server }

func startCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{nodes: map[string]*server.Server{}}
	var routes []*url.URL
	var addresses []string
	for range 3 {
		a := freeport.Address(t)
		addresses = append(addresses, a)
		routes = append(routes, &url.URL{Scheme: "nats", Host: a})
	}
	for i, a := range addresses {
		host, port, _ := strings.Cut(a, ":")
		o := &server.Options{
			ServerName: fmt.Sprintf("n%d", i), Host: host, Port: server.RANDOM_PORT, NoSigs: true, NoLog: true, JetStream: true, StoreDir: t.TempDir(),
			Cluster: server.ClusterOpts{Name: "belay", Host: host}, Routes: routes,
		}
		fmt.Sscan(port, &o.Cluster.Port)
		s, err := server.NewServer(o)
		if err != nil {
			t.Fatal(err)
		}
		s.Start()
		t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
		c.nodes[o.ServerName] = s
	}
	for _, s := range c.nodes {
		if !s.ReadyForConnections(patience) {
			t.Fatal("the cluster is not ready")
		}
	}
	return c
}

func (c *cluster) urls() string {
	var all []string
	for _, s := range c.nodes {
		all = append(all, s.ClientURL())
	}
	return strings.Join(all, ",")
}

// setUpCluster tries until the cluster has a leader.
func setUpCluster(t *testing.T, c *cluster) *Bus {
	t.Helper()
	var b *Bus
	err := errors.New("not tried")
	for end := time.Now().Add(2 * patience); err != nil && time.Now().Before(end); {
		if b, err = Connect(t.Context(), Options{Server: c.urls(), Timeout: 2 * time.Second}); err == nil {
			if err = b.Setup(t.Context(), SetupOptions{Partitions: 1, Replicas: 3}); err != nil {
				b.Close()
			}
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

func TestLossOfALeader(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes seconds")
	}
	c := startCluster(t)
	b := setUpCluster(t, c)
	events := make(chan string, 1000)
	if _, err := b.ConsumeLog(t.Context(), 0, func(d Delivery) {
		_ = d.Ack()
		_, run, _, _ := b.Names().ParseLog(d.Subject)
		events <- run
	}); err != nil {
		t.Fatal(err)
	}
	put(t, b, "r0")
	await(t, events, "r0")

	info, err := b.js.Stream(t.Context(), b.Names().RunsStream(0))
	if err != nil {
		t.Fatal(err)
	}
	leader := info.CachedInfo().Cluster.Leader
	c.nodes[leader].Shutdown()
	put(t, b, "r1")
	await(t, events, "r1")
	_, errs := publishAll(b, b.Names().RunsStream(0), 500, plan)
	stored := 0
	for _, err := range errs {
		if err == nil {
			stored++
		} else if !errors.Is(err, ErrUncertain) && !errors.Is(err, ErrConflict) {
			t.Error(err)
		}
	}
	if stored == 0 {
		t.Error("nothing could be stored with two of three")
	}
}

// A direct get may be answered by any replica; what was confirmed is read whichever it is.
func TestConfirmedIsReadFromEveryReplica(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes seconds")
	}
	c := startCluster(t)
	b := setUpCluster(t, c)
	if !b.replicated() {
		t.Fatal("the bus does not know that the log has replicas")
	}
	info, err := b.js.Stream(t.Context(), b.Names().RunsStream(0))
	if err != nil {
		t.Fatal(err)
	}
	leader := info.CachedInfo().Cluster.Leader
	writer, reader := dial(t, Options{Server: c.nodes[leader].ClientURL()}), (*Bus)(nil)
	for name, s := range c.nodes {
		if name != leader {
			reader = dial(t, Options{Server: s.ClientURL()})
		}
	}
	for _, b := range []*Bus{writer, reader} {
		if err := b.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for range 500 {
		seq, err := writer.PublishWait(t.Context(), b.Names().RunsStream(0), Message{Subject: b.Names().Log(0, "r", wire.KindOutcome)})
		if err != nil {
			t.Fatal(err)
		}
		all, err := reader.ReadLog(t.Context(), "r", seq-1)
		if err != nil || len(all) != 1 {
			t.Fatalf("read %d entries after %d was confirmed: %v", len(all), seq, err)
		}
	}
	if none, err := b.ReadLog(t.Context(), "nobody", 0); err != nil || len(none) > 0 {
		t.Errorf("%d entries of nobody, %v", len(none), err)
	}
	opened, err := Connect(t.Context(), Options{Server: b.URL()})
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	if err := opened.Open(t.Context()); err != nil || !opened.replicated() {
		t.Errorf("opened: %v, replicated %v", err, opened.replicated())
	}
	alter(t, b, b.Names().RunsStream(0), func(c *jetstream.StreamConfig) { c.Replicas = 1 }) // the operator's business
	if err := b.Open(t.Context()); err != nil || b.replicated() {
		t.Errorf("with one replica: %v, replicated %v", err, b.replicated())
	}
}
