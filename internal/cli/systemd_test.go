package cli

import (
	"bytes"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestSystemdIsTold when a program is ready, and when it stops.
func TestSystemdIsTold(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "notify")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Skip("no Unix sockets here: ", err)
	}
	defer func() { _ = c.Close() }()
	t.Setenv("NOTIFY_SOCKET", socket)
	var log bytes.Buffer
	a := &App{IO: IO{Err: &log, Getenv: func(string) string { return "" }}}
	a.Ready("worker", nil)
	a.Draining()
	for _, want := range []string{"READY=1", "STOPPING=1"} {
		_ = c.SetReadDeadline(time.Now().Add(time.Minute))
		buffer := make([]byte, 100)
		n, err := c.Read(buffer)
		if got := string(buffer[:n]); err != nil || got != want {
			t.Errorf("systemd got %q, %v; want %q", got, err, want)
		}
	}
	t.Setenv("NOTIFY_SOCKET", socket+"-gone")
	a.Ready("worker", nil)
	if !strings.Contains(log.String(), "systemd is not told") {
		t.Errorf("logged %q", log.String())
	}
}
