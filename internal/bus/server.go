package bus

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// ServerOptions say how the embedded server runs.
type ServerOptions struct {
	StoreDir   string
	Durability string // "fsync" (default): on disk before a publish is confirmed; "interval": within a second
	Listen     string // host:port for others; empty = inside this process only
	MaxStore   int64  // bytes; 0 = as much as the disk has
	Log        *slog.Logger
}

// Durabilities of the embedded server.
const (
	DurabilityFsync    = "fsync"
	DurabilityInterval = "interval"
)

// Server is a NATS server inside this process. It holds a lock on its store.
type Server struct {
	ns   *server.Server
	lock *os.File
}

// ErrLocked says that another process has the store open.
var ErrLocked = errors.New("the store is in use")

// StartServer starts the embedded server and returns when it takes connections.
func StartServer(o ServerOptions) (*Server, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	opts, err := o.serverOptions()
	if err != nil {
		return nil, err
	}
	lock, err := lockStore(o.StoreDir)
	if err != nil {
		return nil, err
	}
	s := &Server{lock: lock}
	if s.ns, err = server.NewServer(opts); err != nil {
		s.unlock()
		return nil, fmt.Errorf("embedded NATS server on %s: %w", o.StoreDir, err)
	}
	s.ns.SetLoggerV2(serverLog{o.Log}, false, false, false)
	s.ns.Start()
	if !s.ns.ReadyForConnections(30 * time.Second) {
		s.Shutdown()
		return nil, fmt.Errorf("the embedded NATS server on %s is not ready after 30 s; its log says why", o.StoreDir)
	}
	if !s.ns.JetStreamEnabled() {
		s.Shutdown()
		return nil, fmt.Errorf("the embedded NATS server cannot use its store %s; its log says why", o.StoreDir)
	}
	return s, nil
}

func (o ServerOptions) serverOptions() (*server.Options, error) {
	opts := &server.Options{
		ServerName: "belay", JetStream: true, StoreDir: o.StoreDir, JetStreamMaxStore: o.MaxStore, NoSigs: true,
		DontListen: o.Listen == "", MaxPayload: 1 << 20, SyncAlways: true, NoSystemAccount: true,
	}
	switch o.Durability {
	case "", DurabilityFsync:
	case DurabilityInterval:
		opts.SyncAlways, opts.SyncInterval = false, time.Second
	default:
		return nil, fmt.Errorf("durability %q: it is fsync or interval", o.Durability)
	}
	if o.Listen == "" {
		return opts, nil
	}
	host, port, err := net.SplitHostPort(o.Listen)
	if err != nil {
		return nil, fmt.Errorf("NATS address %q: %w", o.Listen, err)
	}
	if opts.Port, err = strconv.Atoi(port); err != nil {
		return nil, fmt.Errorf("NATS address %q: the port is no number", o.Listen)
	}
	if opts.Port == 0 {
		opts.Port = server.RANDOM_PORT
	}
	opts.Host = host
	return opts, checkFree(o.Listen)
}

// checkFree tells of a port in use at once; the server itself would only log it.
func checkFree(listen string) error {
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return fmt.Errorf("cannot listen for NATS on %s: %w (choose another address with --nats-listen, or stop what uses it)", listen, err)
	}
	return l.Close()
}

// URL is where others connect, empty without a port.
func (s *Server) URL() string {
	if s.ns.Addr() == nil {
		return ""
	}
	return s.ns.ClientURL()
}

// Shutdown stops the server and gives the store back.
func (s *Server) Shutdown() {
	s.ns.Shutdown()
	s.ns.WaitForShutdown()
	s.unlock()
}

func (s *Server) unlock() { s.lock.Close() }

// lockStore takes the store for this process. The lock goes with the process, however it ends.
func lockStore(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("store folder: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("store lock: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		holder, _ := io.ReadAll(io.LimitReader(f, 64))
		f.Close()
		return nil, fmt.Errorf("%w: %s is held by process %s; stop it, or use another --data-dir", ErrLocked, dir, orUnknown(strings.TrimSpace(string(holder))))
	}
	if err := writeHolder(f); err != nil {
		f.Close()
		return nil, fmt.Errorf("store lock: %w", err)
	}
	return f, nil
}

func writeHolder(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

func orUnknown(s string) string {
	if s == "" {
		return "(unknown)"
	}
	return s
}

// serverLog hands the server's warnings and errors on; what it does from day to day is nobody's news.
type serverLog struct{ log *slog.Logger }

func (l serverLog) Noticef(string, ...any) {}
func (l serverLog) Debugf(string, ...any)  {}
func (l serverLog) Tracef(string, ...any)  {}
func (l serverLog) Warnf(format string, v ...any) {
	l.log.Warn("nats-server: " + fmt.Sprintf(format, v...))
}
func (l serverLog) Errorf(format string, v ...any) {
	l.log.Error("nats-server: " + fmt.Sprintf(format, v...))
}
func (l serverLog) Fatalf(format string, v ...any) {
	l.log.Error("nats-server: " + fmt.Sprintf(format, v...))
}
