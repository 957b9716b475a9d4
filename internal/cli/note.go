package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// ErrNoServer means that the state directory has no note of a running server.
var ErrNoServer = errors.New("no running dispatcher is noted in the state directory")

// noteName is the file in the state directory by which commands find a running `dev` or `serve`: its server's URL.
const noteName = "server.url"

// LeaveNote writes the URL of a running server into the state directory; remove deletes the note.
func LeaveNote(dir, url string) (remove func(), err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the state directory: %w", err)
	}
	path := filepath.Join(dir, noteName)
	if err := os.WriteFile(path, []byte(url), 0o600); err != nil {
		return nil, fmt.Errorf("note the server in the state directory: %w", err)
	}
	return func() { _ = os.Remove(path) }, nil
}

// FindServer reads the URL of a running server from the state directory, or returns [ErrNoServer]. The process may be
// gone: only connecting tells.
func FindServer(dir string) (string, error) {
	b, err := os.ReadFile(filepath.Join(dir, noteName))
	if errors.Is(err, os.ErrNotExist) || err == nil && len(b) == 0 {
		return "", ErrNoServer
	}
	if err != nil {
		return "", fmt.Errorf("read the note of a server in the state directory: %w", err)
	}
	return string(b), nil
}
