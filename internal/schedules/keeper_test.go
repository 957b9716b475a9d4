package schedules

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"belay/internal/bus"
	"belay/internal/bus/bustest"
	"belay/internal/plan"
	"belay/internal/runlog"
	"belay/internal/steps"
)

// rig is a server with a log, and a clock that tests set.
type rig struct {
	*testing.T
	bus *bus.Bus
	log *runlog.Log

	mu  sync.Mutex
	now time.Time
}

func newRig(t *testing.T) *rig {
	t.Helper()
	b := bustest.Start(t, 1)
	return &rig{T: t, bus: b, log: runlog.New(b, plan.NewCache(8)), now: clockAt("2026-11-28T09:00:00Z")}
}

func (r *rig) clock() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now
}

func (r *rig) pass(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now = r.now.Add(d)
}

// keeper is one of a dispatcher whose clock is wrong by so much.
func (r *rig) keeper(wrong time.Duration) *Keeper {
	k := NewKeeper(r.bus, r.log, slog.New(slog.DiscardHandler))
	k.book.now = func() time.Time { return r.clock().Add(wrong) }
	return k
}

func (r *rig) submission() steps.Submitted {
	r.Helper()
	tools, err := plan.ParseTools(filepath.Join(r.TempDir(), "tools.yaml"), []byte(`tools: {look: {effects: none, rungs: [{static: {output: 1}}]}}`))
	if err != nil {
		r.Fatal(err)
	}
	doc, err := plan.ParsePlan("plan.yaml", []byte(`{name: p, steps: [{id: a, tool: look}]}`), tools)
	if err != nil {
		r.Fatal(err)
	}
	return steps.Submitted{Document: doc.JSON, Input: json.RawMessage(`{}`)}
}

func (r *rig) add(k *Keeper, s Schedule) Schedule {
	r.Helper()
	s.Name, s.Plan, s.By = "tick", "p", "mia"
	s, err := k.book.Add(r.Context(), s, r.submission(), false)
	if err != nil {
		r.Fatal(err)
	}
	return s
}

// stored is the schedule as it is kept.
func (r *rig) stored() revision {
	r.Helper()
	bucket, err := Of(r.bus).bucket(r.Context())
	if err != nil {
		r.Fatal(err)
	}
	it, _, err := bucket.Get(r.Context(), "tick")
	e, ok := read(it)
	if err != nil || !ok {
		r.Fatal(string(it.Value), err)
	}
	v := revision{entry: e, number: it.Revision}
	v.reckon()
	return v
}

// step does what is due, and returns the schedule after it.
func (r *rig) step(k *Keeper) Schedule {
	r.Helper()
	v := r.stored()
	if err := k.step(r.Context(), &v, true); err != nil {
		r.Fatal(err)
	}
	return r.stored().Schedule
}

// runs are the ids of all runs that were submitted.
func (r *rig) runs(ids []string) (there int) {
	r.Helper()
	for _, id := range ids {
		s, err := r.log.Submitted(r.Context(), id)
		if err != nil {
			r.Fatal(err)
		}
		if s != nil {
			there++
		}
	}
	return there
}

// end lets the only step of a run end, or what was not begun of it once it is cancelled.
func (r *rig) end(run string) {
	r.Helper()
	a := steps.Attempt{Step: "a", Try: 1}
	for _, e := range []steps.Event{steps.Withdrawn{Attempt: a}, steps.Succeeded{Attempt: a, Worker: "w", Output: json.RawMessage(`1`)}} {
		if _, err := r.log.Append(r.Context(), run, e); err != nil {
			r.Fatal(err)
		}
	}
}

// TestExactlyOneFiring: three dispatchers, two of them with wrong clocks, fire minute after minute at the same time, and any of them may be
// killed at any moment, also between a run and the note of it. Each minute has one run, or is counted as left out; none is both.
func TestExactlyOneFiring(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	r.add(r.keeper(0), Schedule{Cron: "* * * * *", Overlap: Allow, CatchUp: CatchLast})
	wrong := []time.Duration{0, -40 * time.Second, 50 * time.Minute}
	var ids []string
	begin := r.clock()
	for range 20 {
		r.pass(time.Minute)
		var wg sync.WaitGroup
		for _, w := range wrong {
			v, k := r.stored(), r.keeper(w)
			ctx, kill := context.WithTimeout(t.Context(), time.Duration(random.Int64N(int64(8*time.Millisecond))))
			wg.Go(func() {
				defer kill()
				_ = k.step(ctx, &v, true)
			})
		}
		wg.Wait()
	}
	s := r.step(r.keeper(wrong[2]))
	for n := 1; n <= 70; n++ {
		ids = append(ids, s.firing(begin.Add(time.Duration(n)*time.Minute)).Run)
	}
	left := 0
	for _, l := range []*Left{s.Missed, s.Skipped} {
		if l != nil {
			left += l.N
		}
	}
	if made := r.runs(ids); made+left != 70 || len(s.Waiting) > 0 {
		t.Errorf("%d runs and %d left out, of 70; %+v", made, left, s)
	}
}

