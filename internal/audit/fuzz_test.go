package audit

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"belay/internal/exactjson/exactjsontest"
)

// FuzzRecord: a record that can be read is the first one, or the report says why it is not.
func FuzzRecord(f *testing.F) {
	exactjsontest.Fuzz(f, func(body []byte) (rec Record, err error) {
		report := Report{}
		link(&report, 0, body, "")
		if len(report.Faults) > 0 {
			return rec, errors.New("refused")
		}
		return rec, json.Unmarshal(body, &rec)
	}, Record{ID: "a", At: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Who: "ann", Action: "approve", Before: json.RawMessage(`{"a":1}`)})
}

// FuzzImport: what is read of an export is exported as what reads the same.
func FuzzImport(f *testing.F) {
	trail := Trail{Origin: "o", Records: [][]byte{[]byte(`{"index":0}`)}, Checkpoints: []string{"c\n"}}
	var b bytes.Buffer
	if err := Export(&b, trail, []ed25519.PublicKey{bytes.Repeat([]byte{1}, ed25519.PublicKeySize)}); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add([]byte(`{"type":"header","version":1}{"tYpe":"record","record":1}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		trail, keys, err := Import(bytes.NewReader(body))
		if err != nil {
			exactjsontest.Message(t, err)
			return
		}
		var once, twice bytes.Buffer
		if err := Export(&once, trail, keys); err != nil {
			return // a record of nothing
		}
		back, keys, err := Import(bytes.NewReader(once.Bytes()))
		if err != nil {
			t.Fatalf("%q: %v", once.Bytes(), err)
		}
		if err := Export(&twice, back, keys); err != nil || !bytes.Equal(once.Bytes(), twice.Bytes()) {
			t.Fatalf("%q, then %q (%v)", once.Bytes(), twice.Bytes(), err)
		}
	})
}

// FuzzCheckpoint: the text of a checkpoint that is read is the one that is signed.
func FuzzCheckpoint(f *testing.F) {
	f.Add(checkpointText("o", 7, tlog.Hash{1}, time.Unix(0, 0)))
	f.Add(checkpointText("o", 7, tlog.Hash{1}, time.Unix(0, 0), "0 1 7", "1 1 9"))
	f.Add("o\n+7\n" + tlog.Hash{}.String() + "\n1970-01-01T00:00:00Z\n")
	f.Fuzz(func(t *testing.T, text string) {
		size, root, at, err := parseCheckpoint("o", text)
		if err != nil {
			exactjsontest.Message(t, err)
			return
		}
		when, err := time.Parse(time.RFC3339, at)
		if err != nil || checkpointText("o", size, root, when, storeLines(text)...) != text {
			t.Fatalf("%q is %d of %s", text, size, at)
		}
	})
}

// FuzzVerify: whatever a trail holds, there is a report of it.
func FuzzVerify(f *testing.F) {
	f.Add([]byte("a\nb"), "c")
	f.Fuzz(func(t *testing.T, records []byte, checkpoint string) {
		r := Verify(Trail{Origin: "o", Records: bytes.Split(records, []byte("\n")), Checkpoints: []string{checkpoint}}, strings.Split(checkpoint, separator), nil)
		if len(r.Faults) == 0 || slices.Contains(r.Faults, "") {
			t.Fatalf("%+v", r)
		}
	})
}
