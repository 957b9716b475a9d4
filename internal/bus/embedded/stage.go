package embedded

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/nats-io/nats-server/v2/server"
)

// The server writes each batch to files of its own first, in a folder that it makes and removes for it, and syncs them; then
// it stores the batch, syncs that, and confirms it. With those files in memory a batch takes a third of the time. They are no
// part of what is confirmed: after a crash the server can finish a batch with them that it was storing, and nobody was told
// that this one is stored. A publisher of this program takes no batch for whole: each message of it stands for itself, and is
// published again unless it was confirmed.

const (
	memory      = "/dev/shm"     // where Linux has a file system in memory
	stagePrefix = "belay-stage-" // what folders there begin with
	stageLock   = "lock"         // in such a folder
)

// preparedDir is the server's name for the folder of batches of a stream; it is removed at every start.
const preparedDir = "batches"

// StageInMemory has the server stage the batches of all streams that there are in memory, where the system has a place for
// that. It can be called again when there are more streams.
func (s *Server) StageInMemory() error {
	ns := s.current()
	if ns == nil {
		return errAway
	}
	if s.stage == "" {
		dir, lock, err := ownStage()
		if dir == "" || err != nil {
			return err
		}
		s.stage, s.stageLock = dir, lock
	}
	streams := filepath.Join(ns.StoreDir(), server.DEFAULT_GLOBAL_ACCOUNT, "streams")
	all, err := os.ReadDir(streams)
	if err != nil {
		return err
	}
	var errs []error
	for _, d := range all {
		if !strings.HasPrefix(d.Name(), "KV_") { // buckets get one message at a time
			errs = append(errs, s.stageStream(filepath.Join(streams, d.Name()), d.Name()))
		}
	}
	return errors.Join(errs...)
}

// stageStream makes the folder of batches a link into memory. One that is not empty stays: somebody's batch is in it.
func (s *Server) stageStream(dir, name string) error {
	target := filepath.Join(s.stage, name)
	if err := os.MkdirAll(target, 0o700); err != nil {
		return err
	}
	link := filepath.Join(dir, preparedDir)
	if is, err := os.Lstat(link); err == nil && is.Mode()&fs.ModeSymlink != 0 {
		return nil
	}
	err := os.Remove(link)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		err = os.Symlink(target, link)
	}
	if errors.Is(err, fs.ErrExist) { // it is not empty, or just made
		return nil
	}
	return err
}

// ownStage makes a folder in memory, in which a lock says that its process lives; "" where there is no room for one.
func ownStage() (dir string, lock *os.File, err error) {
	if !memoryHasRoom() {
		return "", nil, nil
	}
	removeLeft()
	if dir, err = os.MkdirTemp(memory, stagePrefix); err != nil {
		return "", nil, err
	}
	if lock, err = lockStage(dir); err != nil {
		_ = os.RemoveAll(dir)
		return "", nil, err
	}
	return dir, lock, nil
}

// lockStage gives the lock its name once it is held: whoever finds one that is not held may remove the folder.
func lockStage(dir string) (*os.File, error) {
	name := filepath.Join(dir, stageLock)
	lock, err := os.OpenFile(name+".new", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err = flock(lock); err == nil {
		err = os.Rename(name+".new", name)
	}
	if err != nil {
		lock.Close()
		return nil, err
	}
	return lock, nil
}

// removeLeft removes what killed processes have left in memory, of this user's and whatever store it was for. A server has
// read what it needed of its own before this is called.
func removeLeft() {
	locks, _ := filepath.Glob(filepath.Join(memory, stagePrefix+"*", stageLock))
	for _, name := range locks {
		lock, err := os.OpenFile(name, os.O_RDWR|syscall.O_NOFOLLOW, 0) // everybody may put links there
		if err != nil {
			continue
		}
		if flock(lock) == nil {
			_ = os.RemoveAll(filepath.Dir(name))
		}
		unlock(lock)
	}
}