// TestKilledBetweenTheRunAndItsNote: the next dispatcher finds the run, whatever the schedule says by then.
func TestKilledBetweenTheRunAndItsNote(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	k := r.keeper(0)
	r.add(k, Schedule{Cron: "* * * * *"})
	r.pass(time.Minute)
	v := r.stored()
	if changed, err := k.next(t.Context(), &v, true); err != nil || !changed {
		t.Fatal(changed, err)
	}
	number, err := put(t.Context(), r.bucket(), &v.entry, v.number)
	if err != nil {
		t.Fatal(err)
	}
	v.number = number
	if changed, err := k.next(t.Context(), &v, true); err != nil || !changed || len(v.Firings) != 1 {
		t.Fatal(changed, err)
	}
	// killed here
	other := r.submission()
	other.Labels = map[string]string{"changed": "since"}
	if _, err := r.keeper(0).book.Add(t.Context(), Schedule{Name: "tick", Plan: "p", Cron: "* * * * *", By: "mia"}, other, true); err != nil {
		t.Fatal(err)
	}
	s := r.step(r.keeper(0))
	if len(s.Firings) != 1 || s.Firings[0].Error != "" || s.Firings[0].Run != "tick-20261128T090100Z" || len(s.Waiting) > 0 {
		t.Errorf("%+v", s)
	}
	if got, err := r.log.Submitted(t.Context(), "tick-20261128T090100Z"); err != nil || got.By != "mia" || got.Labels["schedule"] != "tick" || got.Labels["changed"] != "" || !got.At.Equal(clockAt("2026-11-28T09:01:00Z")) {
		t.Errorf("%+v, %v", got, err)
	}
}

func (r *rig) bucket() *bus.Bucket {
	r.Helper()
	bucket, err := Of(r.bus).bucket(r.Context())
	if err != nil {
		r.Fatal(err)
	}
	return bucket
}

// TestOverlaps: a firing waits for the run before, or cancels it, or is left out.
func TestOverlaps(t *testing.T) {
	t.Parallel()
	first, second := "tick-20261128T090100Z", "tick-20261128T090200Z"
	for _, overlap := range Overlaps() {
		t.Run(string(overlap), func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			k := r.keeper(0)
			r.add(k, Schedule{Cron: "* * * * *", Overlap: overlap})
			r.pass(time.Minute)
			r.step(k)
			r.pass(time.Minute)
			s := r.step(k)
			both := r.runs([]string{first, second}) == 2
			if both != (overlap == Allow) || (len(s.Waiting) == 1) != (overlap != Skip && overlap != Allow) || (s.Skipped != nil) != (overlap == Skip) {
				t.Errorf("%+v", s)
			}
			st, err := r.log.Load(t.Context(), first)
			if err != nil || (st.Ending() == steps.RunCancelled || st.Status() == steps.RunCancelled) != (overlap == Cancel) {
				t.Errorf("the first run: %s %s, %v", st.Status(), st.Ending(), err)
			}
			seq := st.Seq
			r.step(k)
			if st, _ = r.log.Load(t.Context(), first); st.Seq != seq {
				t.Error("it was cancelled twice")
			}
			r.end(first)
			if r.step(k); (r.runs([]string{second}) == 1) != (overlap != Skip) {
				t.Errorf("after the end of the first: %+v", r.stored().Schedule)
			}
		})
	}
}

