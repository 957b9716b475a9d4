package bus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"belay/internal/bus/embedded"
	"belay/internal/wire"
)

func TestReadAndFollow(t *testing.T) {
	t.Parallel()
	_, b := start(t, t.TempDir(), embedded.Interval)
	p := wire.Partition("r", b.Partitions())
	stream := b.Names().RunsStream(p)
	for i := range 1200 { // more than two pages
		b.Publish(stream, Message{Subject: b.Names().Log(p, "r", wire.KindOutcome), Header: map[string][]string{"I": {fmt.Sprint(i)}}, Data: fmt.Appendf(nil, "%d", i)}, func(uint64, error) {})
		b.Publish(stream, Message{Subject: b.Names().Log(p, "other", wire.KindOutcome)}, func(uint64, error) {})
	}
	if _, err := b.PublishWait(t.Context(), stream, Message{Subject: b.Names().Log(p, "r", wire.KindPlan)}); err != nil {
		t.Fatal(err)
	}
	all, err := b.ReadLog(t.Context(), "r", 0)
	if err != nil || len(all) != 1201 {
		t.Fatalf("%d entries, %v", len(all), err)
	}
	for i, e := range all[:1200] {
		if string(e.Data) != fmt.Sprint(i) || e.Header["I"][0] != fmt.Sprint(i) || e.Subject != b.Names().Log(p, "r", wire.KindOutcome) || time.Since(e.Time) > time.Minute {
			t.Fatalf("entry %d is %+v", i, e)
		}
	}
	if rest, err := b.ReadLog(t.Context(), "r", all[1100].Seq); err != nil || len(rest) != 100 || rest[0].Seq != all[1101].Seq {
		t.Errorf("%d entries after one, %v", len(rest), err)
	}
	ctx, stop := context.WithCancel(t.Context())
	n := 0
	err = b.FollowLog(ctx, "r", all[600].Seq, func(e Entry) {
		if n++; e.Seq != all[600+n].Seq || string(e.Data) != string(all[600+n].Data) {
			t.Errorf("entry %d is %d, not %d", n, e.Seq, all[600+n].Seq)
		}
		if n == 600 {
			stop()
		}
	})
	if err != nil || n != 600 {
		t.Fatalf("%d entries, %v", n, err)
	}
	if none, err := b.ReadLog(t.Context(), "nobody", 0); err != nil || len(none) != 0 {
		t.Fatalf("an unknown run gives %d, %v", len(none), err)
	}
}

func TestPagesOfLargeMessages(t *testing.T) {
	t.Parallel()
	_, b := start(t, t.TempDir(), embedded.Interval)
	p := wire.Partition("r", b.Partitions())
	for i := range 40 {
		m := Message{Subject: b.Names().Log(p, "r", wire.KindOutcome), Data: make([]byte, 500<<10)}
		m.Data[0] = byte(i)
		if _, err := b.PublishWait(t.Context(), b.Names().RunsStream(p), m); err != nil {
			t.Fatal(err)
		}
	}
	all, err := b.ReadLog(t.Context(), "r", 0)
	if err != nil || len(all) != 40 {
		t.Fatalf("%d entries, %v", len(all), err)
	}
	for i, e := range all {
		if e.Data[0] != byte(i) || len(e.Data) != 500<<10 {
			t.Errorf("entry %d is number %d", i, e.Data[0])
		}
	}
}

func TestFollowOutlivesARestart(t *testing.T) {
	t.Parallel()
	r := startRestartable(t, embedded.Fsync)
	b := dial(t, Options{Server: r.URL()})
	setUp(t, b, SetupOptions{Partitions: 1})
	ctx, stop := context.WithCancel(t.Context())
	entries, ended := make(chan Entry, 100), make(chan error, 1)
	go func() { ended <- b.FollowLog(ctx, "r", 0, func(e Entry) { entries <- e }) }()
	var want []uint64
	for range 3 {
		put(t, b, "r")
		last, _, err := b.Last(t.Context(), b.Names().RunsStream(0), b.Names().LogOf(0, "r"))
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, last.Seq)
		if got := within(t, patience, entries); got.Seq != last.Seq {
			t.Fatalf("%d came, %d was stored", got.Seq, last.Seq)
		}
		r.restart()
	}
	stop()
	if err := within(t, patience, ended); err != nil {
		t.Error(err)
	}
	all, err := b.ReadLog(t.Context(), "r", 0)
	for errors.Is(err, ErrUnreachable) || errors.Is(err, nats.ErrNoResponders) { // just restarted
		all, err = b.ReadLog(t.Context(), "r", 0)
	}
	if err != nil || len(all) != len(want) {
		t.Errorf("%d entries, %v", len(all), err)
	}
}

