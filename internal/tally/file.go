package tally

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"belay/internal/exactjson"
)

// A file has a head of 4,096 bytes, a JSON object with its checksum before it, and then the pages, each at its place. What a
// process that ended left torn is taken from the bucket, or read from the log again.

const headBytes = 4096

// file is where the leaves of a partition are kept outside the store. A nil file keeps nothing.
type file struct {
	f     *os.File
	names *os.File // the ids of runs, a line each, in the order of their submission
}

// openFile opens the files of a stream in a folder, and makes them.
func openFile(dir, stream string) (*file, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, stream+".tally"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	names, err := os.OpenFile(filepath.Join(dir, stream+".runs"), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return &file{f, names}, nil
}

func (f *file) close() error {
	if f == nil {
		return nil
	}
	return errors.Join(f.f.Close(), f.names.Close())
}

// head reads the head; false where there is none that is whole.
func (f *file) head() (h head, ok bool) {
	if f == nil {
		return h, false
	}
	b := make([]byte, headBytes)
	if _, err := f.f.ReadAt(b, 0); err != nil {
		return h, false
	}
	size := binary.LittleEndian.Uint32(b[4:])
	if size > headBytes-8 || crc32.Checksum(b[8:8+size], castagnoli) != binary.LittleEndian.Uint32(b) {
		return h, false
	}
	err := exactjson.Unmarshal(b[8:8+size], &h)
	return h, err == nil && h.V == version
}

// page reads a page; nil where there is none that is whole.
func (f *file) page(number uint64) *leaves {
	if f == nil {
		return nil
	}
	b := make([]byte, pageBytes)
	if _, err := f.f.ReadAt(b, placeOf(number)); err != nil {
		return nil
	}
	return readLeaves(b)
}

func placeOf(number uint64) int64 { return headBytes + int64(number)*int64(pageBytes) }

// save writes pages, and then the head that counts on them.
func (f *file) save(h head, pages map[uint64]*leaves) error {
	if f == nil {
		return nil
	}
	for number, l := range pages {
		if _, err := f.f.WriteAt(l.encode(), placeOf(number)); err != nil {
			return fmt.Errorf("%s: %w", f.f.Name(), err)
		}
	}
	if err := errors.Join(f.f.Sync(), f.names.Sync()); err != nil {
		return fmt.Errorf("%s: %w", f.f.Name(), err)
	}
	text, err := json.Marshal(h)
	if err != nil {
		return err
	}
	b := make([]byte, headBytes)
	copy(b[8:], text)
	binary.LittleEndian.PutUint32(b[4:], uint32(len(text)))
	binary.LittleEndian.PutUint32(b, crc32.Checksum(text, castagnoli))
	if _, err := f.f.WriteAt(b, 0); err != nil {
		return fmt.Errorf("%s: %w", f.f.Name(), err)
	}
	return nil
}

// sync has on disk what was written, and that there is a file.
func (f *file) sync() error {
	if f == nil {
		return nil
	}
	dir, err := os.Open(filepath.Dir(f.f.Name()))
	if err != nil {
		return err
	}
	return errors.Join(f.f.Sync(), dir.Sync(), dir.Close())
}

// empty forgets all leaves.
func (f *file) empty() error {
	if f == nil {
		return nil
	}
	return f.f.Truncate(0)
}

// name notes the ids of runs.
func (f *file) name(ids []string) error {
	if f == nil || len(ids) == 0 {
		return nil
	}
	_, err := f.names.WriteString(strings.Join(ids, "\n") + "\n")
	return err
}

// whose finds the ids of runs by how leaves name them.
func (f *file) whose(owners map[owner]bool) ([]string, error) {
	if f == nil || len(owners) == 0 {
		return nil, nil
	}
	found := map[string]bool{}
	in := bufio.NewScanner(io.NewSectionReader(f.names, 0, 1<<62))
	for in.Scan() {
		if id := in.Text(); owners[ownerOf(id)] {
			found[id] = true
		}
	}
	ids := make([]string, 0, len(found))
	for id := range found {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids, in.Err()
}
