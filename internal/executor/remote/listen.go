package remote

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Address is where programs poll: a TCP port of the loopback, or a Unix socket.
type Address struct {
	network, address string
}

// ParseAddress reads `127.0.0.1:7480` or `unix:/path/to/socket`. The protocol is not encrypted, so nothing but the loopback is
// allowed.
func ParseAddress(text string) (Address, error) {
	if path, is := strings.CutPrefix(text, "unix:"); is {
		if path == "" {
			return Address{}, errors.New("unix: needs the path of a socket, as in unix:/run/belay/work.sock")
		}
		return Address{"unix", path}, nil
	}
	host, _, err := net.SplitHostPort(text)
	if err != nil {
		return Address{}, fmt.Errorf("%q is not HOST:PORT or unix:PATH: %w", text, err)
	}
	if !loopbackName(host) {
		return Address{}, fmt.Errorf("%s can be reached from other machines, and the protocol is not encrypted: use 127.0.0.1 or unix:PATH, and run a worker where the program runs", text)
	}
	return Address{"tcp", text}, nil
}

// Unix reports whether it is a Unix socket. The mode of its file, 0600, protects it, and no token is needed.
func (a Address) Unix() bool { return a.network == "unix" }

// Listen listens. It replaces the file of a socket on which nobody listens any more.
func (a Address) Listen(ctx context.Context) (net.Listener, error) {
	if a.Unix() {
		return listenUnix(ctx, a.address)
	}
	return new(net.ListenConfig).Listen(ctx, a.network, a.address)
}

// socket is a listener that removes its file when it is closed, unless another process has replaced the file.
type socket struct {
	net.Listener
	path string
	file fs.FileInfo
}

func (s socket) Close() error {
	if now, err := os.Lstat(s.path); err == nil && os.SameFile(now, s.file) {
		_ = os.Remove(s.path)
	}
	return s.Listener.Close()
}

// listenUnix makes the socket in a folder that only this user can enter, and moves it into place once its mode is right, so
// that no other user can ever connect.
func listenUnix(ctx context.Context, path string) (net.Listener, error) {
	if err := replaceable(ctx, path); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(filepath.Dir(path), ".w")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, "s"), Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listen at %s: %w", path, err)
	}
	l.SetUnlinkOnClose(false)
	s, err := place(l, filepath.Join(dir, "s"), path)
	if err != nil {
		_ = l.Close()
	}
	return s, err
}

func place(l net.Listener, made, path string) (net.Listener, error) {
	if err := os.Chmod(made, 0o600); err != nil {
		return nil, err
	}
	file, err := os.Lstat(made)
	if err != nil {
		return nil, err
	}
	if err := os.Rename(made, path); err != nil {
		return nil, err
	}
	return socket{l, path, file}, nil
}

// replaceable returns an error if a socket cannot be made at a path.
func replaceable(ctx context.Context, path string) error {
	there, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case there.Mode()&fs.ModeSocket == 0:
		return fmt.Errorf("%s exists and is not a socket", path)
	}
	conn, err := (&net.Dialer{Timeout: 2 * time.Second}).DialContext(ctx, "unix", path)
	if err == nil {
		_ = conn.Close()
		return fmt.Errorf("%s is in use: another worker gives out work there", path)
	}
	return nil
}
