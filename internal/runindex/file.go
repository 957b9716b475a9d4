package runindex

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
	"syscall"

	"belay/internal/bus"
	"belay/internal/exactjson"
)

// A file has one line that says which log it is about, and then chunks: four bytes of length, four of checksum, and
// records. A record is a letter and what the letter asks for; numbers are varints, texts have their length before them.
//
//	r at id workflow partial n key...   a run was submitted; runs count from 0 in the order of their records
//	e number state at n fault...        this run has ended, then, and has met these faults; n = 255: its result does not say which
//	d number                            this run is no longer kept
//	p plan time result time             the log has been read up to these messages: their sequences, and when they were stored
//
// Nothing is synced: a chunk that is torn is cut off, and what it said is read from the log again.

// header is the first line.
type header struct {
	Version int    `json:"v"`
	Stream  string `json:"stream"`
	Created int64  `json:"created"` // when the stream was made, in nanoseconds: another one has other runs
}

const fileVersion = 3

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// largestChunk is more than a page of the log makes.
const largestChunk = 16 << 20

// file is where the index of a partition is kept. A nil file keeps nothing.
type file struct {
	f    *os.File
	path string
	head header
	buf  []byte
	bad  error // why it is not written any more
}

// off reports whether nothing is kept in a file.
func (f *file) off() bool { return f == nil || f.bad != nil }

func (f *file) run(n run, workflow string) {
	if f.off() {
		return
	}
	f.buf = binary.AppendUvarint(append(f.buf, 'r'), uint64(n.at))
	f.buf = appendText(appendText(f.buf, n.id), workflow)
	partial := byte(0)
	if n.partial {
		partial = 1
	}
	f.buf = append(f.buf, partial, byte(len(n.keys)))
	for _, k := range n.keys {
		f.buf = binary.LittleEndian.AppendUint64(f.buf, k)
	}
}

func (f *file) end(place int, e ending) {
	if f.off() {
		return
	}
	f.buf = append(binary.AppendUvarint(append(f.buf, 'e'), uint64(place)), byte(e.state))
	f.buf = binary.AppendUvarint(f.buf, uint64(e.at))
	if !e.known || len(e.faults) >= unknown {
		f.buf = append(f.buf, unknown)
		return
	}
	f.buf = append(f.buf, byte(len(e.faults)))
	for _, k := range e.faults {
		f.buf = binary.LittleEndian.AppendUint64(f.buf, k)
	}
}

func (f *file) drop(place int) {
	if !f.off() {
		f.buf = binary.AppendUvarint(append(f.buf, 'd'), uint64(place))
	}
}

// flush writes what was noted, and how far the log was read for it.
func (f *file) flush(at position) error {
	if f.off() {
		return nil
	}
	f.buf = append(f.buf, 'p')
	for _, p := range []point{at.plan, at.result} {
		f.buf = binary.AppendUvarint(binary.AppendUvarint(f.buf, p.seq), uint64(p.time))
	}
	frame := binary.LittleEndian.AppendUint32(nil, uint32(len(f.buf)))
	frame = binary.LittleEndian.AppendUint32(frame, crc32.Checksum(f.buf, castagnoli))
	_, f.bad = f.f.Write(append(frame, f.buf...))
	f.buf = f.buf[:0]
	return f.bad
}

