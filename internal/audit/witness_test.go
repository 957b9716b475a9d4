package audit

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// witness is one of a worker that trusts the world's key.
func (w *world) witness(file string) *Witness {
	w.Helper()
	h, err := OpenWitness(w.bus, file, func() []ed25519.PublicKey { return public(w.key) }, slog.New(slog.DiscardHandler))
	if err != nil {
		w.Fatal(err)
	}
	return h
}

// shown has a recorder be shown what somebody keeps.
func (w *world) shown(r *Recorder, held func() []string) {
	r.Unrevoked = r.Keys
	r.Witnesses = func(context.Context) ([]Testimony, error) { return []Testimony{{By: "w1", Checkpoints: held()}}, nil }
}

func keptBy(h *Witness) func() []string {
	return func() []string {
		texts, _ := h.Kept()
		return texts
	}
}

// TestAWorkersCheckpointIsProof: the trail is deleted with all checkpoints and all that dispatchers have kept. A worker keeps one, was
// killed meanwhile, and shows it to a dispatcher that knows nothing.
func TestAWorkersCheckpointIsProof(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	file := filepath.Join(t.TempDir(), "held.checkpoints")
	w.acts(3)
	w.sweep(w.recorder("lost").Sweep)
	if err := w.witness(file).look(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.deleted()
	h := w.witness(file) // killed, and started again
	if err := h.look(t.Context()); err != nil {
		t.Fatal(err)
	}
	if texts, why := h.Kept(); len(texts) != 1 || !strings.Contains(why, "it has no checkpoint") {
		t.Errorf("it keeps %q, and says %q", texts, why)
	}
	r := w.recorder("fresh")
	w.shown(r, keptBy(h))
	w.acts(5)
	w.sweep(r.Sweep)
	if !strings.Contains(w.fault, "its first 3 records are not those") || len(w.trail().Checkpoints) != 0 {
		t.Fatalf("found %q; %d checkpoints were signed", w.fault, len(w.trail().Checkpoints))
	}
	if !slices.Equal(kept(t, r.File), keptBy(h)()) {
		t.Error("the dispatcher did not keep the proof")
	}
	w.fault = "" // the dispatcher starts anew, and no worker runs
	alone := w.recorder("")
	alone.File = r.File
	w.sweep(alone.Sweep)
	if w.fault == "" {
		t.Error("without the worker it was forgotten")
	}
	w.fault, w.accepted = "", time.Now()
	w.acts(1)
	w.sweep(r.Sweep)
	if w.fault != "" || len(w.trail().Checkpoints) != 1 {
		t.Errorf("accepted: found %q; %d checkpoints were signed", w.fault, len(w.trail().Checkpoints))
	}
	h.hear(announcement{Checkpoint: w.trail().Checkpoints[0], Accepted: w.accepted})
	if _, why := h.Kept(); why != "" {
		t.Errorf("accepted, and the worker says %q", why)
	}
	if _, why := w.witness(file).Kept(); why != "" {
		t.Errorf("accepted, and the worker that was started again says %q", why)
	}
}

// TestAWorkersWordIsNone: whoever may do what a worker may shows all kinds of things, and the trail goes on.
func TestAWorkersWordIsNone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.recorder("a")
	w.acts(2)
	w.sweep(r.Sweep)
	old := kept(t, r.File)[0]
	w.acts(2)
	w.sweep(r.Sweep)
	forged := func(key ed25519.PrivateKey, prefix string, size int64) string {
		t.Helper()
		text, err := signed(key, checkpointText(Origin(prefix), size, tlog.Hash{1}, time.Now().Add(time.Hour)))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	name := w.bus.Names().Prefix
	words := []string{
		"", "junk", "\xff\n\n\xff", old, // the same history
		forged(newKey(t), name, 100),                             // a foreign key
		forged(w.key, "another", 100),                            // of another installation
		strings.Replace(kept(t, r.File)[1], "\n4\n", "\n9\n", 1), // signed, and changed
		strings.Repeat(forged(w.key, name, 100), 1000),           // too large
	}
	for range 2 * mostShown {
		words = append(words, fmt.Sprint("junk ", len(words)))
	}
	late := forged(w.key, name, 100)
	words = append(words, late) // one too many: it is not looked at
	w.shown(r, func() []string { return words })
	r.shown.asked = time.Time{}
	w.acts(1)
	w.sweep(r.Sweep)
	w.sweep(w.recorder("b").Watch)
	if w.fault != "" || len(w.trail().Checkpoints) != 3 {
		t.Errorf("found %q; %d checkpoints", w.fault, len(w.trail().Checkpoints))
	}
	if len(r.shown.proven) != 1 || r.shown.proven[0] != old {
		t.Errorf("it counts what proves nothing: %q", r.shown.proven)
	}
	r.Unrevoked = func(context.Context) ([]ed25519.PublicKey, error) { return nil, nil } // whoever had the key was found out
	words, r.shown.asked = []string{late}, time.Time{}
	w.acts(1)
	w.sweep(r.Sweep)
	if w.fault != "" {
		t.Errorf("a revoked key proves %q", w.fault)
	}
}

// TestWhatAWitnessKeeps: little is kept, and what shows a fork is not pushed out by what is signed after it.
func TestWhatAWitnessKeeps(t *testing.T) {
	t.Parallel()
	w := &Witness{origin: Origin("belay")}
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	sign := func(size int64, root byte) {
		at = at.Add(time.Minute)
		s, ok := w.parse(checkpointText(w.origin, size, tlog.Hash{root}, at) + "\nsignature")
		if !ok {
			t.Fatal("cannot be read")
		}
		w.insert(s)
	}
	for range 100 { // nobody does anything: one checkpoint an hour, of the same records
		at = at.Add(time.Hour)
		sign(5, 1)
	}
	if len(w.kept) != 1 || w.contradiction() != "" {
		t.Fatalf("%d are kept, %q", len(w.kept), w.contradiction())
	}
	for n := range int64(600) { // many decide
		sign(6+n, 2)
	}
	if len(w.kept) != mostKept || w.newest().size != 605 || w.contradiction() != "" {
		t.Fatalf("%d are kept, up to %d, %q", len(w.kept), w.newest().size, w.contradiction())
	}
	for n := range int64(300) { // another trail, signed all the same
		sign(1+n, 3)
		if w.contradiction() == "" || len(w.kept) > mostKept {
			t.Fatalf("after %d: %d are kept, nothing contradicts", n, len(w.kept))
		}
	}
	w.accepted = at
	if w.contradiction() != "" {
		t.Errorf("accepted, and %q", w.contradiction())
	}
}

// TestAFileElsewhere: the trail, its checkpoints and the state directory are deleted; a file on another disk has them. It gets what is
// signed while it is away once it is back.
func TestAFileElsewhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	disk := filepath.Join(t.TempDir(), "disk")
	file := filepath.Join(disk, "belay.checkpoints")
	r := w.recorder("lost")
	r.Places = []*Place{FilePlace(file)}
	w.acts(1)
	w.sweep(r.Sweep) // it is not mounted yet
	if err := os.Mkdir(disk, 0o700); err != nil {
		t.Fatal(err)
	}
	w.acts(2)
	w.until("the file has the newest checkpoint", func() bool {
		w.sweep(r.Sweep)
		all, _ := keptIfThere(file)
		return slices.Contains(all, kept(t, r.File)[1])
	})
	w.deleted()
	w.acts(5)
	fresh := w.recorder("fresh")
	fresh.Places = []*Place{FilePlace(file)}
	w.sweep(fresh.Sweep)
	if !strings.Contains(w.fault, "its first 3 records are not those") || len(w.trail().Checkpoints) != 0 {
		t.Errorf("found %q; %d checkpoints were signed", w.fault, len(w.trail().Checkpoints))
	}
}

