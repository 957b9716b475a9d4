package approval

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// pinFile is a file of pinned keys, as `dispatcher keys export` writes them too, so that people may add lines.
type pinFile struct {
	keys map[string]PublicKey
	at   time.Time // when the file was changed that was read
	size int64     // of it
}

// errNoPlace says that a worker can pin no keys.
var errNoPlace = errors.New("there is no place for the keys that sign approvals")

// place makes the folder of a file of pinned keys, and checks that it can be written.
func place(path string) error {
	dir := filepath.Dir(path)
	err := os.MkdirAll(dir, 0o700)
	if err == nil {
		var probe *os.File
		if probe, err = os.CreateTemp(dir, ".place-*"); err == nil {
			err = errors.Join(probe.Close(), os.Remove(probe.Name()))
		}
	}
	if err != nil {
		return fmt.Errorf("%w: %w; give a state directory that lasts (--data-dir DIR), or the keys (--trust FILE, from `dispatcher keys export`)", errNoPlace, err)
	}
	return nil
}

// read reads the file, if it has changed since. What was read of one that is gone goes on counting.
func (f *pinFile) read(path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("pinned keys: %w", err)
	}
	if info.ModTime().Equal(f.at) && info.Size() == f.size {
		return nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("pinned keys: %w", err)
	}
	list, err := parseKeys(path, text)
	if err != nil {
		return err
	}
	*f = pinFile{keys: map[string]PublicKey{}, at: info.ModTime(), size: info.Size()}
	for _, k := range list {
		f.keys[k.ID] = k
	}
	return nil
}

// add adds keys to the file. Of several processes that make it at the same time one is first, and the others go by its keys.
func (f *pinFile) add(path, about string, more []PublicKey, first bool) error {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		text, err = []byte("# The keys that sign approvals for "+about+", as they were first found there, and those that they vouch for since.\n"+
			"# Add a line of `dispatcher keys export` to trust another key. A worker that is started without this file trusts anew whatever is published.\n"), nil
	}
	if err != nil {
		return fmt.Errorf("pinned keys: %w", err)
	}
	out := bytes.NewBuffer(append(bytes.TrimRight(text, "\n"), '\n'))
	for _, k := range append(slices.Collect(maps.Values(f.keys)), more...) {
		if !bytes.Contains(text, []byte(k.String())) {
			fmt.Fprintln(out, k)
		}
	}
	if err := putFile(path, out.Bytes(), first); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("pinned keys: %w", err)
	}
	return f.read(path)
}

// putFile replaces a file as a whole, so that no reader sees half of it; if it must be new, one that is there stays.
func putFile(path string, text []byte, mustBeNew bool) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".pins-*") // 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(tmp.Name()) }()
	_, err = tmp.Write(text)
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	if mustBeNew {
		return os.Link(tmp.Name(), path)
	}
	return os.Rename(tmp.Name(), path)
}
