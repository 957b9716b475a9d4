package audit

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"belay/internal/bus"
	"belay/internal/exactjson"
)

// announcement is what dispatchers tell workers.
type announcement struct {
	Checkpoint string    `json:"checkpoint"`
	Accepted   time.Time `json:"accepted,omitzero"` // what was signed until then counts no more: somebody has accepted that the trail is another one
}

// Witness keeps the newest checkpoints of the audit trail where no dispatcher writes, so that whoever deletes the trail and all that
// dispatchers have kept of it is found all the same. It takes only what a key has signed that is trusted here, and shows it to whoever
// asks; a dispatcher compares the trail with it. Several processes may share the file.
type Witness struct {
	bus    *bus.Bus
	origin string
	file   string
	keys   func() []ed25519.PublicKey
	logger *slog.Logger

	mu       sync.Mutex
	kept     []signedText // oldest first
	accepted time.Time
	none     bool   // the trail has no checkpoint at all
	said     string // the contradiction that was logged last
}

// signedText is a checkpoint that was checked.
type signedText struct {
	text string
	size int64
	root tlog.Hash
	at   time.Time
}

// What a witness keeps: so many, which are not nearer to one another than this, so that what was signed before an attack is not
// pushed out by what is signed in a hurry after it.
const (
	mostKept = 8
	spaced   = 15 * time.Minute
)

// How often it looks for the newest checkpoint: until there is one, and then, in case that it was not told.
const (
	lookFirst = 2 * time.Second
	lookLater = 5 * time.Minute
)

// WitnessFile is where checkpoints are kept beside a file of pinned keys.
func WitnessFile(pins string) string { return strings.TrimSuffix(pins, ".keys") + ".checkpoints" }

// OpenWitness reads what the file has. Keys are the ones that are trusted now; nothing is kept without one.
func OpenWitness(b *bus.Bus, file string, keys func() []ed25519.PublicKey, logger *slog.Logger) (*Witness, error) {
	h := &Witness{bus: b, origin: Origin(b.Names().Prefix), file: file, keys: keys, logger: logger}
	return h, h.readFile()
}

// readFile takes in what the file has. It was checked before it was written, and its folder is as safe as that of the pinned keys.
func (h *Witness) readFile() error {
	raw, err := os.ReadFile(h.file)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("checkpoints that are kept: %w", err)
	}
	for _, text := range strings.Split(string(raw), separator) {
		if at, is := strings.CutPrefix(text, acceptedRemark); is {
			if when, err := time.Parse(time.RFC3339Nano, at); err == nil && when.After(h.accepted) {
				h.accepted = when
			}
			continue
		}
		if s, ok := h.parse(text); ok {
			h.insert(s)
		}
	}
	return nil
}

const acceptedRemark = remark + "accepted "

func (h *Witness) parse(text string) (signedText, bool) {
	head, _, _ := strings.Cut(text, "\n\n")
	size, root, at, err := parseCheckpoint(h.origin, head+"\n")
	when, _ := time.Parse(time.RFC3339, at) // it was read so
	return signedText{text, size, root, when}, err == nil
}

