package bus

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"belay/internal/bus/embedded"
	"belay/internal/freeport"
)

// contexts makes an empty home for contexts of the nats CLI and returns a function that writes one.
func contexts(t *testing.T) (write func(name, content string)) {
	t.Helper()
	home := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", home)
	if err := os.MkdirAll(filepath.Join(home, "nats", "context"), 0o700); err != nil {
		t.Fatal(err)
	}
	return func(name, content string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(home, "nats", name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWhatCannotBeReachedIsNamedWithoutSecrets(t *testing.T) {
	t.Parallel()
	address := freeport.Address(t)
	for name, o := range map[string]Options{
		"user":     {Server: "nats://zoe:secret@" + address},
		"bare":     {Server: "zoe:secret@" + address},
		"token":    {Server: "nats://secret@" + address},
		"options":  {Server: address, User: "zoe", Password: "secret"},
		"list":     {Server: "nats://zoe:secret@" + address + ",nats://bob:secret@" + address},
		"unparsed": {Server: "nats://zoe:sec%zzret@" + address},
		"slash":    {Server: "nats://zoe:1/secret@" + address},
	} {
		o.Timeout = time.Second
		began := time.Now()
		_, err := Connect(t.Context(), o)
		if err == nil || strings.Contains(err.Error(), "ret@") || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "zoe") {
			t.Errorf("%s: %v", name, err)
		}
		if name != "unparsed" && name != "slash" && (!errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "nats://"+address)) {
			t.Errorf("%s: %v", name, err)
		}
		if took := time.Since(began); took > time.Minute {
			t.Errorf("%s took %s", name, took)
		}
	}
}

func TestServerThatSaysNothing(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0") // connections are made and nobody takes them
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	began := time.Now()
	_, err = Connect(t.Context(), Options{Server: "nats://" + l.Addr().String(), Timeout: 500 * time.Millisecond})
	if took := time.Since(began); !errors.Is(err, ErrUnreachable) || took > time.Minute {
		t.Errorf("%v after %s", err, took)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Connect(ctx, Options{Server: "nats://" + l.Addr().String(), Timeout: time.Minute}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestContexts(t *testing.T) {
	write := contexts(t)
	s := serve(t, embedded.Options{StoreDir: t.TempDir(), Durability: embedded.Interval, Listen: "127.0.0.1:0"})
	refused := func(o Options, words ...string) {
		t.Helper()
		b, err := Connect(t.Context(), o)
		if err == nil {
			b.Close()
			t.Fatalf("connected to %s", b.URL())
		}
		for _, w := range words {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("the error does not say %q: %v", w, err)
			}
		}
	}
	refused(Options{}, "no NATS server is named")
	refused(Options{Context: "nowhere"}, "nowhere", "unknown context")
	refused(Options{Context: "../x"}, "../x")
	write("context/empty.json", `{}`)
	refused(Options{Context: "empty", Timeout: time.Second}, "empty")
	write("context/broken.json", `{`)
	refused(Options{Context: "broken"}, "broken")
	write("context.txt", "gone")
	refused(Options{}, "gone")

	write("context/here.json", `{"url": "`+s.URL()+`"}`)
	if b := dial(t, Options{Context: "here"}); b.URL() != s.URL() {
		t.Errorf("the named context leads to %s", b.URL())
	}
	write("context.txt", "here\n")
	if b := dial(t, Options{}); b.URL() != s.URL() {
		t.Errorf("the selected context leads to %s", b.URL())
	}
}

func TestCredentials(t *testing.T) {
	contexts(t)
	url := startGuarded(t)
	for name, o := range map[string]Options{"none": {}, "wrong": {User: "zoe", Password: "wr0ng"}} {
		o.Server, o.Timeout = url, time.Second
		if _, err := Connect(t.Context(), o); !errors.Is(err, ErrUnreachable) || strings.Contains(err.Error(), "wr0ng") {
			t.Errorf("%s: %v", name, err)
		}
	}
	b := dial(t, Options{Server: url, User: "zoe", Password: "secret", Name: "belay-test", InboxPrefix: "_MINE"})
	setUp(t, b, SetupOptions{Partitions: 1})
	put(t, b, "r")
	if b.NATS().Opts.Name != "belay-test" {
		t.Errorf("the connection is named %q", b.NATS().Opts.Name)
	}
	for name, o := range map[string]Options{"nkey": {NKey: "missing.nk"}, "creds": {Creds: "missing.creds"}, "ca": {TLSCA: "missing.pem"}, "cert": {TLSCert: "missing.pem", TLSKey: "missing.key"}} {
		o.Server = url
		if _, err := Connect(t.Context(), o); err == nil || !strings.Contains(err.Error(), "missing.") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// startGuarded starts a server that lets in zoe, who may use only inboxes of her own, and tom, who may not ask the system anything.
func startGuarded(t *testing.T) string {
	t.Helper()
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true, JetStream: true, StoreDir: t.TempDir(),
		Users: []*server.User{
			{Username: "zoe", Password: "secret", Permissions: &server.Permissions{Subscribe: &server.SubjectPermission{Deny: []string{"_INBOX.>"}}}},
			{Username: "tom", Password: "secret", Permissions: &server.Permissions{Publish: &server.SubjectPermission{Deny: []string{"$SYS.>"}}}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(patience) {
		t.Fatal("the server is not ready")
	}
	return s.ClientURL()
}

// TestWhoMayNotAskWhoTheyAreDoesNotWait: a server that forbids that question answers nothing; the time of an answer is not waited for.
func TestWhoMayNotAskWhoTheyAreDoesNotWait(t *testing.T) {
	t.Parallel()
	nc, err := nats.Connect(startGuarded(t), nats.UserInfo("tom", "secret"), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if m, err := askOrBeDenied(ctx, nc, "$SYS.REQ.USER.INFO"); !errors.Is(err, nats.ErrPermissionViolation) {
		t.Errorf("%v, %v", m, err)
	}
	if u := whoami(t.Context(), nc); u.Known {
		t.Errorf("%+v", u)
	}
}

func TestServerWithoutJetStream(t *testing.T) {
	t.Parallel()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(s.Shutdown)
	if !s.ReadyForConnections(patience) {
		t.Fatal("the server is not ready")
	}
	if _, err := Connect(t.Context(), Options{Server: s.ClientURL(), Timeout: patience}); err == nil || !strings.Contains(err.Error(), "JetStream") {
		t.Errorf("got %v", err)
	}
}

func TestOldServerIsRefused(t *testing.T) {
	t.Parallel()
	s := serve(t, embedded.Options{StoreDir: t.TempDir(), Durability: embedded.Interval, Listen: "127.0.0.1:0"})
	url := agedBy(t, s, "2.14.9")
	_, err := Connect(t.Context(), Options{Server: url})
	if err == nil || !strings.Contains(err.Error(), "2.14.9") || !strings.Contains(err.Error(), Oldest) {
		t.Errorf("got %v", err)
	}
	dial(t, Options{Server: agedBy(t, s, "2.15.0")})
}

// agedBy stands before a server and calls it another version.
func agedBy(t *testing.T, s *embedded.Server, version string) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go relay(client, strings.TrimPrefix(s.URL(), "nats://"), version)
		}
	}()
	return "nats://" + l.Addr().String()
}

func relay(client net.Conn, address, version string) {
	defer client.Close()
	behind, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer behind.Close()
	go func() {
		_, _ = io.Copy(behind, client)
		behind.Close()
	}()
	r := bufio.NewReader(behind)
	for {
		line, err := r.ReadString('\n')
		if strings.HasPrefix(line, "INFO ") { // there is more than one
			line = strings.Replace(line, `"version":"`+server.VERSION+`"`, `"version":"`+version+`"`, 1)
		}
		if _, failed := io.WriteString(client, line); err != nil || failed != nil {
			return
		}
	}
}

func TestVersions(t *testing.T) {
	t.Parallel()
	for v, want := range map[string]bool{"2.14.9": true, "2.15.0": false, "2.15.2": false, "3.0.0": false, "v2.9.1-beta": true, "odd": false} {
		if older(v, Oldest) != want {
			t.Errorf("older(%s) is not %v", v, want)
		}
	}
}

func TestTellAndHear(t *testing.T) {
	t.Parallel()
	s, a := start(t, t.TempDir(), embedded.Interval)
	other := connect(t, s)
	heard := make(chan string, 10)
	stop, err := other.Hear("belay.stop.>", func(subject string, data []byte) { heard <- subject + " " + string(data) })
	if err != nil {
		t.Fatal(err)
	}
	if err := other.nc.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := a.Tell("belay.stop.r.s.1", []byte("now")); err != nil {
		t.Fatal(err)
	}
	if got := within(t, patience, heard); got != "belay.stop.r.s.1 now" {
		t.Errorf("heard %q", got)
	}
	stop()
	a.Close()
	if err := a.Tell("belay.stop.r.s.1", nil); err == nil {
		t.Error("told through a closed connection")
	}
}
