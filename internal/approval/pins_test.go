package approval

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"belay/internal/bus"
	"belay/internal/bus/bustest"
	"belay/internal/steps"
)

// fleet are dispatchers that publish their keys, and workers that look at them.
type fleet struct {
	*testing.T
	bus  *bus.Bus
	keys *Published
	dir  string // of the workers on one machine
}

func startFleet(t *testing.T) *fleet {
	t.Helper()
	b := bustest.Start(t, 1)
	return &fleet{t, b, NewPublished(b), t.TempDir()}
}

// dispatcher publishes a key of its own.
func (f *fleet) dispatcher() *Signer {
	f.Helper()
	s := open(f.T, f.TempDir())
	f.publish(s)
	return s
}

func (f *fleet) publish(s *Signer) PublicKey {
	f.Helper()
	k, err := s.PublishTo(f.Context(), f.keys)
	if err != nil {
		f.Fatal(err)
	}
	return k
}

// rotate replaces a key and publishes the new one, as `dispatcher keys rotate` does.
func (f *fleet) rotate(s *Signer) {
	f.Helper()
	if err := s.Rotate(); err != nil {
		f.Fatal(err)
	}
	f.publish(s)
}

// worker starts a worker on the machine, which looks once.
func (f *fleet) worker() *Pins {
	f.Helper()
	p, err := OpenPins(f.bus, PinOptions{File: filepath.Join(f.dir, "pinned", "belay.keys"), About: "a test"})
	if err != nil {
		f.Fatal(err)
	}
	f.look(p)
	return p
}

func (f *fleet) look(p *Pins) {
	f.Helper()
	if err := p.look(f.Context()); err != nil {
		f.Fatal(err)
	}
}

// contactOver ends the time in which keys are pinned that nobody vouches for.
func contactOver(p *Pins) *Pins {
	p.until = time.Time{}
	return p
}

// takes says whether a worker executes what a dispatcher signs.
func (f *fleet) takes(p *Pins, s *Signer, want bool) {
	f.Helper()
	if err := p.Check(f.Context(), signed(f.T, s)); (err == nil) != want {
		f.Errorf("%v", err)
	}
}

func TestTheFirstKeyIsPinned(t *testing.T) {
	t.Parallel()
	f := startFleet(t)
	early := f.worker() // before there is any key
	ours := f.dispatcher()
	f.takes(early, ours, true)
	second := f.dispatcher() // started beside the first
	f.takes(early, second, true)
	contactOver(early)

	evil := f.dispatcher()
	for name, w := range map[string]*Pins{"at work": early, "started again": f.worker(), "another one on the machine": f.worker()} {
		t.Log(name)
		f.takes(w, ours, true)
		f.takes(w, second, true)
		f.takes(w, evil, false)
		f.look(w)
		if _, foreign := w.Pins(); len(foreign) != 1 || foreign[0].ID != public(t, evil).ID {
			t.Errorf("%+v", foreign)
		}
	}
	if err := f.keys.Revoke(t.Context(), public(t, evil).ID); err != nil {
		t.Fatal(err)
	}
	f.look(early)
	if _, foreign := early.Pins(); len(foreign) != 0 {
		t.Errorf("a key that is revoked is told: %+v", foreign)
	}
	if err := f.keys.Revoke(t.Context(), public(t, ours).ID); err != nil {
		t.Fatal(err)
	}
	f.takes(early, ours, false)
}

// TestAChainIsFollowed: a worker trusts what its keys vouch for, also after two rotations in which it did not run.
func TestAChainIsFollowed(t *testing.T) {
	t.Parallel()
	f := startFleet(t)
	ours := f.dispatcher()
	before := signed(t, ours)
	at := contactOver(f.worker())
	f.rotate(ours)
	f.takes(at, ours, true)
	f.rotate(ours)
	f.takes(at, ours, true)
	if err := at.Check(t.Context(), before); err != nil {
		t.Errorf("what the first key has signed: %v", err)
	}

	f.dir = t.TempDir() // another machine, whose worker ran before the rotations only
	old := f.first()
	f.takes(old, ours, true)
	again := f.worker()
	if pinned, _ := again.Pins(); len(pinned) != 3 {
		t.Errorf("%v", pinned)
	}

	other := f.dispatcher()
	f.takes(at, other, false)
	if err := ours.Vouch(t.Context(), f.keys, public(t, other).ID); err != nil {
		t.Fatal(err)
	}
	for _, w := range []*Pins{at, old, again} {
		f.takes(w, other, true)
	}
}