// Run keeps what is announced until ctx ends.
func (h *Witness) Run(ctx context.Context) error {
	deaf, err := h.bus.Hear(h.bus.Names().Checkpoints(), func(_ string, body []byte) {
		var a announcement
		if len(body) <= largestShown && exactjson.Unmarshal(body, &a) == nil {
			h.hear(a)
		}
	})
	if err != nil {
		return err
	}
	defer deaf()
	for {
		wait := lookLater
		if err := h.look(ctx); err != nil {
			h.logger.Debug("cannot look for the newest checkpoint of the audit trail now", "error", err)
			wait = lookFirst * 5
		} else if texts, _ := h.Kept(); len(texts) == 0 {
			wait = lookFirst
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

// Kept are the checkpoints that are kept, oldest first, and what of the trail contradicts them; empty = nothing.
func (h *Witness) Kept() (texts []string, contradiction string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.kept {
		texts = append(texts, s.text)
	}
	return texts, h.contradiction()
}

// look takes the newest checkpoint in the store.
func (h *Witness) look(ctx context.Context) error {
	names := h.bus.Names()
	e, there, err := h.bus.LastOn(ctx, names.AuditStream(), names.AuditCheckpoint())
	if err != nil {
		return err
	}
	h.mu.Lock()
	h.none = !there
	h.mu.Unlock()
	h.hear(announcement{Checkpoint: string(e.Data)})
	return nil
}

// hear takes in what was announced, and says so where it contradicts what is kept.
func (h *Witness) hear(a announcement) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.take(a); err != nil {
		h.logger.Error("a checkpoint of the audit trail cannot be kept; it is kept until this program ends", "file", h.file, "error", err)
	}
	why := h.contradiction()
	if why == h.said {
		return
	}
	h.said = why
	if why == "" {
		h.logger.Info("the audit trail contradicts no more what was signed of it, or somebody has accepted that it is another one")
		return
	}
	h.logger.Error("the audit trail is not the one that was signed, as far as this worker knows: "+why, "file", h.file,
		"do", "`dispatcher doctor` on this server; dispatchers are shown what this worker keeps, and sign no more until `dispatcher store accept`")
}

// take takes in a checkpoint that a trusted key has signed, and that something was accepted.
func (h *Witness) take(a announcement) error {
	s, ok := h.parse(a.Checkpoint)
	ok = ok && h.trusts(a.Checkpoint)
	known := slices.ContainsFunc(h.kept, func(o signedText) bool { return o.text == a.Checkpoint })
	if !a.Accepted.After(h.accepted) && (!ok || known) {
		return nil
	}
	err := h.readFile() // another worker may have written it
	if ok {
		h.none = false
		h.insert(s)
	}
	if a.Accepted.After(h.accepted) {
		h.accepted = a.Accepted
	}
	return errors.Join(err, h.writeFile())
}

// trusts reports whether a trusted key has signed it.
func (h *Witness) trusts(checkpoint string) bool {
	_, err := note.Open([]byte(checkpoint), verifiers(h.keys()))
	return err == nil
}

// insert takes in a checkpoint. Of those of the same records the newest stays; of those that were signed soon after one another, the
// newest, unless the one before shows that the trail is another one.
func (h *Witness) insert(s signedText) {
	if slices.ContainsFunc(h.kept, func(o signedText) bool { return o.text == s.text }) {
		return
	}
	at, _ := slices.BinarySearchFunc(h.kept, s, func(a, b signedText) int { return cmp.Or(a.at.Compare(b.at), strings.Compare(a.text, b.text)) })
	h.kept = slices.Insert(h.kept, at, s)
	for n := len(h.kept) - 2; n >= 0; n-- {
		o, next := h.kept[n], h.kept[n+1]
		same := o.size == next.size && o.root == next.root
		hasty := n > 0 && o.at.Sub(h.kept[n-1].at) < spaced && !h.newest().contradicts(o)
		if same || hasty {
			h.kept = slices.Delete(h.kept, n, n+1)
		}
	}
	for len(h.kept) > mostKept {
		drop := max(0, slices.IndexFunc(h.kept[:mostKept], func(o signedText) bool { return !h.newest().contradicts(o) }))
		h.kept = slices.Delete(h.kept, drop, drop+1)
	}
}

func (h *Witness) newest() signedText { return h.kept[len(h.kept)-1] }

// contradicts reports whether two checkpoints cannot be of the same trail: s was signed later, and covers less, or the same number of
// other records.
func (s signedText) contradicts(o signedText) bool {
	return s.size < o.size || s.size == o.size && s.root != o.root
}

// contradiction says what of the trail contradicts what is kept; h.mu is kept. That a longer trail is another one only a dispatcher can
// tell, which reads it.
func (h *Witness) contradiction() string {
	if len(h.kept) == 0 {
		return ""
	}
	newest := h.newest()
	if h.none && newest.at.After(h.accepted) {
		return fmt.Sprintf("it has no checkpoint, and one of %s is kept here that was signed for %d records", stamp(newest.at), newest.size)
	}
	for _, o := range slices.Backward(h.kept[:len(h.kept)-1]) {
		if o.at.After(h.accepted) && newest.contradicts(o) {
			return fmt.Sprintf("a checkpoint of %s was signed for %d records, and one of %s is kept here that was signed for %d others", stamp(newest.at), newest.size, stamp(o.at), o.size)
		}
	}
	return ""
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// writeFile replaces the file as a whole, so that no reader sees half of it.
func (h *Witness) writeFile() error {
	var text strings.Builder
	if !h.accepted.IsZero() {
		text.WriteString(acceptedRemark + h.accepted.UTC().Format(time.RFC3339Nano) + separator)
	}
	for _, s := range h.kept {
		text.WriteString(s.text + separator)
	}
	if err := os.MkdirAll(filepath.Dir(h.file), 0o700); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(h.file), ".kept-*") // 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(tmp.Name()) }()
	_, err = tmp.WriteString(text.String())
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), h.file)
}
