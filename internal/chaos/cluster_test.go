package chaos

import (
	"flag"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"belay"
	"belay/internal/bus"
	"belay/internal/freeport"
	"belay/internal/wire"
)

var clusterRuns = flag.Int("chaos.cluster", 100, "runs of each load on the cluster; the figures in docs/performance.md are of 1000")

var clusterPairs = flag.Int("chaos.pairs", 0, "how often one server and three are compared; the figures in docs/performance.md are of 3")

const clusterTools = `
tools:
  step: {effects: idempotent, rungs: [{name: primary, static: {output: true}}]}
`

// TestACluster works on three NATS servers with three replicas: with one dispatcher and two workers, with three and six, and
// without the server that led the log.
func TestACluster(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	c := &cluster{t: t, dir: t.TempDir(), bin: build(t, ""), size: 3}
	c.begin()
	var few, many []float64
	for range 3 {
		few = append(few, c.load(*clusterRuns))
	}
	c.dispatcher(1)
	c.dispatcher(2)
	for n := 2; n < 6; n++ {
		c.worker(n)
	}
	c.load(64)
	for range 3 {
		many = append(many, c.load(*clusterRuns))
	}
	slices.Sort(few)
	slices.Sort(many)
	t.Logf("one dispatcher and two workers: %.0f steps/s %.0f; three and six: %.0f steps/s %.0f", few[1], few, many[1], many)
	t.Logf("the slowest run of each partition with three and six: %v", c.slowest)
	if many[2] < few[0]/2 { // the best and the worst take: other programs may have the cores for a while
		t.Errorf("three dispatchers and six workers carry less than half of one and two: %.0f and %.0f", many, few)
	}
	if slices.Min(c.slowest[:]) == 0 || slices.Max(c.slowest[:]) > 10*slices.Min(c.slowest[:]) {
		t.Errorf("a partition starves: %v", c.slowest)
	}

	b, err := bus.Connect(t.Context(), bus.Options{Server: c.urls})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	if err := b.Open(t.Context()); err != nil || b.Replicas() != 3 || b.Partitions() != len(c.slowest) {
		t.Errorf("%d replicas, %d partitions: %v", b.Replicas(), b.Partitions(), err)
	}
	info, err := b.JetStream().Stream(t.Context(), b.Names().RunsStream(0))
	if err != nil {
		t.Fatal(err)
	}
	leader := c.servers[info.CachedInfo().Cluster.Leader]
	c.connectTo(leader)
	ended := make(chan time.Duration)
	began := time.Now()
	go func() { c.load(256); ended <- since(began) }()
	leader.Shutdown()
	took := <-ended
	t.Logf("without the server that led the log, to which the client was connected, 256 runs have ended after %v", took)
}

// TestWhatAClusterCosts compares one server, and three with three replicas, under the same load by turns: all of it on the same cores, so
// it shows what more there is to do, and not how it scales.
func TestWhatAClusterCosts(t *testing.T) {
	if *clusterPairs == 0 {
		t.Skip("-chaos.pairs 3 measures")
	}
	bin := build(t, "")
	one := &cluster{t: t, dir: t.TempDir(), bin: bin, size: 1, always: true}
	three := &cluster{t: t, dir: t.TempDir(), bin: bin, size: 3, always: true}
	took := map[*cluster][]float64{}
	alone := map[*cluster][]float64{} // ms of a run, one after the other
	one.begin()
	three.begin()
	for range *clusterPairs {
		for _, c := range []*cluster{one, three} {
			took[c] = append(took[c], c.load(*clusterRuns))
			for range 20 {
				began := time.Now()
				c.load(1)
				alone[c] = append(alone[c], float64(time.Since(began).Microseconds())/1000)
			}
		}
	}
	for _, c := range []*cluster{one, three} {
		slices.Sort(took[c])
		slices.Sort(alone[c])
		t.Logf("%d servers: %.0f steps/s in the middle of %.0f; a run of five steps alone took %.1f ms in the middle", c.size, took[c][len(took[c])/2], took[c], alone[c][len(alone[c])/2])
	}
}

// cluster is servers in this process, and dispatchers and workers as processes.
type cluster struct {
	t       *testing.T
	dir     string
	bin     string
	size    int  // how many servers
	always  bool // they sync before they confirm
	urls    string
	servers map[string]*server.Server
	client  *belay.Client
	slowest [wire.DefaultPartitions]time.Duration // run of the last load, by partition
}

// begin starts the servers, a dispatcher and two workers, and lets them work a little.
func (c *cluster) begin() {
	c.t.Helper()
	c.nodes()
	if err := os.WriteFile(filepath.Join(c.dir, "tools.yaml"), []byte(clusterTools), 0o600); err != nil {
		c.t.Fatal(err)
	}
	c.dispatcher(0)
	c.worker(0)
	c.worker(1)
	client, err := belay.Open(c.t.Context(), belay.Options{NATS: belay.NATS{Server: c.urls, Timeout: 20 * time.Second}})
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(client.Close)
	c.client = client
	c.load(64)
}

