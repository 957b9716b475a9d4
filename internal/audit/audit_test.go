package audit

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"belay/internal/bus"
	"belay/internal/bus/bustest"
	"belay/internal/plan"
	"belay/internal/runlog"
	"belay/internal/steps"
	"belay/internal/wire"
)

func newKey(t testing.TB) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func public(k ed25519.PrivateKey) []ed25519.PublicKey {
	return []ed25519.PublicKey{k.Public().(ed25519.PublicKey)}
}

// written is a trail of n records with checkpoints at some sizes.
func written(t testing.TB, key ed25519.PrivateKey, n int, at ...int64) Trail {
	t.Helper()
	trail, hashes, prev := Trail{Origin: Origin("belay")}, tree{}, ""
	for i := range n {
		raw, err := json.Marshal(Record{Index: int64(i), Prev: prev, ID: fmt.Sprint(i), Who: "mia", Action: "approve", Reason: "<because>", After: json.RawMessage(`{"amount":1.50}`)})
		if err != nil {
			t.Fatal(err)
		}
		prev = sum(raw)
		trail.Records = append(trail.Records, raw)
		if err := hashes.add(raw); err != nil {
			t.Fatal(err)
		}
		if slices.Contains(at, int64(i+1)) {
			root, err := hashes.root(int64(i + 1))
			if err != nil {
				t.Fatal(err)
			}
			text, err := signed(key, checkpointText(trail.Origin, int64(i+1), root, time.Unix(0, 0)))
			if err != nil {
				t.Fatal(err)
			}
			trail.Checkpoints = append(trail.Checkpoints, text)
		}
	}
	return trail
}

// rechained writes the links anew after a change, as somebody would who wants to hide it.
func rechained(records [][]byte) [][]byte {
	prev, out := "", [][]byte{}
	for i, raw := range records {
		var r Record
		if json.Unmarshal(raw, &r) != nil {
			panic("not a record")
		}
		r.Index, r.Prev = int64(i), prev
		raw, _ = json.Marshal(r)
		prev = sum(raw)
		out = append(out, raw)
	}
	return out
}

func TestATrailThatWasLeftAlone(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	trail := written(t, key, 20, 5, 20)
	r := Verify(trail, trail.Checkpoints[:1], public(key))
	if !r.OK() || r.Records != 20 || r.Checkpoints != 3 || r.Covered != 20 {
		t.Errorf("%+v", r)
	}
	if empty := Verify(Trail{Origin: "x"}, nil, nil); !empty.OK() {
		t.Errorf("%+v", empty)
	}
}

