package audit

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"belay/internal/bus"
	"belay/internal/bus/bustest"
	"belay/internal/plan"
	"belay/internal/runlog"
)

// world is a trail on a real server, with what is found about it.
type world struct {
	*testing.T
	bus      *bus.Bus
	log      *Log
	key      ed25519.PrivateKey
	fault    string // of the fork that was found; empty = none
	accepted time.Time
}

func newWorld(t *testing.T) *world {
	b := bustest.Start(t, 1)
	return &world{T: t, bus: b, log: New(b), key: newKey(t)}
}

// recorder is one of a dispatcher with a file of its own.
func (w *world) recorder(file string) *Recorder {
	r := NewRecorder(w.bus, runlog.New(w.bus, plan.NewCache(1)), New(w.bus))
	r.Key, r.File, r.Logger = func() (ed25519.PrivateKey, error) { return w.key, nil }, filepath.Join(w.TempDir(), file), slog.New(slog.DiscardHandler)
	r.Keys = func(context.Context) ([]ed25519.PublicKey, error) { return public(w.key), nil }
	r.Fork = func() (bool, time.Time) { return w.fault != "", w.accepted }
	r.Forked = func(_ context.Context, fault string, _ time.Time) error {
		w.fault = fault
		return nil
	}
	return r
}

// acts appends n records.
func (w *world) acts(n int) {
	w.Helper()
	for i := range n {
		if err := w.log.Append(w.Context(), Record{ID: fmt.Sprint(time.Now().UnixNano(), i), Who: "mia", Action: "note"}); err != nil {
			w.Fatal(err)
		}
	}
}

// publish is what anybody with the rights can do.
func (w *world) publish(subject string, body []byte) {
	w.Helper()
	if _, err := w.bus.PublishWait(w.Context(), w.bus.Names().AuditStream(), bus.Message{Subject: subject, Data: body}); err != nil {
		w.Fatal(err)
	}
}

// sweep has a recorder look twice: what does not fit is read once more before anybody is told.
func (w *world) sweep(look func(context.Context) error) {
	w.Helper()
	for range 2 {
		if err := look(w.Context()); err != nil && !errors.Is(err, errDoubt) {
			w.Fatal(err)
		}
	}
}

// deleted removes the whole trail, and makes its stream anew.
func (w *world) deleted() {
	w.Helper()
	js, err := jetstream.New(w.bus.NATS())
	if err != nil {
		w.Fatal(err)
	}
	s, err := js.Stream(w.Context(), w.bus.Names().AuditStream())
	if err != nil {
		w.Fatal(err)
	}
	config := s.CachedInfo().Config
	if err := js.DeleteStream(w.Context(), config.Name); err != nil {
		w.Fatal(err)
	}
	if _, err := js.CreateStream(w.Context(), config); err != nil {
		w.Fatal(err)
	}
	w.log = New(w.bus)
}