// until waits for what happens elsewhere in this process.
func (w *world) until(what string, is func() bool) {
	w.Helper()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for end := time.After(60 * time.Second); !is(); {
		select {
		case <-look.C:
		case <-end:
			w.Fatal("not: " + what)
		}
	}
}

// TestASlowPlaceStopsNothing: a place that does not answer keeps no record waiting, and gets the newest checkpoint when it does.
func TestASlowPlaceStopsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.recorder("a")
	hangs, got := make(chan struct{}), make(chan string, 10)
	r.Places = []*Place{{Name: "slow", Put: func(_ context.Context, text string) error {
		<-hangs
		got <- text
		return nil
	}}}
	for range 3 {
		w.acts(1)
		w.sweep(r.Sweep)
	}
	if n := len(w.trail().Checkpoints); n != 3 {
		t.Errorf("%d checkpoints were signed", n)
	}
	close(hangs)
	w.until("the place has the newest", func() bool {
		w.sweep(r.Sweep)
		select {
		case text := <-got:
			return text == w.trail().Checkpoints[2]
		default:
			return false
		}
	})
}

// TestWhatReceiversStore is read like the file of a dispatcher.
func TestWhatReceiversStore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	event, err := json.Marshal(map[string]any{"type": "dev.belay.audit.checkpoint.v1", "data": map[string]string{"checkpoint": "one\n"}})
	if err != nil {
		t.Fatal(err)
	}
	for name, x := range map[string]struct {
		text string
		want []string
		bad  bool
	}{
		"events":    {text: string(event) + "\n" + string(event) + "\n", want: []string{"one\n", "one\n"}},
		"an export": {text: "{\"type\":\"header\"}\n{\"type\":\"record\",\"record\":{}}\n{\"type\":\"checkpoint\",\"checkpoint\":\"two\\n\"}\n", want: []string{"two\n"}},
		"kept":      {text: acceptedRemark + "2026-01-01T00:00:00Z" + separator + "one\n" + separator, want: []string{"one\n"}},
		"torn":      {text: string(event) + "\n{\"data\":", bad: true},
		"nothing":   {},
	} {
		file := filepath.Join(dir, strings.ReplaceAll(name, " ", "-"))
		if err := os.WriteFile(file, []byte(x.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if all, err := Kept(file); !slices.Equal(all, x.want) || (err != nil) != x.bad {
			t.Errorf("%s: %q, %v", name, all, err)
		}
	}
}
