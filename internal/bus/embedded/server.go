package embedded

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// Options say how the embedded server runs.
type Options struct {
	StoreDir   string       // made if it does not exist; one process at a time can use it
	Durability string       // "fsync" (default): on disk before a publish is confirmed; "interval": within a second
	Listen     string       // host:port for others; empty = inside this process only
	MaxStore   int64        // in bytes; 0 = as much as the disk has
	Logger     *slog.Logger // for the server's warnings and errors; nil = nothing is logged
}

// Durabilities of the embedded server.
const (
	Fsync    = "fsync"
	Interval = "interval"
)

// Server is a NATS server in this process. Its store is locked. It can be started anew within its life, see [Server.Tend].
type Server struct {
	o         Options
	dir       string // the store
	logger    *slog.Logger
	lock      *os.File
	opening   string
	crashed   string       // the process that had the store before and did not close it; empty = none
	stage     string       // folder in memory in which batches are staged; empty = they are on disk
	stageLock *os.File     // held while stage is in use
	url       atomic.Value // where it listens, a string
	failed    failures     // writes to these streams are refused until the store is opened anew

	mu     sync.Mutex
	ns     *server.Server // nil while it is started anew
	closed bool
}

// Start starts the embedded server, and returns when it accepts connections.
func Start(o Options) (*Server, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{o: o, dir: o.StoreDir, logger: o.Logger, opening: rand.Text()}
	opts, err := o.server()
	if err != nil {
		return nil, err
	}
	var before holder
	if s.lock, before, err = lockStore(o.StoreDir, holder{strconv.Itoa(os.Getpid()), s.opening}); err != nil {
		return nil, err
	}
	if before.opening != "" {
		s.crashed = before.process
	}
	if s.ns, err = s.open(opts); err != nil {
		s.unlock()
		return nil, err
	}
	s.url.Store("")
	if addr := s.ns.Addr(); addr != nil { // a port that the system chose stays
		s.url.Store(s.ns.ClientURL())
		s.o.Listen = addr.String()
	}
	return s, nil
}

// open opens the store.
func (s *Server) open(opts *server.Options) (*server.Server, error) {
	if err := mend(s.dir, s.logger); err != nil {
		return nil, fmt.Errorf("look through the store in %s: %w", s.dir, err)
	}
	ns, err := server.NewServer(opts)
	if err != nil {
		return nil, fmt.Errorf("embedded NATS server on %s: %w", s.dir, err)
	}
	log := newServerLog(s.logger, &s.failed)
	ns.SetLoggerV2(log, false, false, false)
	ns.Start()
	if err := ready(ns, log.fatal); err != nil {
		shutDown(ns)
		return nil, fmt.Errorf("embedded NATS server on %s: %w", s.dir, err)
	}
	return ns, nil
}

const startTimeout = 30 * time.Second

// ready waits until the server accepts connections and has opened its store.
func ready(ns *server.Server, fatal <-chan string) error {
	select { // everything but accepting connections was done in Start
	case text := <-fatal:
		return errors.New(text)
	default:
	}
	if !ns.ReadyForConnections(startTimeout) {
		return fmt.Errorf("not ready after %s; its log says why", startTimeout)
	}
	if !ns.JetStreamEnabled() {
		return errors.New("it cannot use its store; its log says why")
	}
	return nil
}

func (o Options) server() (*server.Options, error) {
	opts := &server.Options{
		ServerName: "belay", JetStream: true, StoreDir: o.StoreDir, JetStreamMaxStore: o.MaxStore, NoSigs: true,
		DontListen: o.Listen == "", MaxPayload: 1 << 20, SyncAlways: true, NoSystemAccount: true,
	}
	switch o.Durability {
	case "", Fsync:
	case Interval:
		opts.SyncAlways, opts.SyncInterval = false, time.Second
	default:
		return nil, fmt.Errorf("durability %q: it must be fsync or interval", o.Durability)
	}
	if o.Listen == "" {
		return opts, nil
	}
	return opts, o.listen(opts)
}

// listen sets where other processes can connect: on this machine only, because the embedded server does not authenticate
// anybody.
func (o Options) listen(opts *server.Options) error {
	host, port, err := net.SplitHostPort(o.Listen)
	if err != nil {
		return fmt.Errorf("NATS address %q: %w", o.Listen, err)
	}
	if opts.Host = host; host == "" || host == "localhost" {
		opts.Host = "127.0.0.1"
	}
	if ip := net.ParseIP(opts.Host); ip == nil || !ip.IsLoopback() {
		return fmt.Errorf("NATS address %q: the embedded server listens on loopback only, because it does not ask for a password; use 127.0.0.1, or your own NATS server with credentials (dispatcher serve)", o.Listen)
	}
	if opts.Port, err = strconv.Atoi(port); err != nil || opts.Port < 0 || opts.Port > 65535 {
		return fmt.Errorf("NATS address %q: %q is not a port", o.Listen, port)
	}
	if opts.Port == 0 {
		opts.Port = server.RANDOM_PORT
	}
	return checkFree(net.JoinHostPort(opts.Host, port))
}

// checkFree reports a port in use at once; the server itself would only log it.
func checkFree(listen string) error {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", listen)
	if err != nil {
		return fmt.Errorf("cannot listen for NATS on %s: %w (choose another address with --nats-listen, or stop what uses it)", listen, err)
	}
	return l.Close()
}

// URL returns where other processes connect; empty without a port.
func (s *Server) URL() string { return s.url.Load().(string) }

// Opening names that this process has opened the store. Nobody else has the store open: whoever was connected to it within a
// process, under the name of another opening, has died or closed it.
func (s *Server) Opening() string { return s.opening }

// Crashed is the id of the process that had the store before, if it has not closed it; empty = there was none, or it did.
func (s *Server) Crashed() string { return s.crashed }

// current is the running server; nil while it is started anew, or after the end.
func (s *Server) current() *server.Server {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ns
}

// Shutdown stops the server and unlocks the store.
func (s *Server) Shutdown() {
	s.mu.Lock()
	ns := s.ns
	s.ns, s.closed = nil, true
	s.mu.Unlock()
	if ns != nil {
		shutDown(ns)
	}
	if s.stage != "" {
		_ = os.RemoveAll(s.stage)
		unlock(s.stageLock)
		s.stage = ""
	}
	s.unlock()
}

func shutDown(ns *server.Server) {
	ns.Shutdown()
	ns.WaitForShutdown()
}

func (s *Server) unlock() {
	_ = s.lock.Truncate(0) // it is closed; one that cannot be marked so is taken for crashed, which says no more than that
	unlock(s.lock)
}