// TestByHand: it is fired also while it is paused, and refused while the run before is open; asked for twice it is one run.
func TestByHand(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	k := r.keeper(0)
	r.add(k, Schedule{Cron: "* * * * *"})
	if _, err := k.book.Pause(t.Context(), "tick", Pause{By: "mia", Reason: "a day off"}); err != nil {
		t.Fatal(err)
	}
	if _, err := k.book.Pause(t.Context(), "tick", Pause{By: "bo"}); !errors.Is(err, ErrPaused) {
		t.Errorf("paused twice: %v", err)
	}
	r.pass(90 * time.Second)
	for range 2 {
		s, f, err := k.Fire(t.Context(), "tick", "bo", r.clock())
		if err != nil || f.Run != "tick-20261128T090130Z-now" || f.By != "bo" || len(s.Firings) != 1 || len(s.Waiting) > 0 || s.Paused == nil || s.Next != nil {
			t.Errorf("%+v, %+v, %v", s, f, err)
		}
	}
	r.pass(time.Second)
	if _, _, err := k.Fire(t.Context(), "tick", "bo", r.clock()); !errors.Is(err, ErrBusy) {
		t.Errorf("while the run before is open: %v", err)
	}
	if _, _, err := k.Fire(t.Context(), "tick", "bo", r.clock().Add(-time.Hour)); !errors.Is(err, ErrWrong) {
		t.Errorf("an hour ago: %v", err)
	}
	if _, _, err := k.Fire(t.Context(), "tock", "bo", r.clock()); !errors.Is(err, ErrNone) {
		t.Errorf("one that is not there: %v", err)
	}
	r.end("tick-20261128T090130Z-now")
	s, err := k.book.Resume(t.Context(), "tick")
	if err != nil || s.Next == nil || !s.Next.Equal(clockAt("2026-11-28T09:02:00Z")) || s.Missed != nil {
		t.Errorf("%+v, %v", s, err)
	}
	if _, err := k.book.Resume(t.Context(), "tick"); !errors.Is(err, ErrNotPaused) {
		t.Errorf("resumed twice: %v", err)
	}
	list, err := List(t.Context(), r.bus, r.log, nil)
	if err != nil || len(list) != 1 || list[0].Firings[0].State != steps.RunSucceeded || list[0].Problem != "no worker serves look now; its run would wait for one" {
		t.Errorf("%+v, %v", list, err)
	}
}

// TestAddTwice: the same is no error, another one of the name is one unless it is to be replaced, and keeps what it has done then.
func TestAddTwice(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	k := r.keeper(0)
	r.add(k, Schedule{Cron: "* * * * *"})
	r.pass(time.Minute)
	r.step(k)
	if s := r.add(k, Schedule{Cron: "* * * * *"}); len(s.Firings) != 1 {
		t.Errorf("%+v", s)
	}
	daily := Schedule{Name: "tick", Plan: "p", By: "bo", Cron: "@daily"}
	if _, err := k.book.Add(t.Context(), daily, r.submission(), false); !errors.Is(err, ErrExists) {
		t.Errorf("%v", err)
	}
	s, err := k.book.Add(t.Context(), daily, r.submission(), true)
	if err != nil || s.By != "bo" || len(s.Firings) != 1 || !s.Next.Equal(clockAt("2026-11-29T00:00:00Z")) {
		t.Errorf("%+v, %v", s, err)
	}
}

// TestARefusedRunIsSeen: what cannot be submitted stands on the schedule, which goes on.
func TestARefusedRunIsSeen(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	k := r.keeper(0)
	r.add(k, Schedule{Cron: "* * * * *"})
	v := r.stored()
	v.Order.Document = json.RawMessage(`{"plan":{"name":"p","steps":[{"id":"a","tool":"gone"}]}}`)
	if _, err := put(t.Context(), r.bucket(), &v.entry, v.number); err != nil {
		t.Fatal(err)
	}
	seen, err := Find(t.Context(), r.bus, r.log, "tick", nil)
	if err != nil || seen.Problem == "" {
		t.Errorf("%+v, %v", seen, err)
	}
	r.pass(time.Minute)
	if s := r.step(k); len(s.Firings) != 1 || s.Firings[0].Error == "" || len(s.Waiting) > 0 {
		t.Errorf("%+v", s)
	}
}

// TestWhatIsRemovedBehindBelaysBack is stored again, and fires; what people have removed stays away.
func TestWhatIsRemovedBehindBelaysBack(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	k := NewKeeper(r.bus, r.log, slog.New(slog.DiscardHandler))
	r.add(k, Schedule{Cron: "* * * * * *", Overlap: Allow})
	if _, err := k.book.Add(t.Context(), Schedule{Name: "gone", Plan: "p", By: "mia", Cron: "@yearly"}, r.submission(), false); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { k.Run(ctx) })
	defer func() { stop(); wg.Wait() }()
	r.await("it fires", func() bool { return len(r.stored().Firings) > 0 })
	r.await("both are known", func() bool { return len(k.Known()) == 2 })
	if _, err := k.book.Remove(t.Context(), "gone"); err != nil {
		t.Fatal(err)
	}
	r.await("one is known", func() bool { return len(k.Known()) == 1 })
	js, err := jetstream.New(r.bus.NATS())
	if err == nil {
		err = js.DeleteStream(t.Context(), "KV_"+r.bus.Names().SchedulesBucket())
	}
	if err != nil {
		t.Fatal(err)
	}
	k.Anew()
	before := k.Known()[0].Firings[0].Run
	r.await("it fires again", func() bool {
		all, err := List(t.Context(), r.bus, r.log, nil)
		return err == nil && len(all) == 1 && len(all[0].Firings) > 0 && all[0].Firings[0].Run > before
	})
}

func (r *rig) await(what string, ok func() bool) {
	r.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); {
		if time.Now().After(end) {
			r.Fatal(fmt.Sprint("never: ", what))
		}
		select {
		case <-r.Context().Done():
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
}
