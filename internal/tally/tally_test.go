package tally

import (
	"context"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"belay/internal/bus"
	"belay/internal/bus/embedded"
	"belay/internal/wire"
)

var faults = flag.Int("tally.faults", 40, "how many faults of the store are made by TestWhatHappensBehindOnesBack")

// world is a store on disk, with its tally beside it.
type world struct {
	t      *testing.T
	dir    string
	server *embedded.Server
	bus    *bus.Bus
	bucket *bus.Bucket
	keeper *Keeper
}

func (w *world) store() string { return filepath.Join(w.dir, "store") }
func (w *world) tally() string { return filepath.Join(w.dir, "tally") }

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir()}
	w.open()
	t.Cleanup(w.close)
	return w
}

func (w *world) open() {
	w.t.Helper()
	var err error
	if w.server, err = embedded.Start(embedded.Options{StoreDir: w.store(), Durability: embedded.Interval}); err != nil {
		w.t.Fatal(err)
	}
	if w.bus, err = bus.Connect(context.Background(), bus.Options{InProcess: w.server, Timeout: 5 * time.Second}); err != nil {
		w.t.Fatal(err)
	}
	if err := w.bus.Setup(w.t.Context(), bus.SetupOptions{Partitions: 1, Replicas: 1, Mend: w.server.Forget}); err != nil {
		w.t.Fatal(err)
	}
	w.keeper = New(w.bus, Options{Dir: w.tally(), Scrub: time.Nanosecond})
	if w.bucket, err = w.keeper.open(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) close() {
	if w.server == nil || w.keeper == nil {
		return
	}
	w.keeper.leave(context.Background(), bus.NewLease(w.bucket, leaseKey, term))
	w.bus.Close()
	w.server.Shutdown()
	w.server = nil
}

// copy is the same world in another folder, with its server stopped.
func (w *world) copy(t *testing.T) *world {
	t.Helper()
	c := &world{t: t, dir: t.TempDir()}
	if err := os.CopyFS(c.dir, os.DirFS(w.dir)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.close)
	return c
}

// publish stores the plans and outcomes of runs.
func (w *world) publish(runs, outcomes int) {
	w.t.Helper()
	names, stream := w.bus.Names(), w.bus.Names().RunsStream(0)
	for r := range runs {
		run := fmt.Sprintf("run-%d", r)
		w.put(stream, bus.Message{Subject: names.Log(0, run, wire.KindPlan), Run: run, Data: []byte(`{"plan":"` + run + `"}`), Expect: new(uint64(0))})
	}
	for n := range outcomes {
		run := fmt.Sprintf("run-%d", n%runs)
		w.put(stream, bus.Message{Subject: names.Log(0, run, wire.KindOutcome), Run: run, Data: fmt.Appendf(nil, `{"outcome":%d,"of":%q}`, n, run)})
	}
}

func (w *world) put(stream string, m bus.Message) {
	w.t.Helper()
	if _, err := w.bus.PublishWait(w.t.Context(), stream, m); err != nil {
		w.t.Fatal(err)
	}
}

// look looks so often that everything was noted, and read once more.
func (w *world) look() []Damage {
	w.t.Helper()
	for range 4 {
		if err := w.keeper.look(w.t.Context(), true); err != nil {
			w.t.Fatal(err)
		}
	}
	return w.keeper.Found()
}

// entries are what the log says, by sequence.
func (w *world) entries() map[uint64]leaf {
	w.t.Helper()
	all := map[uint64]leaf{}
	err := w.keeper.entries(w.t.Context(), &part{stream: w.bus.Names().RunsStream(0)}, 1, 1<<40, func(e bus.Entry) error {
		if e.Subject != w.bus.Names().Seal(0) {
			all[e.Seq] = leafOf(w.bus.Names(), e)
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return all
}

// TestWhatHappensBehindOnesBack: flipped bytes, cut blocks, deletions, purges, rollbacks and a stream that was made anew are
// found, each with the runs that it is about.
func TestWhatHappensBehindOnesBack(t *testing.T) {
	t.Parallel()
	master := newWorld(t)
	master.publish(20, 700)
	if found := master.look(); found != nil {
		t.Fatalf("nothing has happened, and this was found: %v", found)
	}
	before := master.entries()
	master.close()
	old := master.copy(t)
	later := master.copy(t)
	later.open()
	later.publishMore(t, 300)
	later.look()
	after := later.entries()
	later.close()
	ways := []struct {
		name string
		do   func(*testing.T, *world, *rand.Rand)
		live bool // while the server runs
		of   *world
		was  map[uint64]leaf
	}{
		{"flip", flip, false, master, before},
		{"flip elsewhere", flipElsewhere, false, master, before},
		{"cut", cut, false, master, before},
		{"delete", deleteSome, true, master, before},
		{"purge", purgeRun, true, master, before},
		{"empty", purgeAll, true, master, before},
		{"replace", replaceStream, true, master, before},
		{"roll back", func(t *testing.T, w *world, _ *rand.Rand) { rollBack(t, w, old) }, false, later, after},
	}
	times := *faults
	if testing.Short() {
		times = min(times, 8) // of each kind one
	}
	for n := range times {
		way := ways[n%len(ways)]
		t.Run(fmt.Sprint(way.name, "-", n), func(t *testing.T) {
			t.Parallel()
			rnd := rand.New(rand.NewPCG(uint64(n), 7))
			w := way.of.copy(t)
			if !way.live {
				way.do(t, w, rnd)
			}
			w.open()
			if way.live {
				w.look()
				way.do(t, w, rnd)
			}
			found := w.look()
			judge(t, way.was, w.entries(), found)
		})
	}
}

// judge compares what was found with what is different.
func judge(t *testing.T, was, is map[uint64]leaf, found []Damage) {
	t.Helper()
	different, runs := 0, map[owner]bool{}
	for seq, l := range was {
		if is[seq] != l {
			different++
			runs[l.owner()] = true
		}
	}
	if different == 0 {
		if found != nil {
			t.Errorf("nothing is different, and this was found: %v", found)
		}
		return
	}
	entries, named := 0, map[string]bool{}
	for _, d := range found {
		entries += d.Entries
		for _, run := range d.Runs {
			named[run] = true
		}
		if d.Unnamed > 0 {
			t.Errorf("%d runs are not named: %s", d.Unnamed, d.Text())
		}
	}
	if entries != different || len(named) != len(runs) {
		t.Errorf("%d entries of %d runs are different, %d of %d were found: %v", different, len(runs), entries, len(named), found)
	}
	t.Logf("%d entries of %d runs", different, len(runs))
}

func (w *world) publishMore(t *testing.T, outcomes int) {
	t.Helper()
	names := w.bus.Names()
	for n := range outcomes {
		run := fmt.Sprintf("run-%d", n%20)
		w.put(names.RunsStream(0), bus.Message{Subject: names.Log(0, run, wire.KindOutcome), Run: run, Data: fmt.Appendf(nil, `{"later":%d}`, n)})
	}
}

// blocks are the files with the messages of the log.
func blocks(t *testing.T, w *world) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(w.store(), "jetstream", "*", "streams", "BELAY_RUNS_0", "msgs", "*.blk"))
	if err != nil || len(all) == 0 {
		t.Fatal("no blocks", err)
	}
	return all
}

func flip(t *testing.T, w *world, rnd *rand.Rand) { flipIn(t, blocks(t, w), rnd) }

// flipElsewhere flips a bit in what the server keeps beside the messages: settings, indexes, where consumers are.
func flipElsewhere(t *testing.T, w *world, rnd *rand.Rand) {
	var all []string
	err := filepath.WalkDir(filepath.Dir(filepath.Dir(blocks(t, w)[0])), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && filepath.Ext(path) != ".blk" {
			all = append(all, path)
		}
		return err
	})
	if err != nil || len(all) == 0 {
		t.Fatal("nothing there", err)
	}
	flipIn(t, all, rnd)
}

func flipIn(t *testing.T, all []string, rnd *rand.Rand) {
	path := all[rnd.IntN(len(all))]
	t.Log(path)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[rnd.IntN(len(b))] ^= 1 << rnd.IntN(8)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func cut(t *testing.T, w *world, rnd *rand.Rand) {
	all := blocks(t, w)
	path := all[rnd.IntN(len(all))]
	info, err := os.Stat(path)
	if err == nil {
		err = os.Truncate(path, rnd.Int64N(info.Size()))
	}
	if err != nil {
		t.Fatal(err)
	}
}

func deleteSome(t *testing.T, w *world, rnd *rand.Rand) {
	js, err := jetstreamOf(w)
	if err != nil {
		t.Fatal(err)
	}
	s, err := js.Stream(t.Context(), w.bus.Names().RunsStream(0))
	for range 1 + rnd.IntN(5) {
		if err == nil {
			err = s.DeleteMsg(t.Context(), 1+rnd.Uint64N(700))
		}
		if err != nil && strings.Contains(err.Error(), "not found") {
			err = nil
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

func purgeRun(t *testing.T, w *world, rnd *rand.Rand) {
	if err := w.bus.Purge(t.Context(), w.bus.Names().RunsStream(0), w.bus.Names().LogOf(0, fmt.Sprintf("run-%d", rnd.IntN(20)))); err != nil {
		t.Fatal(err)
	}
}

func purgeAll(t *testing.T, w *world, _ *rand.Rand) {
	if err := w.bus.Purge(t.Context(), w.bus.Names().RunsStream(0), w.bus.Names().RunsSubjects(0)); err != nil {
		t.Fatal(err)
	}
}

func replaceStream(t *testing.T, w *world, rnd *rand.Rand) {
	js, err := jetstreamOf(w)
	if err == nil {
		err = js.DeleteStream(t.Context(), w.bus.Names().RunsStream(0))
	}
	if err == nil {
		err = w.bus.Setup(t.Context(), bus.SetupOptions{Partitions: 1, Replicas: 1})
	}
	if err != nil {
		t.Fatal(err)
	}
	if rnd.IntN(2) == 0 {
		w.publish(20, 900)
	}
}

// rollBack puts an older copy of the whole store into its place. The tally outside it stays.
func rollBack(t *testing.T, w, old *world) {
	if err := os.RemoveAll(w.store()); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(w.store(), os.DirFS(old.store())); err != nil {
		t.Fatal(err)
	}
}

// TestWhatBelayRemovesItself is no damage: neither what the janitor removes nor what a person discards.
func TestWhatBelayRemovesItself(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.publish(20, 200)
	w.look()
	names, stream := w.bus.Names(), w.bus.Names().RunsStream(0)
	w.put(stream, bus.Message{Subject: names.Log(0, "run-3", wire.KindClock), Run: "run-3", Data: []byte(`{}`), Header: map[string][]string{wire.HeaderRemoved: {"1"}}})
	for _, kind := range []string{wire.KindPlan, wire.KindOutcome} {
		if err := w.bus.Purge(t.Context(), stream, names.Log(0, "run-3", kind)); err != nil {
			t.Fatal(err)
		}
	}
	if err := Leave(t.Context(), w.bus, 0, names.LogOf(0, "run-7")); err != nil {
		t.Fatal(err)
	}
	if err := w.bus.Purge(t.Context(), stream, names.LogOf(0, "run-7")); err != nil {
		t.Fatal(err)
	}
	if found := w.look(); found != nil {
		t.Fatalf("found: %v", found)
	}
	w.put(stream, bus.Message{Subject: names.Log(0, "run-3", wire.KindOutcome), Run: "run-3", Data: []byte(`{"late":true}`)})
	w.look()
	w.close()
	w.open()
	if err := w.bus.Purge(t.Context(), stream, names.LogOf(0, "run-3")); err != nil {
		t.Fatal(err)
	}
	if found := w.look(); found != nil {
		t.Fatalf("found after a restart: %v", found)
	}
	if err := w.bus.Purge(t.Context(), stream, names.LogOf(0, "run-4")); err != nil {
		t.Fatal(err)
	}
	if found := w.look(); len(found) != 1 || !slices.Equal(found[0].Runs, []string{"run-4"}) {
		t.Fatalf("found: %v", found)
	}
}

// TestAcceptedDamage is not told again, also not after a restart; what is found later is.
func TestAcceptedDamage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.publish(20, 200)
	w.look()
	purgeAll(t, w, nil)
	if found := w.look(); len(found) == 0 || w.keeper.Err() == nil {
		t.Fatalf("found: %v", found)
	}
	w.close()
	w.open()
	if found := w.look(); len(found) == 0 {
		t.Fatal("forgotten after a restart")
	}
	if _, err := w.keeper.Accept(t.Context(), Verdict{By: "mia", Reason: "the store was emptied for a test"}); err != nil {
		t.Fatal(err)
	}
	if err := w.keeper.Err(); err != nil {
		t.Error(err)
	}
	w.close()
	w.open()
	if found := w.look(); found != nil {
		t.Fatalf("found once more: %v", found)
	}
	w.publish(20, 10)
	w.look()
	deleteSomeLast(t, w)
	if found := w.look(); len(found) != 1 {
		t.Fatalf("found: %v", found)
	}
}

func deleteSomeLast(t *testing.T, w *world) {
	t.Helper()
	if err := w.bus.Purge(t.Context(), w.bus.Names().RunsStream(0), w.bus.Names().LogOf(0, "run-1")); err != nil {
		t.Fatal(err)
	}
}

func jetstreamOf(w *world) (jetstream.JetStream, error) { return jetstream.New(w.bus.NATS()) }

// TestWhatOnlyTheFileKnows: after an older copy of the store, what was found before stands outside it only.
func TestWhatOnlyTheFileKnows(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.publish(20, 100)
	w.look()
	w.close()
	old := w.copy(t)
	w.open()
	purgeAll(t, w, nil)
	found := w.look()
	if len(found) == 0 {
		t.Fatal("nothing is found")
	}
	w.close()
	rollBack(t, w, old)
	w.open()
	before := New(w.bus, Options{Dir: w.tally()}) // of a command that starts no dispatcher
	r, err := Check(t.Context(), w.bus, w.tally(), func(int) {})
	if err != nil || len(r.Open) == 0 || r.Open[0].ID != found[0].ID {
		t.Fatalf("%+v, %v", r, err)
	}
	accepted, err := before.Accept(t.Context(), Verdict{By: "mia", Reason: "looked at it"})
	if err != nil || len(accepted) == 0 || accepted[0].ID != found[0].ID {
		t.Fatalf("%+v, %v", accepted, err)
	}
}

// TestALogWithLittleInIt: what was removed long ago takes no pages.
func TestALogWithLittleInIt(t *testing.T) {
	t.Parallel()
	b := newBook(head{}, func(uint64) (*leaves, error) { return nil, nil })
	for _, seq := range []uint64{3, 5_000_000, 5_000_001, 90_000_000} {
		if err := b.add(seq, leaf{1}); err != nil {
			t.Fatal(err)
		}
	}
	if b.UpTo != 90_000_000 || b.Live != 4 || len(b.dirty) > 4 {
		t.Errorf("up to %d, %d live, %d pages", b.UpTo, b.Live, len(b.dirty))
	}
	for seq, want := range map[uint64]leaf{3: {1}, 4: {}, 4_999_999: {}, 5_000_001: {1}, 5_000_002: {}} {
		if l, err := b.at(seq); err != nil || l != want {
			t.Errorf("%d: %v, %v", seq, l, err)
		}
	}
}