func TestFollowLeavesNoConsumerBehind(t *testing.T) {
	t.Parallel()
	_, b := start(t, t.TempDir(), embedded.Interval)
	p := wire.Partition("r", b.Partitions())
	ctx, stop := context.WithCancel(t.Context())
	if _, err := b.PublishWait(t.Context(), b.Names().RunsStream(p), Message{Subject: b.Names().Log(p, "r", wire.KindPlan)}); err != nil {
		t.Fatal(err)
	}
	if err := b.FollowLog(ctx, "r", 0, func(Entry) { stop() }); err != nil {
		t.Fatal(err)
	}
	s, err := b.js.Stream(t.Context(), b.Names().RunsStream(p))
	if err != nil {
		t.Fatal(err)
	}
	if n := s.CachedInfo().State.Consumers; n != 1 {
		t.Errorf("%d consumers, the dispatcher's is one", n)
	}
}

func TestFollowWithoutStreamsIsAnError(t *testing.T) {
	t.Parallel()
	s := serve(t, embedded.Options{StoreDir: t.TempDir(), Durability: embedded.Interval})
	b := connect(t, s)
	b.partitions.Store(1)
	if err := b.FollowLog(t.Context(), "r", 0, func(Entry) {}); err == nil {
		t.Error("followed nothing")
	}
	if _, err := b.ReadLog(t.Context(), "r", 0); err == nil {
		t.Error("read nothing")
	}
	if _, err := b.LastSeq(t.Context(), 0); err == nil {
		t.Error("nothing has a last sequence")
	}
	if _, _, err := b.Last(t.Context(), b.Names().RunsStream(0), "belay.runs.0.r.plan"); err == nil {
		t.Error("nothing has a last message")
	}
	if _, err := b.Runs(t.Context(), 0); err == nil {
		t.Error("nothing has runs")
	}
	if _, err := b.Backlogs(t.Context()); err == nil {
		t.Error("nothing has backlogs")
	}
}

func TestRunsAndSubjects(t *testing.T) {
	t.Parallel()
	_, b := start(t, t.TempDir(), embedded.Interval)
	stream := b.Names().RunsStream(0)
	for _, s := range []string{"b.plan", "a.plan", "a.outcome", "a.result", "c.plan", "orphan.outcome"} {
		if _, err := b.PublishWait(t.Context(), stream, Message{Subject: "belay.runs.0." + s}); err != nil {
			t.Fatal(err)
		}
	}
	runs, err := b.Runs(t.Context(), 0)
	if want := []RunInfo{{"a", false}, {"b", true}, {"c", true}}; err != nil || !slices.Equal(runs, want) {
		t.Errorf("runs %v, %v", runs, err)
	}
	open, err := b.OpenRuns(t.Context(), 0)
	if err != nil || !slices.Equal(open, []string{"b", "c"}) {
		t.Errorf("open %v, %v", open, err)
	}
	subjects, err := b.Subjects(t.Context(), stream, b.Names().LogOf(0, "a"))
	if want := []string{"belay.runs.0.a.outcome", "belay.runs.0.a.plan", "belay.runs.0.a.result"}; err != nil || !slices.Equal(subjects, want) {
		t.Errorf("subjects %v, %v", subjects, err)
	}
	if seq, err := b.LastSeq(t.Context(), 0); err != nil || seq != 6 {
		t.Errorf("last sequence %d, %v", seq, err)
	}
	if none, err := b.Subjects(t.Context(), stream, b.Names().LogOf(0, "nobody")); err != nil || len(none) != 0 {
		t.Errorf("subjects of nobody %v, %v", none, err)
	}
}

func TestLastAndPurge(t *testing.T) {
	t.Parallel()
	_, b := start(t, t.TempDir(), embedded.Interval)
	stream, subject := b.Names().RunsStream(0), b.Names().Log(0, "r", wire.KindOutcome)
	if _, ok, err := b.Last(t.Context(), stream, subject); ok || err != nil {
		t.Fatalf("of an empty subject: %v, %v", ok, err)
	}
	for _, data := range []string{"one", "two"} {
		if _, err := b.PublishWait(t.Context(), stream, Message{Subject: subject, Header: map[string][]string{"Belay-Run-Id": {"r"}}, Data: []byte(data)}); err != nil {
			t.Fatal(err)
		}
	}
	put(t, b, "other")
	e, ok, err := b.Last(t.Context(), stream, subject)
	if err != nil || !ok || string(e.Data) != "two" || e.Seq != 2 || e.Subject != subject || e.Header["Belay-Run-Id"][0] != "r" || time.Since(e.Time) > time.Minute {
		t.Errorf("last is %+v, %v, %v", e, ok, err)
	}
	for _, wrong := range []string{"", ">", "*", "belayed.runs.>"} {
		if err := b.Purge(t.Context(), stream, wrong); err == nil {
			t.Errorf("purged %q", wrong)
		}
	}
	if err := b.Purge(t.Context(), stream, subject); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := b.Last(t.Context(), stream, subject); ok || err != nil {
		t.Errorf("after the purge: %v, %v", ok, err)
	}
	if all, err := b.Subjects(t.Context(), stream, b.Names().RunsSubjects(0)); err != nil || len(all) != 1 {
		t.Errorf("left are %v, %v", all, err)
	}
}
