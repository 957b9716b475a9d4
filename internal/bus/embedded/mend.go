package embedded

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/bits"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/minio/highwayhash"
)

// A block of the server's file store is a row of records: four bytes of length, whose highest bit says that there are headers,
// eight of the sequence, whose two highest bits mark what was removed, eight of the time, two of the length of the subject; then
// subject, headers and data, and eight of a checksum over all but the lengths. A record whose checksum is wrong is lost: the
// server leaves it out. But it goes by the sequence before it looks at the checksum, and fills the way to it with what was
// removed: one flipped bit there, and it counts to 2^60 with a full processor and ever more memory, and never opens the store.
const (
	recordHead = 22
	recordSum  = 8
	hasHeaders = 1 << 31
	sequence   = 1<<62 - 1
	longestGap = 1 << 20 // sequences that were removed one after the other, at most; beyond that a record is looked at
	inspect    = 512 << 20
)

// mend looks through the newest blocks of all streams, up to inspect bytes, for sequences on which the server would not come
// to an end. Where one bit was flipped, it is put right, which the checksum proves; otherwise the record gets the next
// sequence, is left out for its checksum, and is found missing like any other.
func mend(dir string, logger *slog.Logger) error {
	paths, err := filepath.Glob(filepath.Join(dir, "jetstream", "*", "streams", "*", "msgs", "*.blk"))
	if err != nil {
		return err
	}
	streams := map[string][]string{}
	for _, p := range paths {
		streams[filepath.Dir(filepath.Dir(p))] = append(streams[filepath.Dir(filepath.Dir(p))], p)
	}
	if err := mendConsumers(dir, logger); err != nil {
		return err
	}
	for stream, blocks := range streams {
		if err := mendStream(filepath.Base(stream), newest(blocks), logger); err != nil {
			return err
		}
	}
	return nil
}

// newest are the last blocks, in their order, up to so many bytes.
func newest(blocks []string) []string {
	slices.SortFunc(blocks, func(a, b string) int { return cmp.Compare(numberOf(a), numberOf(b)) })
	size := int64(0)
	for i, path := range slices.Backward(blocks) {
		info, err := os.Stat(path)
		if err == nil {
			size += info.Size()
		}
		if size > inspect {
			return blocks[i:]
		}
	}
	return blocks
}

func numberOf(block string) int {
	n, _ := strconv.Atoi(strings.TrimSuffix(filepath.Base(block), ".blk"))
	return n
}

// mendConsumers removes what the store has of consumers whose settings are damaged: the server would take their streams out of
// service. They are made again.
func mendConsumers(dir string, logger *slog.Logger) error {
	all, err := filepath.Glob(filepath.Join(dir, "jetstream", "*", "streams", "*", "obs", "*", "meta.inf"))
	for i := 0; err == nil && i < len(all); i++ {
		err = mendConsumer(filepath.Dir(all[i]), logger)
	}
	return err
}

func mendConsumer(dir string, logger *slog.Logger) error {
	settings, err := os.ReadFile(filepath.Join(dir, "meta.inf"))
	if err != nil {
		return err
	}
	sum, err := os.ReadFile(filepath.Join(dir, "meta.sum"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	stream, consumer := filepath.Base(filepath.Dir(filepath.Dir(dir))), filepath.Base(dir)
	key := sha256.Sum256([]byte(stream + "/" + consumer))
	h, err := highwayhash.NewDigest64(key[:])
	if err != nil {
		return err
	}
	_, _ = h.Write(settings) // a hash takes everything
	if hex.EncodeToString(h.Sum(nil)) == string(sum) {
		return nil
	}
	logger.Warn("the settings of a consumer are damaged; it is made again", "stream", stream, "consumer", consumer)
	return os.RemoveAll(dir)
}

// Forget removes what the server keeps of a consumer that it cannot open: where it was. It begins anew then, and whoever gets a
// message a second time finds in the log what became of it.
func (s *Server) Forget(stream, consumer string) error {
	all, err := filepath.Glob(filepath.Join(s.dir, "jetstream", "*", "streams", stream, "obs", consumer))
	for i := 0; err == nil && i < len(all); i++ {
		s.logger.Warn("what the store has of a consumer is damaged; the consumer begins anew", "stream", stream, "consumer", consumer)
		err = os.RemoveAll(all[i])
	}
	return err
}

func mendStream(stream string, blocks []string, logger *slog.Logger) error {
	last := uint64(0)
	for _, path := range blocks {
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, r := range recordsOf(b) {
			seq := r.seq() & sequence
			if last == 0 || seq <= last+longestGap {
				last = max(last, seq)
				continue
			}
			right, proven := r.mended(stream, numberOf(path), last)
			if right == r.seq() {
				last = seq
				continue
			}
			logger.Warn("a record of the store has a sequence that cannot be; it was mended, or the server would not open the store",
				"stream", stream, "block", path, "sequence", r.seq(), "mended", right&sequence, "whole", proven)
			if err := write(path, int64(r.at+4), right); err != nil {
				return err
			}
			last = right & sequence
		}
	}
	return nil
}

func write(path string, at int64, seq uint64) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // it was synced
	if _, err := f.WriteAt(binary.LittleEndian.AppendUint64(nil, seq), at); err != nil {
		return err
	}
	return f.Sync()
}

// record is a record, at its place in a block.
type record struct {
	at int
	b  []byte
}

// recordsOf are the records of a block, up to the first whose lengths cannot be.
func recordsOf(b []byte) (all []record) {
	for at := 0; at+recordHead+recordSum <= len(b); {
		size := int(binary.LittleEndian.Uint32(b[at:]) &^ hasHeaders)
		if size < recordHead+recordSum || at+size > len(b) {
			return all
		}
		all = append(all, record{at, b[at : at+size]})
		at += size
	}
	return all
}

func (r record) seq() uint64 { return binary.LittleEndian.Uint64(r.b[4:]) }

// mended is the sequence that the record should have: the one that it has, if its checksum is right, or one that is a bit away
// and has the right checksum. If there is none it is the next one, and not proven.
func (r record) mended(stream string, block int, last uint64) (seq uint64, proven bool) {
	if r.whole(stream, block, r.seq()) {
		return r.seq(), true
	}
	for bit := range bits.UintSize {
		if seq := r.seq() ^ 1<<bit; r.whole(stream, block, seq) {
			return seq, true
		}
	}
	return last + 1, false
}

// whole reports whether the record's checksum would be right with a sequence.
func (r record) whole(stream string, block int, seq uint64) bool {
	key := sha256.Sum256(fmt.Appendf(nil, "%s-%d", stream, block))
	h, err := highwayhash.NewDigest64(key[:])
	if err != nil {
		return false
	}
	subject := int(binary.LittleEndian.Uint16(r.b[20:]))
	body, end := recordHead+subject, len(r.b)-recordSum
	from := body
	if binary.LittleEndian.Uint32(r.b)&hasHeaders != 0 {
		from += 4
	}
	if from > end {
		return false
	}
	_, _ = h.Write(binary.LittleEndian.AppendUint64(nil, seq)) // a hash takes everything
	_, _ = h.Write(r.b[12:20])
	_, _ = h.Write(r.b[recordHead:body])
	_, _ = h.Write(r.b[from:end])
	return string(h.Sum(nil)) == string(r.b[end:])
}