func TestEveryChangeIsNamed(t *testing.T) {
	t.Parallel()
	key, evil := newKey(t), newKey(t)
	without := func(list [][]byte, i int) [][]byte { return slices.Delete(slices.Clone(list), i, i+1) }
	for name, c := range map[string]struct {
		change func(*Trail)
		says   string
	}{
		"one edited":            {func(x *Trail) { x.Records[7] = bytes.Replace(x.Records[7], []byte("mia"), []byte("eve"), 1) }, "record 7 was edited"},
		"the last one edited":   {func(x *Trail) { x.Records[19] = bytes.Replace(x.Records[19], []byte("mia"), []byte("eve"), 1) }, "first 20 records are not those"},
		"one removed":           {func(x *Trail) { x.Records = without(x.Records, 7) }, "record 7 is missing"},
		"the first one removed": {func(x *Trail) { x.Records = without(x.Records, 0) }, "record 0 is missing"},
		"the last ones cut":     {func(x *Trail) { x.Records = x.Records[:15] }, "the trail was cut: it has 15 records"},
		"two changed places":    {func(x *Trail) { x.Records[3], x.Records[4] = x.Records[4], x.Records[3] }, "record 4 is missing"},
		"one there twice":       {func(x *Trail) { x.Records = slices.Insert(x.Records, 3, x.Records[2]) }, "message 3 of the trail is no record of it"},
		"edited and chained": {func(x *Trail) {
			x.Records[7] = bytes.Replace(x.Records[7], []byte("mia"), []byte("eve"), 1)
			x.Records = rechained(x.Records)
		}, "first 20 records are not those"},
		"removed and chained":    {func(x *Trail) { x.Records = rechained(without(x.Records, 7)) }, "the trail was cut"},
		"a space more":           {func(x *Trail) { x.Records[7] = append(x.Records[7], ' ') }, "record 7 was edited"},
		"unreadable":             {func(x *Trail) { x.Records[7] = []byte("{") }, "record 7 cannot be read"},
		"an unknown field":       {func(x *Trail) { x.Records[7] = bytes.Replace(x.Records[7], []byte("{"), []byte(`{"x":1,`), 1) }, "record 7 cannot be read"},
		"signed by another key":  {func(x *Trail) { x.Checkpoints = written(t, evil, 20, 20).Checkpoints }, "not signed by a known key"},
		"a checkpoint edited":    {func(x *Trail) { x.Checkpoints[1] = strings.Replace(x.Checkpoints[1], "\n20\n", "\n19\n", 1) }, "checkpoint 1 of the trail"},
		"no checkpoint":          {func(x *Trail) { x.Checkpoints[0] = "hello" }, "checkpoint 0 of the trail"},
		"of another trail":       {func(x *Trail) { x.Origin = Origin("other") }, "not a checkpoint of belay/audit/other"},
		"written from the start": {func(x *Trail) { *x = Trail{Origin: x.Origin, Records: rechained(x.Records[1:])} }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			trail := written(t, key, 20, 5, 20)
			kept := trail.Checkpoints[1]
			c.change(&trail)
			r := Verify(trail, nil, public(key))
			if c.says == "" { // nothing in the trail itself tells; a checkpoint that was kept does
				if !r.OK() {
					t.Errorf("%v", r.Faults)
				}
				r = Verify(trail, []string{kept}, public(key))
				c.says = "the trail was cut"
			}
			if !strings.Contains(strings.Join(append(r.Faults, r.Strays...), "\n"), c.says) {
				t.Errorf("%v; want %q", r.Faults, c.says)
			}
		})
	}
}

// TestNoChangeIsMissed: against a later checkpoint that was kept, any single change of the records is found.
func TestNoChangeIsMissed(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	trail := written(t, key, 30, 30)
	rapid.Check(t, func(t *rapid.T) {
		x := Trail{Origin: trail.Origin}
		for _, r := range trail.Records {
			x.Records = append(x.Records, slices.Clone(r))
		}
		i := rapid.IntRange(0, 29).Draw(t, "record")
		switch rapid.IntRange(0, 4).Draw(t, "change") {
		case 0:
			at := rapid.IntRange(0, len(x.Records[i])-1).Draw(t, "byte")
			x.Records[i][at] ^= byte(rapid.IntRange(1, 255).Draw(t, "bits"))
		case 1:
			x.Records = slices.Delete(x.Records, i, i+1)
		case 2:
			j := rapid.IntRange(0, 29).Filter(func(j int) bool { return j != i }).Draw(t, "other")
			x.Records[i], x.Records[j] = x.Records[j], x.Records[i]
		case 3:
			x.Records = x.Records[:i]
		case 4:
			x.Records = slices.Insert(x.Records, i, slices.Clone(x.Records[i]))
		}
		if r := Verify(x, trail.Checkpoints, public(key)); r.OK() && len(r.Strays) == 0 {
			t.Fatalf("nothing is found: %+v", r)
		}
	})
}

func TestExportAndImport(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	trail := written(t, key, 10, 10)
	var b bytes.Buffer
	if err := Export(&b, trail, public(key)); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	back, keys, err := Import(&b)
	if err != nil || len(keys) != 1 || !slices.EqualFunc(back.Records, trail.Records, bytes.Equal) {
		t.Fatalf("%+v, %v", back, err)
	}
	if r := Verify(back, nil, keys); !r.OK() || r.Covered != 10 {
		t.Errorf("%+v", r)
	}
	for _, bad := range []string{"", "{", `{"type":"record"}`, `{"type":"header","version":2}`, text + `{"type":"x"}`, text[:len(text)-5]} {
		if _, _, err := Import(strings.NewReader(bad)); err == nil {
			t.Errorf("%.40q is read", bad)
		}
	}
}

