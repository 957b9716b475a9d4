package audit

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"belay/internal/exactjson"
)

// tree is the Merkle tree over records.
type tree struct {
	size   int64
	hashes []tlog.Hash
}

// ReadHashes implements tlog.HashReader.
func (t *tree) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, at := range indexes {
		if at >= int64(len(t.hashes)) {
			return nil, fmt.Errorf("no hash %d", at)
		}
		out[i] = t.hashes[at]
	}
	return out, nil
}

func (t *tree) add(record []byte) error {
	more, err := tlog.StoredHashes(t.size, record, t)
	if err != nil {
		return fmt.Errorf("tree of the audit trail: %w", err)
	}
	t.hashes = append(t.hashes, more...)
	t.size++
	return nil
}

// root returns the root of the tree over the first size records.
func (t *tree) root(size int64) (tlog.Hash, error) { return tlog.TreeHash(size, t) }

// Report is the result of a check.
type Report struct {
	Records     int64     `json:"records"`       // that were read
	Checkpoints int       `json:"checkpoints"`   // that agree and are signed by a known key
	Covered     int64     `json:"covered"`       // records that the largest of them covers
	Last        time.Time `json:"last,omitzero"` // of the newest record; zero if there is none
	Faults      []string  `json:"faults"`        // empty: nothing was changed
	Strays      []string  `json:"strays"`        // messages on the trail's subjects that are none of it; they are left out
}

// OK reports whether the check found no fault.
func (r *Report) OK() bool { return len(r.Faults) == 0 }

func (r *Report) fault(format string, args ...any) {
	r.Faults = append(r.Faults, fmt.Sprintf(format, args...))
}

// maxFaults is how many faults of the chain are reported: after the first, everything may look wrong.
const maxFaults = 20

// Verify checks a trail: that every record follows the one before, and that all checkpoints, those of the trail and
// those kept elsewhere, are signed by one of the keys and agree with the records.
func Verify(t Trail, elsewhere []string, keys []ed25519.PublicKey) Report {
	records, strays := ordered(t.Records)
	r := Report{Records: int64(len(records)), Faults: []string{}, Strays: []string{}}
	for _, i := range strays {
		r.Strays = append(r.Strays, fmt.Sprintf("message %d of the trail is no record of it", i))
	}
	hashes := chain(&r, records)
	if hashes == nil {
		return r
	}
	known := verifiers(keys)
	for i, text := range t.Checkpoints {
		name := fmt.Sprintf("checkpoint %d of the trail", i)
		if isNote(text, known) {
			checkpoint(&r, t.Origin, hashes, name, text, known)
		} else {
			r.Strays = append(r.Strays, name+" is none")
		}
	}
	for i, text := range elsewhere {
		checkpoint(&r, t.Origin, hashes, fmt.Sprintf("checkpoint %d kept elsewhere", i), text, known)
	}
	return r
}

// isNote reports whether a text has the form of a signed note, whoever has signed it.
func isNote(text string, known note.Verifiers) bool {
	_, err := note.Open([]byte(text), known)
	var unverified *note.UnverifiedNoteError
	var invalid *note.InvalidSignatureError
	return err == nil || errors.As(err, &unverified) || errors.As(err, &invalid)
}

// chain checks the records in order, and makes their tree.
func chain(r *Report, records [][]byte) *tree {
	hashes, prev := &tree{}, ""
	for i, raw := range records {
		if err := hashes.add(raw); err != nil {
			r.fault("%v", err)
			return nil
		}
		if len(r.Faults) < maxFaults {
			link(r, i, raw, prev)
		}
		prev = sum(raw)
	}
	return hashes
}

// link checks that record i follows the one before it.
func link(r *Report, i int, raw []byte, prev string) {
	var rec Record
	if err := exactjson.Strict(raw, &rec); err != nil {
		r.fault("record %d cannot be read: %v", i, err)
		return
	}
	r.Last = rec.At
	switch {
	case rec.Index > int64(i):
		r.fault("record %d is missing: the record in its place has index %d", i, rec.Index)
	case rec.Index < int64(i):
		r.fault("record %d has index %d: a record was added before it, or the order was changed", i, rec.Index)
	case rec.Prev != prev && i > 0:
		r.fault("record %d was edited or replaced: record %d has the hash of another one", i-1, i)
	case rec.Prev != prev:
		r.fault("record 0 has the hash of a record before it, which is missing")
	}
}

