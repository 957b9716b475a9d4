package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"belay/internal/freeport"
)

// asNode is the name by which the program of these tests is a NATS server of a cluster: one that can be killed.
const asNode = "node"

// nodeConfig is what such a server is told.
type nodeConfig struct {
	Name   string
	Listen string // for clients
	Route  string // for the other servers
	Store  string
	Always bool     // sync before it confirms
	Routes []string // where it finds the others
}

// runNode is the server's process, until it is asked to end.
func runNode(text string) error {
	var c nodeConfig
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return err
	}
	o := &server.Options{
		ServerName: c.Name, Host: "127.0.0.1", NoSigs: true, Logtime: true, JetStream: true, StoreDir: c.Store, SyncAlways: c.Always,
		// Nobody learns an address from it: each connection is to go by the network of the test.
		Cluster: server.ClusterOpts{Name: "belay", Host: "127.0.0.1", NoAdvertise: true, Advertise: "127.0.0.1:1", PingInterval: 2 * time.Second},
	}
	o.Port, o.Cluster.Port = portOf(c.Listen), portOf(c.Route)
	for _, r := range c.Routes {
		o.Routes = append(o.Routes, &url.URL{Scheme: "nats", Host: r})
	}
	s, err := server.NewServer(o)
	if err != nil {
		return err
	}
	s.ConfigureLogger()
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()
	s.Start()
	<-ctx.Done()
	s.Shutdown()
	return nil
}

func portOf(address string) (port int) {
	_, text, _ := net.SplitHostPort(address)
	_, _ = fmt.Sscan(text, &port)
	return port
}

const nodeCount = 3

// nodes are three servers, each a process of the fleet, two dispatchers or three and up to six workers at them; all that they say to
// one another goes by the network.
type nodes struct {
	*load
	net     *network
	members []member
	always  bool // the servers sync before they confirm
	clients [nodeCount]string
	routes  [nodeCount]string
}

func nodeName(n int) string { return fmt.Sprint(asNode, n) }

// prepare names who is there and who connects to whom. Nothing runs yet.
func (c *nodes) prepare(t *testing.T, bin string) *fleet {
	t.Helper()
	f := &fleet{t: t, bin: bin, dir: t.TempDir(), procs: map[member]*process{}, kills: map[string]int{}}
	c.net = newNetwork(t)
	var direct []string
	for n := range nodeCount {
		c.clients[n], c.routes[n] = freeport.Address(t), freeport.Address(t)
		direct = append(direct, "nats://"+c.clients[n])
	}
	f.url = strings.Join(direct, ",")
	args := map[member][]string{}
	for n := range nodeCount {
		cfg := nodeConfig{Name: nodeName(n), Listen: c.clients[n], Route: c.routes[n], Store: filepath.Join(f.dir, nodeName(n)), Always: c.always}
		for other := range nodeCount {
			if other != n {
				cfg.Routes = append(cfg.Routes, c.net.link(t, nodeName(n), nodeName(other), c.routes[other]))
			}
		}
		text, _ := json.Marshal(cfg)
		args[member{asNode, n}] = []string{asNode, string(text)}
	}
	for _, m := range c.members {
		var urls []string
		for n := range nodeCount {
			urls = append(urls, "nats://"+c.net.link(t, m.String(), nodeName(n), c.clients[n]))
		}
		server := strings.Join(urls, ",")
		args[m] = []string{"worker", "--server", server, "--tools", filepath.Join(f.dir, "tools.yaml"), "--ack-wait", nodeAckWait.String(), "--concurrency", "8"}
		if m.role == "dispatcher" {
			args[m] = []string{"dispatcher", "serve", "--server", server, "--data-dir", filepath.Join(f.dir, m.String())}
		}
	}
	f.argsOf = func(m member) []string { return slices.Clone(args[m]) }
	return f
}

// begin starts everything, and waits until a run ends.
func (c *nodes) begin(t *testing.T, f *fleet, w *world) {
	t.Helper()
	asNodeIn(t, f.bin)
	if err := os.WriteFile(filepath.Join(f.dir, "tools.yaml"), []byte(w.diskTools()), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(f.dir, "plan.yaml"), []byte(planText), 0o600); err != nil {
		t.Fatal(err)
	}
	f.shareKey()
	t.Cleanup(f.end)
	for n := range nodeCount {
		f.start(member{asNode, n})
	}
	for _, m := range c.members {
		f.start(m)
	}
	c.load = &load{client: f.client(w)}
	c.doc = diskDocument(t, f)
	c.awake(t)
}

// asNodeIn gives a folder of programs one that is a server.
func asNodeIn(t *testing.T, bin string) {
	t.Helper()
	self, err := os.Executable()
	if err == nil {
		err = os.Symlink(self, filepath.Join(bin, asNode))
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		t.Fatal(err)
	}
}