func TestKeptCheckpoints(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	trail := written(t, key, 10, 5, 10)
	path := filepath.Join(t.TempDir(), "checkpoints")
	for _, c := range trail.Checkpoints {
		if err := Keep(path, c); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := Kept(path)
	if err != nil || !slices.Equal(kept, trail.Checkpoints) {
		t.Errorf("%q, %v", kept, err)
	}
	if _, err := Kept(path + "x"); err == nil {
		t.Error("a file that is not there is read")
	}
}

// TestACheckpointThatWasNotKept: the recorder ended after a checkpoint was stored and before it was kept outside the store.
// Without the repair the file would cover fewer records than the store until the next one came, and a trail that was cut
// back to those would pass.
func TestACheckpointThatWasNotKept(t *testing.T) {
	t.Parallel()
	b, key, file := bustest.Start(t, 1), newKey(t), filepath.Join(t.TempDir(), "checkpoints")
	log := New(b)
	recorder := func(file string) *Recorder {
		r := NewRecorder(b, runlog.New(b, plan.NewCache(1)), log)
		r.Key, r.File, r.Logger = func() (ed25519.PrivateKey, error) { return key, nil }, file, slog.New(slog.DiscardHandler)
		return r
	}
	covered := func() int64 {
		t.Helper()
		kept, err := Kept(file)
		if err != nil {
			t.Fatal(err)
		}
		trail, err := log.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		r := Verify(Trail{Origin: trail.Origin, Records: trail.Records}, kept, public(key))
		if !r.OK() {
			t.Errorf("%+v", r)
		}
		return r.Covered
	}
	sweep := func(r *Recorder, ok bool) {
		t.Helper()
		if err := r.Sweep(t.Context()); (err == nil) != ok {
			t.Fatal(err)
		}
	}
	for i := range 3 {
		if err := log.Append(t.Context(), Record{ID: fmt.Sprint(i), Who: "mia", Action: "note"}); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			sweep(recorder(file), true)
		}
	}
	sweep(recorder(t.TempDir()), false) // stored; a directory takes no checkpoint
	if n := covered(); n != 1 {
		t.Fatalf("%d records are covered before the repair", n)
	}
	r := recorder(file)
	sweep(r, true)
	sweep(r, true)
	if kept, err := Kept(file); err != nil || len(kept) != 2 {
		t.Errorf("%d checkpoints are kept: %v", len(kept), err)
	}
	if n := covered(); n != 3 {
		t.Errorf("%d of 3 records are covered", n)
	}
}