// connectTo gives the cluster a client that is connected to this server now.
func (c *cluster) connectTo(s *server.Server) {
	c.t.Helper()
	conn, err := nats.Connect(s.ClientURL(), nats.ReconnectBufSize(-1), nats.MaxReconnects(-1))
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(conn.Close)
	client, err := belay.Open(c.t.Context(), belay.Options{Conn: conn, NATS: belay.NATS{Timeout: 20 * time.Second}})
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(client.Close)
	c.client = client
}

func (c *cluster) nodes() {
	c.t.Helper()
	c.servers = map[string]*server.Server{}
	var routes []*url.URL
	for range c.size {
		routes = append(routes, &url.URL{Scheme: "nats", Host: freeport.Address(c.t)})
	}
	var all []string
	for i, r := range routes {
		client := freeport.Address(c.t)
		o := &server.Options{
			ServerName: fmt.Sprintf("n%d", i), Host: "127.0.0.1", NoSigs: true, NoLog: true, JetStream: true, StoreDir: filepath.Join(c.dir, fmt.Sprint("n", i)), SyncAlways: c.always,
		}
		if c.size > 1 {
			o.Cluster, o.Routes = server.ClusterOpts{Name: "belay", Host: "127.0.0.1"}, routes
			fmt.Sscan(r.Port(), &o.Cluster.Port)
		}
		fmt.Sscan(client[strings.LastIndexByte(client, ':')+1:], &o.Port)
		s, err := server.NewServer(o)
		if err != nil {
			c.t.Fatal(err)
		}
		s.Start()
		c.t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
		c.servers[o.ServerName] = s
		all = append(all, s.ClientURL())
	}
	c.urls = strings.Join(all, ",")
	for _, s := range c.servers {
		if !s.ReadyForConnections(10 * time.Second) {
			c.t.Fatal("the cluster is not ready")
		}
	}
}

// dispatcher starts one and waits until it is ready. The first ones may find that the cluster has no leader yet.
func (c *cluster) dispatcher(n int) {
	c.t.Helper()
	dir := filepath.Join(c.dir, fmt.Sprint("d", n))
	c.start(fmt.Sprint("dispatcher", n), "dispatcher ready", "dispatcher", "serve", "--server", c.urls, "--replicas", fmt.Sprint(c.size), "--data-dir", dir)
}

func (c *cluster) worker(n int) {
	c.t.Helper()
	c.start(fmt.Sprint("worker", n), "worker ready", "worker", "--server", c.urls, "--tools", filepath.Join(c.dir, "tools.yaml"), "--ack-wait", "2s")
}

func (c *cluster) start(name, ready string, args ...string) {
	c.t.Helper()
	file := filepath.Join(c.dir, name+".log")
	for limit := time.Now().Add(time.Minute); ; pause(c.t.Context(), 200*time.Millisecond) {
		ended, err := c.try(file, args)
		if err != nil {
			c.t.Fatal(err)
		}
		for alive := true; alive; {
			if text, _ := os.ReadFile(file); strings.Contains(string(text), ready) {
				return
			}
			select {
			case <-ended:
				alive = false
			case <-time.After(20 * time.Millisecond):
			}
		}
		if time.Now().After(limit) {
			text, _ := os.ReadFile(file)
			c.t.Fatalf("%s does not come up:\n%s", name, text)
		}
	}
}

func (c *cluster) try(file string, args []string) (ended <-chan struct{}, err error) {
	log, err := os.Create(file)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(filepath.Join(c.bin, args[0]), args[1:]...)
	cmd.Env = append(environment(), "XDG_STATE_HOME="+c.dir, "XDG_CONFIG_HOME="+c.dir)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	done := make(chan struct{})
	go func() { _ = cmd.Wait(); close(done) }()
	c.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-done
		if c.t.Failed() {
			text, _ := os.ReadFile(file)
			c.t.Logf("%s:\n%s", filepath.Base(file), text[max(0, len(text)-2000):])
		}
	})
	return done, nil
}

// load runs so many runs of five steps, and returns the steps per second.
func (c *cluster) load(runs int) float64 {
	c.t.Helper()
	c.slowest = [wire.DefaultPartitions]time.Duration{}
	began := time.Now()
	flood(c.t, c.client, planOf(c.t, clusterTools, keptFive), runs, func(run string, d time.Duration) {
		part := &c.slowest[wire.Partition(run, len(c.slowest))]
		*part = max(*part, d.Round(time.Millisecond))
	})
	return float64(5*runs) / time.Since(began).Seconds()
}
