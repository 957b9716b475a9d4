package embedded

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// SyncLayout has it on disk which streams and consumers there are, where the server syncs now and then: that is of messages only,
// and after a power cut it would not open a stream whose settings it cannot read. It can be called again when there are more.
func (s *Server) SyncLayout() error {
	ns := s.current()
	if ns == nil {
		return errAway
	}
	if s.o.Durability != Interval {
		return nil
	}
	return filepath.WalkDir(ns.StoreDir(), func(path string, d fs.DirEntry, err error) error {
		if err == nil && (d.IsDir() || strings.HasPrefix(d.Name(), "meta.")) {
			err = syncFile(path)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil // removed meanwhile
		}
		return err
	})
}

func syncFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
