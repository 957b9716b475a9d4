package embedded

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// ErrLocked says that another process has opened the store.
var ErrLocked = errors.New("the store is in use")

// lockStore locks the store for this process. The lock ends with the process, however that ends. Before is what stands in it of a
// process that has not closed the store.
func lockStore(dir string, h holder) (f *os.File, before holder, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, before, fmt.Errorf("store folder: %w", err)
	}
	f, err = os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, before, fmt.Errorf("store lock: %w", err)
	}
	locked := flock(f)
	before = readHolder(f)
	if locked != nil {
		f.Close()
		return nil, before, fmt.Errorf("%w: %s is locked by process %s; stop it, or use another --data-dir", ErrLocked, dir, cmp.Or(before.process, "(unknown)"))
	}
	if err := h.write(f); err != nil {
		unlock(f)
		return nil, before, fmt.Errorf("store lock: %w", err)
	}
	return f, before, nil
}

// holder is who has the store.
type holder struct {
	process string // its id
	opening string // [Server.Opening]; of older versions there is none
}

func readHolder(f *os.File) (h holder) {
	b, _ := io.ReadAll(io.LimitReader(f, 128))
	lines := strings.Split(string(b), "\n")
	if h.process = lines[0]; len(lines) > 1 {
		h.opening = lines[1]
	}
	return h
}

func (h holder) write(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.WriteAt([]byte(h.process+"\n"+h.opening+"\n"), 0)
	return err
}

// flock locks a file, or returns an error at once. The lock ends with the process.
func flock(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) }

// unlock gives a lock up and closes its file. Closing alone would leave it locked for as long as a program that is just being
// started still has the files of this process.
func unlock(f *os.File) {
	_ = syscall.Flock(int(f.Fd()), syscall.LOCK_UN)
	f.Close()
}