func (f *file) close() error {
	if f == nil {
		return nil
	}
	// A program that is just being started still has the file of this process, and would keep the lock for a moment.
	return errors.Join(syscall.Flock(int(f.f.Fd()), syscall.LOCK_UN), f.f.Close())
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// load opens the file of a partition and puts what it holds into the rows. A file about another log begins anew.
func (x *Index) load(t *part, dir string, about bus.StreamInfo) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	path := filepath.Join(dir, t.stream+".index")
	fd, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if err := syscall.Flock(int(fd.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = fd.Close()
		return fmt.Errorf("%s is in use by another process", path)
	}
	f := &file{f: fd, path: path, head: header{fileVersion, t.stream, about.Created.UnixNano()}}
	good, err := x.replay(t, f)
	if err != nil {
		x.logger.Debug("the index of runs is made anew", "file", path, "error", err)
		t.rows, t.at = newRows(), position{}
		good, err = f.begin()
	}
	if err == nil {
		if err = fd.Truncate(good); err == nil {
			_, err = fd.Seek(good, io.SeekStart)
		}
	}
	if err != nil {
		_ = fd.Close()
		return fmt.Errorf("%s: %w", path, err)
	}
	t.file = f
	return nil
}

// begin writes the first line into an empty file.
func (f *file) begin() (size int64, err error) {
	line, err := json.Marshal(f.head)
	if err == nil {
		err = f.f.Truncate(0)
	}
	if err == nil {
		_, err = f.f.WriteAt(append(line, '\n'), 0)
	}
	return int64(len(line) + 1), err
}

var errOther = errors.New("it is about another log")

// replay reads the file into the rows; good is how many bytes of it are whole.
func (x *Index) replay(t *part, f *file) (good int64, err error) {
	in := bufio.NewReaderSize(f.f, 1<<20)
	line, err := in.ReadBytes('\n')
	var h header
	if err != nil || exactjson.Unmarshal(line, &h) != nil || h != f.head {
		return 0, errOther
	}
	good = int64(len(line))
	for {
		chunk, ok := readChunk(in)
		if !ok {
			return good, nil
		}
		if err := x.apply(t, chunk); err != nil {
			return good, err
		}
		good += int64(len(chunk) + 8)
	}
}

// readChunk reads a chunk; not ok where it is torn, and at the end.
func readChunk(in io.Reader) (chunk []byte, ok bool) {
	var frame [8]byte
	if _, err := io.ReadFull(in, frame[:]); err != nil {
		return nil, false
	}
	size := binary.LittleEndian.Uint32(frame[:4])
	if size > largestChunk {
		return nil, false
	}
	chunk = make([]byte, size)
	_, err := io.ReadFull(in, chunk)
	return chunk, err == nil && crc32.Checksum(chunk, castagnoli) == binary.LittleEndian.Uint32(frame[4:])
}

var errTorn = errors.New("a record of the index is torn")

// apply puts a chunk into the rows.
func (x *Index) apply(t *part, chunk []byte) error {
	r := reader{chunk, nil}
	for len(r.rest) > 0 && r.err == nil {
		switch r.byte() {
		case 'r':
			n := run{at: int64(r.number()), id: r.text(), workflow: x.words.number(r.text()), partial: r.byte() == 1}
			for range r.byte() {
				n.keys = append(n.keys, r.fixed())
			}
			if r.err == nil {
				t.rows.add(n)
			}
		case 'e':
			place, there := r.place(t.rows)
			if e := r.ending(); r.err == nil && there && int(e.state) < int(firstEnd)+len(ends) {
				t.rows.endAt(place, e)
			}
		case 'd':
			if place, there := r.place(t.rows); r.err == nil && there {
				t.rows.dropAt(place)
			}
		case 'p':
			t.at = position{r.point(), r.point()}
		default:
			return errTorn
		}
	}
	return r.err
}

// reader takes records apart.
type reader struct {
	rest []byte
	err  error
}

func (r *reader) take(n int) []byte {
	if n < 0 || n > len(r.rest) {
		r.rest, r.err = nil, errTorn
		return make([]byte, max(0, min(n, 8)))
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) byte() byte    { return r.take(1)[0] }
func (r *reader) fixed() uint64 { return binary.LittleEndian.Uint64(r.take(8)) }
func (r *reader) text() string  { return string(r.take(int(r.number()))) }

// place is where a run stands among the rows, if there is such a place.
func (r *reader) place(rows *rows) (at int, there bool) {
	n := r.number()
	return int(n), n < uint64(len(rows.all))
}

func (r *reader) number() uint64 {
	n, size := binary.Uvarint(r.rest)
	if size <= 0 {
		r.rest, r.err = nil, errTorn
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

func (r *reader) ending() ending {
	e := ending{state: state(r.byte()), at: int64(r.number())}
	n := r.byte()
	if e.known = n != unknown; !e.known {
		return e
	}
	for range n {
		e.faults = append(e.faults, r.fixed())
	}
	return e
}

func (r *reader) point() point { return point{r.number(), int64(r.number())} }

// rewrite puts the rows into the place of all that the file holds. The old file stays until the new one is whole.
func (f *file) rewrite(r *rows, at position, word func(uint32) string) error {
	if f.off() {
		return nil
	}
	next, err := os.OpenFile(f.path+".new", os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		f.bad = err
		return err
	}
	n := &file{f: next, path: f.path, head: f.head}
	if err = syscall.Flock(int(next.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err == nil {
		err = n.writeAll(r, at, word)
	}
	if err == nil {
		err = os.Rename(next.Name(), f.path)
	}
	if err != nil {
		_ = next.Close()
		f.bad = err
		return err
	}
	_ = f.f.Close() // nothing is in it any more
	f.f, f.buf = next, f.buf[:0]
	return nil
}

func (f *file) writeAll(r *rows, at position, word func(uint32) string) error {
	size, err := f.begin()
	if err == nil {
		_, err = f.f.Seek(size, io.SeekStart)
	}
	for i := 0; i < len(r.all) && err == nil; i++ {
		w := &r.all[i]
		f.run(r.runAt(w), word(w.workflow))
		if w.state != open {
			f.end(i, r.endOf(w))
		}
		if len(f.buf) > 1<<20 {
			err = f.flush(position{}) // it holds less than the log up to at
		}
	}
	if err == nil {
		err = f.flush(at)
	}
	return err
}