// first is a worker that has pinned the oldest key that is published alone.
func (f *fleet) first() *Pins {
	f.Helper()
	all, err := f.keys.List(f.Context())
	if err != nil {
		f.Fatal(err)
	}
	file := filepath.Join(f.dir, "pinned", "belay.keys")
	root := slices.IndexFunc(all, func(k PublicKey) bool { return len(k.Vouched) == 0 })
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		f.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("# by hand\n"+all[root].String()+"\n"), 0o600); err != nil {
		f.Fatal(err)
	}
	return f.worker()
}

// TestNobodyElseVouches puts keys into the bucket as whoever may write there can.
func TestNobodyElseVouches(t *testing.T) {
	t.Parallel()
	f := startFleet(t)
	ours, stolen := f.dispatcher(), f.dispatcher()
	w := contactOver(f.worker())
	evil := open(t, t.TempDir())
	key, err := evil.Key()
	if err != nil {
		t.Fatal(err)
	}
	theft, err := stolen.Key()
	if err != nil {
		t.Fatal(err)
	}
	if err := f.keys.Revoke(t.Context(), public(t, stolen).ID); err != nil {
		t.Fatal(err)
	}
	honest := public(t, ours)
	f.rotate(ours)
	real := public(t, ours).Vouched[0] // of the key that has taken its place
	put := func(k PublicKey, under string) {
		t.Helper()
		body, err := json.Marshal(k)
		if err != nil {
			t.Fatal(err)
		}
		bucket, err := f.keys.open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := bucket.Put(t.Context(), under, body, nil); err != nil {
			t.Fatal(err)
		}
	}
	mine := public(t, evil)
	for name, vouched := range map[string][]Vouch{
		"by nobody":            nil,
		"by itself":            {vouch(key, mine)},
		"by ours, unsigned":    {{By: honest.ID}},
		"by ours, signed else": {{By: honest.ID, Signature: vouch(key, mine).Signature}},
		"by ours, of another":  {real},
		"by a revoked key":     {vouch(theft, mine)},
	} {
		t.Log(name)
		k := mine
		k.Vouched = vouched
		put(k, k.ID)
		f.takes(w, evil, false)
	}
	k := mine
	k.ID = honest.ID
	put(k, honest.ID) // in the place of ours: that ends what ours has signed, and gives nothing to theirs
	g := signed(t, evil)
	g.Key = honest.ID
	if err := w.Check(t.Context(), g); err == nil {
		t.Error("a key counts under the id of another")
	}
	f.takes(w, evil, false)
}

// TestRotationsThatWereNotPublished: who vouched for a key stands beside it, so that its dispatcher can publish it later.
func TestRotationsThatWereNotPublished(t *testing.T) {
	t.Parallel()
	f := startFleet(t)
	ours := f.dispatcher()
	w := contactOver(f.worker())
	if err := ours.Rotate(); err != nil { // and then its process is killed
		t.Fatal(err)
	}
	again := open(t, filepath.Dir(ours.path))
	f.publish(again)
	f.takes(w, again, true)
}

func TestAWorkerWithoutAPlaceIsTold(t *testing.T) {
	t.Parallel()
	f := startFleet(t)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := OpenPins(f.bus, PinOptions{File: filepath.Join(file, "pinned", "belay.keys")})
	if err == nil || !strings.Contains(err.Error(), "--data-dir") || !strings.Contains(err.Error(), "--trust") {
		t.Errorf("%v", err)
	}
}

// TestAForeignKeyIsToldOnce by the loop, without anything that it has signed.
func TestAForeignKeyIsToldOnce(t *testing.T) {
	t.Parallel()
	f := startFleet(t)
	f.dispatcher()
	contactOver(f.worker())
	f.dispatcher()
	var log lines
	p, err := OpenPins(f.bus, PinOptions{File: filepath.Join(f.dir, "pinned", "belay.keys"), Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- p.Run(ctx) }()
	for end := time.Now().Add(30 * time.Second); !strings.Contains(log.String(), "keys vouch") && time.Now().Before(end); {
		f.look(p)
	}
	f.look(p)
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if n := strings.Count(log.String(), "no pinned key vouches"); n != 1 {
		t.Errorf("told %d times: %s", n, log.String())
	}
	if err := p.Check(t.Context(), steps.Grant{Key: "none"}); err == nil || !strings.Contains(err.Error(), "doctor") {
		t.Errorf("%v", err)
	}
}

// lines are what is logged.
type lines struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}
