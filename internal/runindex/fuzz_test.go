package runindex

import (
	"bufio"
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"belay/internal/exactjson"
	"belay/internal/exactjson/exactjsontest"
	"belay/internal/runlog"
	"belay/internal/wire"
)

// FuzzFile: whatever a file holds, so much of it is whole, and reading that once more gives the same rows.
func FuzzFile(f *testing.F) {
	path := filepath.Join(f.TempDir(), "seed")
	fd, err := os.Create(path)
	if err != nil {
		f.Fatal(err)
	}
	w := &file{f: fd, path: path, head: header{fileVersion, "S", 1}}
	if _, err := w.begin(); err != nil {
		f.Fatal(err)
	}
	if _, err := fd.Seek(0, 2); err != nil {
		f.Fatal(err)
	}
	w.run(run{at: 5, id: "r", workflow: 1, keys: []uint64{1, 2}}, "refund")
	w.run(run{at: 6, id: "s", partial: true}, "")
	w.end(0, ending{state: firstEnd, at: 7, faults: []uint64{3}, known: true})
	w.drop(1)
	if err := w.flush(position{point{1, 2}, point{3, 4}}); err != nil {
		f.Fatal(err)
	}
	seed, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Fuzz(func(t *testing.T, content []byte) {
		good, ids, at := replayed(t, content)
		if good > int64(len(content)) {
			t.Fatalf("%d of %d bytes are whole", good, len(content))
		}
		if good == 0 {
			return
		}
		more, others, at2 := replayed(t, content[:good])
		if more != good || at2 != at || len(ids) != len(others) {
			t.Fatalf("%d bytes with %d runs, then %d with %d", good, len(ids), more, len(others))
		}
	})
}

// replayed reads a file as it is read at a start. The checksums of chunks are right in what is fuzzed of records.
func replayed(t *testing.T, content []byte) (good int64, ids []string, at position) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "index")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	fd, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = fd.Close() }()
	p := &part{rows: newRows()}
	good, err = new(Index).replay(p, &file{f: fd, path: path, head: header{fileVersion, "S", 1}})
	if err != nil {
		exactjsontest.Message(t, err)
	}
	for i := range p.rows.all {
		ids = append(ids, p.rows.runAt(&p.rows.all[i]).id)
	}
	return good, ids, p.at
}

// FuzzRecords is about what is in a chunk: it is read to its end, or torn.
func FuzzRecords(f *testing.F) {
	w := &file{}
	w.run(run{at: 5, id: "r", workflow: 1, keys: []uint64{1, 2}}, "refund")
	w.end(0, ending{state: firstEnd, at: 7, faults: []uint64{3}, known: true})
	w.drop(0)
	f.Add(w.buf)
	for _, kind := range []byte{'d', 'e'} { // of a run that stands nowhere
		f.Add([]byte{kind, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	}
	f.Add([]byte{'r', 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	f.Fuzz(func(t *testing.T, chunk []byte) {
		p := &part{rows: newRows()}
		err := new(Index).apply(p, chunk)
		if err != nil {
			exactjsontest.Message(t, err)
		}
		if len(p.rows.all) > len(chunk) {
			t.Fatalf("%d runs of %d bytes", len(p.rows.all), len(chunk))
		}
		for i := range p.rows.all {
			p.rows.runAt(&p.rows.all[i])
		}
	})
}

// FuzzChunk: a chunk that is whole was written with its length and its checksum.
func FuzzChunk(f *testing.F) {
	f.Add([]byte{1, 0, 0, 0, 0, 0, 0, 0, 'x'})
	f.Fuzz(func(t *testing.T, content []byte) {
		if chunk, ok := readChunk(bufio.NewReader(bytes.NewReader(content))); ok && !bytes.Equal(chunk, content[8:8+len(chunk)]) {
			t.Fatalf("%q", chunk)
		}
	})
}

// FuzzRequest is about what another process asks the index.
func FuzzRequest(f *testing.F) {
	exactjsontest.Fuzz(f, func(body []byte) (r request, err error) { return r, exactjson.Unmarshal(body, &r) },
		request{V: wire.Version, Filter: &runlog.Filter{Workflow: "w", Labels: map[string]string{"a": "b"}}, Most: 3}, request{V: wire.Version, Suffix: "7f"})
}

// FuzzAnswer is about the answer to that.
func FuzzAnswer(f *testing.F) {
	exactjsontest.Fuzz(f, func(body []byte) (a answer, err error) { return a, exactjson.Unmarshal(body, &a) }, answer{V: wire.Version, Picked: runlog.Picked{Refs: []runlog.Ref{{ID: "r", At: 3}}}, IDs: []string{"a"}, Error: "e"})
}