func (w *world) trail() Trail {
	w.Helper()
	trail, err := w.log.Read(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	return trail
}

func kept(t *testing.T, file string) []string {
	t.Helper()
	all, err := Kept(file)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestJunkDoesNotStopTheAudit: whatever anybody publishes on the trail's subjects, records follow one another, checkpoints are signed
// and the trail is verified, with what is none of it named.
func TestJunkDoesNotStopTheAudit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	names, r := w.bus.Names(), w.recorder("a")
	w.publish(names.AuditRecord(), []byte("before anything"))
	w.acts(2)
	w.sweep(r.Sweep)
	copied := bytes.Clone(w.trail().Records[1])
	forged := func(index int64, prev string) []byte {
		raw, _ := json.Marshal(Record{Index: index, Prev: prev, ID: "forged", Who: "eve", Action: "approve"})
		return raw
	}
	junk := [][]byte{[]byte("\xff\x00junk"), []byte("{}"), []byte("null"), nil, copied, forged(1e9, "x"), forged(2, "x"), forged(-1, ""), []byte(`{"index":"2"}`), []byte(strings.Repeat("[", 100))}
	for _, body := range junk {
		w.publish(names.AuditRecord(), body)
		w.publish(names.AuditCheckpoint(), []byte("junk"))
		w.log = New(w.bus) // a process that begins here
		w.acts(1)
		w.sweep(r.Sweep)
	}
	for range 40 { // more than are looked at first
		w.publish(names.AuditRecord(), []byte("much junk"))
	}
	w.log = New(w.bus)
	w.acts(1)
	w.sweep(r.Sweep)
	w.sweep(w.recorder("b").Sweep)
	trail := w.trail()
	report := Verify(trail, kept(t, r.File), public(w.key))
	if n := int64(2 + len(junk) + 1); !report.OK() || report.Records != n || report.Covered != n || w.fault != "" {
		t.Errorf("%+v, %q", report, w.fault)
	}
	if len(report.Strays) != 1+len(junk)+40+len(junk) {
		t.Errorf("%d strays: %q", len(report.Strays), report.Strays)
	}
	var file bytes.Buffer
	if err := Export(&file, trail, public(w.key)); err != nil {
		t.Fatal(err)
	}
	back, keys, err := Import(&file)
	if report = Verify(back, nil, keys); err != nil || !report.OK() {
		t.Errorf("exported: %v, %+v", err, report)
	}
}

// TestAForkedTrailIsNotSigned: somebody deletes the trail with all its checkpoints, and people go on. The dispatcher has checkpoints of
// its own, and signs nothing until somebody has accepted that.
func TestAForkedTrailIsNotSigned(t *testing.T) {
	t.Parallel()
	for name, restart := range map[string]bool{"while it runs": false, "before it starts": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			r := w.recorder("a")
			w.acts(3)
			w.sweep(r.Sweep)
			if w.fault != "" || len(kept(t, r.File)) != 1 {
				t.Fatalf("%q, %q", w.fault, kept(t, r.File))
			}
			w.deleted()
			if restart {
				again := w.recorder("")
				again.File, r = r.File, again
			}
			w.acts(5) // more than there were
			w.sweep(r.Sweep)
			w.acts(1)
			w.sweep(r.Sweep)
			if !strings.Contains(w.fault, "its first 3 records are not those that a checkpoint of") || len(w.trail().Checkpoints) != 0 || len(kept(t, r.File)) != 1 {
				t.Errorf("found %q; %d checkpoints were signed", w.fault, len(w.trail().Checkpoints))
			}
			w.fault, w.accepted = "", time.Now()
			w.acts(1)
			w.sweep(r.Sweep)
			if w.fault != "" || len(w.trail().Checkpoints) != 1 {
				t.Errorf("accepted: found %q; %d checkpoints were signed", w.fault, len(w.trail().Checkpoints))
			}
		})
	}
}

// TestAnotherDispatcherFindsIt: the trail is deleted together with all that the dispatcher has which records it.
func TestAnotherDispatcherFindsIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one, other := w.recorder("one"), w.recorder("other")
	w.acts(3)
	w.sweep(one.Sweep)
	w.sweep(other.Watch)
	w.sweep(other.Watch)
	if len(kept(t, other.File)) != 1 {
		t.Fatalf("the other dispatcher keeps %q", kept(t, other.File))
	}
	w.deleted()
	if err := os.Remove(one.File); err != nil {
		t.Fatal(err)
	}
	one = w.recorder("one")
	w.acts(1)
	w.sweep(other.Watch)
	if !strings.Contains(w.fault, "it has 1 records that follow one another, and a checkpoint of") || !strings.Contains(w.fault, "was signed for 3") {
		t.Errorf("found %q", w.fault)
	}
	w.sweep(one.Sweep)
	if len(w.trail().Checkpoints) != 0 {
		t.Errorf("it was known, and signed: %q", w.trail().Checkpoints)
	}
}

// TestForeignCheckpointsAreNotKept: nobody but dispatchers makes another one keep something.
func TestForeignCheckpointsAreNotKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.acts(2)
	evil := w.recorder("evil")
	foreign := newKey(t)
	evil.Key = func() (ed25519.PrivateKey, error) { return foreign, nil }
	w.sweep(evil.Sweep)
	other := w.recorder("other")
	w.sweep(other.Watch)
	if _, err := Kept(other.File); err == nil {
		t.Errorf("kept: %q", kept(t, other.File))
	}
}
