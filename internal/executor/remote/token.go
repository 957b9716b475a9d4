package remote

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// leastToken is the shortest length of a token.
const leastToken = 20

// CheckToken returns an error if a token cannot be used.
func CheckToken(token string) error {
	switch {
	case len(token) < leastToken:
		return fmt.Errorf("the token has %d characters; at least %d are needed", len(token), leastToken)
	case strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }):
		return errors.New("the token has characters other than printable ASCII")
	}
	return nil
}

// ReadToken reads the token in a file that only its owner can read. It makes a missing file, with a random token.
func ReadToken(file string) (string, error) {
	about, err := os.Stat(file)
	if errors.Is(err, fs.ErrNotExist) {
		return makeToken(file)
	}
	if err != nil {
		return "", err
	}
	if about.Mode().Perm()&0o077 != 0 {
		return "", fmt.Errorf("%s can be read by others than its owner: chmod 600 %[1]s", file)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	token := strings.TrimSpace(string(text))
	if err := CheckToken(token); err != nil {
		return "", fmt.Errorf("%s: %w", file, err)
	}
	return token, nil
}

// makeToken writes the whole file or nothing. If several programs make it at the same time, the first one wins.
func makeToken(file string) (string, error) {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return "", err
	}
	made, err := os.CreateTemp(filepath.Dir(file), ".token") // 0600
	if err != nil {
		return "", err
	}
	defer func() { _ = os.Remove(made.Name()) }()
	_, err = made.WriteString(rand.Text() + rand.Text() + "\n")
	if err := errors.Join(err, made.Close()); err != nil {
		return "", err
	}
	if err := os.Link(made.Name(), file); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	return ReadToken(file)
}