// TestManyWriters append at once, from several processes, and lose nothing.
func TestManyWriters(t *testing.T) {
	t.Parallel()
	b := bustest.Start(t, 1)
	var wg sync.WaitGroup
	for w := range 8 {
		log := New(b)
		wg.Go(func() {
			for i := range 25 {
				if err := log.Append(t.Context(), Record{ID: fmt.Sprintf("%d/%d", w, i), Who: "mia", Action: "note", After: json.RawMessage(`"` + strings.Repeat("x", most) + `"`)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	key := newKey(t)
	signs, other := checkpoints{log: New(b)}, checkpoints{log: New(b)}
	if err := errors.Join(signs.read(t.Context()), signs.read(t.Context())); err != nil {
		t.Fatal(err)
	}
	text, err := signs.make(t.Context(), key, time.Now(), 200, nil)
	if err != nil || text == "" {
		t.Fatal(text, err)
	}
	if again, err := signs.make(t.Context(), key, time.Now(), 200, nil); err != nil || again != "" {
		t.Errorf("nothing has come, and it is signed again: %q, %v", again, err)
	}
	if err := other.read(t.Context()); err != nil {
		t.Fatal(err)
	}
	if again, err := other.make(t.Context(), key, time.Now(), 200, nil); err != nil || again != "" {
		t.Errorf("another process signs it again: %q, %v", again, err)
	}
	store := func(context.Context) ([]string, error) { return []string{"0 1 7"}, nil }
	if again, err := signs.make(t.Context(), key, time.Now(), 200, store); err != nil || again != "" {
		t.Errorf("nobody has done anything, and the log is signed at once: %q, %v", again, err)
	}
	later := time.Now().Add(storeEvery)
	again, err := signs.make(t.Context(), key, later, 200, store)
	if lines, at := Stored(Origin(b.Names().Prefix), []string{text, again}, []ed25519.PublicKey{key.Public().(ed25519.PublicKey)}); err != nil || !slices.Equal(lines, []string{"0 1 7"}) || at.Sub(later).Abs() > time.Second {
		t.Errorf("%q, %s, %v", lines, at, err)
	}
	if lines, _ := Stored(Origin(b.Names().Prefix), []string{again}, []ed25519.PublicKey{newKey(t).Public().(ed25519.PublicKey)}); lines != nil {
		t.Errorf("by a key that nobody knows: %q", lines)
	}
	trail, err := New(b).Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for _, raw := range trail.Records {
		var r Record
		if err := json.Unmarshal(raw, &r); err != nil || len(raw) > 1000 {
			t.Fatal(err, len(raw))
		}
		ids[r.ID] = true
	}
	if r := Verify(trail, []string{text}, public(key)); !r.OK() || len(ids) != 200 || r.Covered != 200 {
		t.Errorf("%d records, %+v", len(ids), r)
	}
}

func BenchmarkVerify(b *testing.B) {
	key := newKey(b)
	trail := written(b, key, 100_000, 100_000)
	for b.Loop() {
		if r := Verify(trail, nil, public(key)); !r.OK() {
			b.Fatal(r)
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	log := New(bustest.Start(b, 1))
	for b.Loop() {
		if err := log.Append(b.Context(), Record{ID: "x", Who: "mia", Action: "note"}); err != nil {
			b.Fatal(err)
		}
	}
}

// TestDecisionsAfterTheLogHasLostItsEnd: a server whose disk has failed gives the sequences of what it lost to other entries.
// A decision among them is recorded, although the recorder had looked further already and found nobody deciding.
func TestDecisionsAfterTheLogHasLostItsEnd(t *testing.T) {
	t.Parallel()
	f := bustest.StartForgetful(t, 1)
	runs, log := runlog.New(f.Bus, plan.NewCache(1)), New(f.Bus)
	key := newKey(t)
	r := NewRecorder(f.Bus, runs, log)
	r.Key, r.Logger = func() (ed25519.PrivateKey, error) { return key, nil }, slog.New(slog.DiscardHandler)
	write := func(kind string, n int) {
		t.Helper()
		for range n {
			m := bus.Message{Subject: f.Bus.Names().Log(0, "r", kind), Data: []byte("{}")}
			if _, err := f.Bus.PublishWait(t.Context(), f.Bus.Names().RunsStream(0), m); err != nil {
				t.Fatal(err)
			}
		}
	}
	sweep := func(want int) {
		t.Helper()
		begun := time.Now()
		for err := r.Sweep(t.Context()); err != nil; err = r.Sweep(t.Context()) {
			if time.Since(begun) > time.Minute { // the server has just been started again
				t.Fatal(err)
			}
		}
		if trail, err := log.Read(t.Context()); err != nil || len(trail.Records) != want {
			t.Errorf("%d records, not %d: %v", len(trail.Records), want, err)
		}
	}
	write(wire.KindOutcome, 5)
	sweep(0) // makes the bucket
	f.Keep()
	write(wire.KindOutcome, 50)
	sweep(0)
	f.Forget()
	write(wire.KindDecision, 2)
	sweep(2)
	write(wire.KindOutcome, 5)
	sweep(2)
}

// TestWhatPeopleDoToAgents is told apart: what they write, and what they take back.
func TestWhatPeopleDoToAgents(t *testing.T) {
	t.Parallel()
	r := &Recorder{Bus: bustest.Start(t, 1)}
	for _, c := range []struct {
		event      steps.Steered
		action, on string
	}{
		{steps.Steered{ID: "m1", Step: "resolve", Text: "why", By: "mia", Via: "cli"}, "write to agent", "resolve"},
		{steps.Steered{ID: "m2", Step: "resolve", Text: "why", TakeBack: 3, By: "mia", Via: "cli"}, "take back turns of agent", "resolve from turn 3"},
	} {
		kind, body, err := wire.EncodeEvent(c.event)
		if err != nil {
			t.Fatal(err)
		}
		rec, _ := r.record(bus.Entry{Subject: r.Bus.Names().Log(0, "r", kind), Data: body, Seq: 7})
		if rec.Action != c.action || rec.On != c.on || rec.Who != "mia" || rec.Via != "cli" || rec.Reason != "why" {
			t.Errorf("%+v", rec)
		}
	}
}