// checkpoint checks one signed checkpoint against the tree.
func checkpoint(r *Report, origin string, hashes *tree, name, text string, known note.Verifiers) {
	n, err := note.Open([]byte(text), known)
	var unverified *note.UnverifiedNoteError
	if errors.As(err, &unverified) {
		r.fault("%s is not signed by a known key", name)
		return
	}
	if err != nil {
		r.fault("%s: %v", name, err)
		return
	}
	size, root, at, err := parseCheckpoint(origin, n.Text)
	if err != nil {
		r.fault("%s: %v", name, err)
		return
	}
	if size > hashes.size {
		r.fault("the trail was cut: it has %d records, but %s of %s was signed for %d", hashes.size, name, at, size)
		return
	}
	have, err := hashes.root(size)
	switch {
	case err != nil:
		r.fault("%s: %v", name, err)
	case have != root:
		r.fault("the first %d records are not those that %s of %s was signed for: at least one was edited, removed or moved", size, name, at)
	default:
		r.Checkpoints++
		r.Covered = max(r.Covered, size)
	}
}

// checkpointText is the text that is signed: origin, size, root and time, and what the log of runs was known to hold.
func checkpointText(origin string, size int64, root tlog.Hash, at time.Time, store ...string) string {
	text := fmt.Sprintf("%s\n%d\n%s\n%s\n", origin, size, root, at.UTC().Format(time.RFC3339))
	for _, line := range store {
		text += storeWord + line + "\n"
	}
	return text
}

// storeWord begins the lines of a checkpoint that say what the log of runs was known to hold.
const storeWord = "store "

// storeLines are what a checkpoint's text says of the log of runs.
func storeLines(text string) (store []string) {
	for line := range strings.Lines(text) {
		if s, is := strings.CutPrefix(line, storeWord); is {
			store = append(store, strings.TrimSuffix(s, "\n"))
		}
	}
	return store
}

// Stored is what the newest of these checkpoints that is signed by a known key says of the log of runs, see [Recorder.Store], and
// when it was signed; nothing where none says anything.
func Stored(origin string, checkpoints []string, keys []ed25519.PublicKey) (store []string, at time.Time) {
	known := verifiers(keys)
	for _, text := range checkpoints {
		n, err := note.Open([]byte(text), known)
		if err != nil {
			continue // whoever verifies the trail is told so
		}
		_, _, signed, err := parseCheckpoint(origin, n.Text)
		when, _ := time.Parse(time.RFC3339, signed) // it was read so
		if lines := storeLines(n.Text); err == nil && lines != nil && !when.Before(at) {
			store, at = lines, when
		}
	}
	return store, at
}

func parseCheckpoint(origin, text string) (size int64, root tlog.Hash, at string, err error) {
	lines := strings.Split(text, "\n")
	if len(lines) < 5 || lines[0] != origin {
		return 0, root, "", fmt.Errorf("it is not a checkpoint of %s", origin)
	}
	if size, err = strconv.ParseInt(lines[1], 10, 64); err != nil || size < 0 {
		return 0, root, "", errors.New("its size is not a number")
	}
	if root, err = tlog.ParseHash(lines[2]); err != nil {
		return 0, root, "", errors.New("its root is not a hash")
	}
	when, err := time.Parse(time.RFC3339, lines[3])
	if err != nil || checkpointText(origin, size, root, when, storeLines(text)...) != text {
		return 0, root, "", errors.New("it is not written as a checkpoint is")
	}
	return size, root, lines[3], nil
}

// keyName is the name under which a key signs checkpoints.
const keyName = "belay"

// verifiers are those of the keys.
func verifiers(keys []ed25519.PublicKey) note.Verifiers {
	var list []note.Verifier
	for _, k := range keys {
		if text, err := note.NewEd25519VerifierKey(keyName, k); err == nil {
			if v, err := note.NewVerifier(text); err == nil {
				list = append(list, v)
			}
		}
	}
	return note.VerifierList(list...)
}

// signer signs checkpoints.
type signer struct {
	note.Verifier
	key ed25519.PrivateKey
}

func newSigner(key ed25519.PrivateKey) (note.Signer, error) {
	text, err := note.NewEd25519VerifierKey(keyName, key.Public().(ed25519.PublicKey))
	if err != nil {
		return nil, err
	}
	v, err := note.NewVerifier(text)
	if err != nil {
		return nil, err
	}
	return signer{v, key}, nil
}

// Sign implements note.Signer.
func (s signer) Sign(msg []byte) ([]byte, error) { return ed25519.Sign(s.key, msg), nil }

func signed(key ed25519.PrivateKey, text string) (string, error) {
	s, err := newSigner(key)
	if err != nil {
		return "", fmt.Errorf("sign a checkpoint: %w", err)
	}
	b, err := note.Sign(&note.Note{Text: text}, s)
	if err != nil {
		return "", fmt.Errorf("sign a checkpoint: %w", err)
	}
	return string(b), nil
}
