package handoff

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"belay/internal/bus"
	"belay/internal/people"
	"belay/internal/runlog"
	"belay/internal/steps"
	"belay/internal/steps/view"
	"belay/internal/wire"
)

// many submits runs that wait for approval, and gives the list of their questions.
func many(t *testing.T, l *office, n int) []Chosen {
	t.Helper()
	list := make([]Chosen, n)
	for i := range list {
		list[i].ID = held(t, l, fmt.Sprintf("run%d", i), steps.Approval{})
	}
	return list
}

// crew carries redrives out until stop, which waits for them.
func crew(t *testing.T, l *office) (b *Redrives, stop func()) {
	t.Helper()
	b = NewRedrives(l.bus, l.desk)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	stopped := false
	stop = func() {
		if cancel(); !stopped {
			<-ended
		}
		stopped = true
	}
	t.Cleanup(stop)
	return b, stop
}

// start begins a redrive; a dispatcher that is just starting says to try again.
func start(t *testing.T, b *Redrives, list []Chosen, a people.Act) Redrive {
	t.Helper()
	for {
		s, err := b.Start(t.Context(), people.Trusted("mia", "console"), list, a)
		if err == nil {
			return s
		}
		if !strings.Contains(err.Error(), "stopping") {
			t.Fatal(err)
		}
	}
}

// ended follows a redrive by its bucket until it ends.
func ended(t *testing.T, l *office, b *Redrives, id string) Redrive {
	t.Helper()
	bucket, err := OpenRedrives(t.Context(), l.bus)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	last, err := b.Get(ctx, id)
	watched := bucket.Watch(ctx, func(bus.Item) {
		if err == nil && last.State == RedriveRunning { // what comes after the end was on its way before it
			last, err = b.Get(ctx, id)
		}
		if err != nil || last.State != RedriveRunning {
			cancel()
		}
	}, nil)
	if err := errors.Join(watched, err); err != nil {
		t.Fatal(err)
	}
	if last.State == RedriveRunning {
		t.Fatalf("it does not end: %+v", last)
	}
	return last
}

func open(t *testing.T, runs *runlog.Log, list []Chosen) (n int) {
	t.Helper()
	for _, c := range list {
		run, _ := steps.RunOfEscalation(c.ID)
		s, err := runs.Load(t.Context(), run)
		if err != nil {
			t.Fatal(err)
		}
		if s.Escalations[0].State == steps.EscalationOpen {
			n++
		}
	}
	return n
}

func TestManyAreDecidedInWaves(t *testing.T) {
	t.Parallel()
	l, _ := newLog(t)
	list := many(t, l, 6)
	list[4].Revision = 99
	b, _ := crew(t, l)
	s := start(t, b, list, people.Act{Verb: "reject", Reason: "a mistake"})
	if s.State != RedriveRunning || len(s.Items) != 6 || s.Items[5].Result != ItemWaiting {
		t.Errorf("%+v", s)
	}
	s = ended(t, l, b, s.ID)
	var got []string
	for _, it := range s.Items {
		got = append(got, fmt.Sprint(it.Wave, " ", it.Result))
	}
	if want := "1 done, 2 done, 2 done, 3 done, 3 refused, 3 done"; strings.Join(got, ", ") != want || s.State != RedriveDone || s.By != "mia" || s.Ended.IsZero() {
		t.Errorf("%v, %+v; want %s", got, s, want)
	}
	if n := open(t, l.desk.Runs, list); n != 1 {
		t.Errorf("%d are open, want the one that is not what was shown", n)
	}
	other, err := NewRedrives(l.bus, l.desk).Get(t.Context(), s.ID)
	if err != nil || other.State != RedriveDone || len(other.Counts()) != 2 {
		t.Errorf("another dispatcher shows %+v, %v", other, err)
	}
}

// TestARedriveIsStoppedFromElsewhere: by somebody at another dispatcher, after the decision that is on its way.
func TestARedriveIsStoppedFromElsewhere(t *testing.T) {
	t.Parallel()
	l, _ := newLog(t)
	list := many(t, l, 40)
	b, _ := crew(t, l)
	elsewhere := NewRedrives(l.bus, l.desk)
	stopping := make(chan struct{})
	ids := make(chan string, 1)
	l.desk.Acted = func(ctx context.Context, _ people.Actor, _ people.Act, _ Done) {
		select {
		case <-stopping:
			return
		default:
		}
		close(stopping)
		id := <-ids
		if _, err := elsewhere.Stop(ctx, people.Actor{Name: "eve", Role: people.Viewer}, id); !errors.Is(err, people.ErrForbidden) {
			t.Errorf("eve: %v", err)
		}
		if _, err := elsewhere.Stop(ctx, people.Trusted("bo", ""), id); err != nil {
			t.Error(err)
		}
	}
	s := start(t, b, list, people.Act{Verb: "reject", Reason: "a mistake"})
	ids <- s.ID
	s = ended(t, l, b, s.ID)
	n := s.Counts()
	left := n[ItemNotReached]
	if s.State != RedriveStopped || s.StoppedBy != "bo" || left < 20 || left+n[string(view.FateDone)]+n[string(view.FateUnderWay)] != 40 {
		t.Errorf("%s by %s, %v", s.State, s.StoppedBy, n)
	}
	if got := open(t, l.desk.Runs, list); got != left {
		t.Errorf("%d are open, and it says that %d were not reached", got, left)
	}
	if again, err := b.Stop(t.Context(), people.Trusted("mia", ""), s.ID); err != nil || again.StoppedBy != "bo" {
		t.Errorf("%+v, %v", again, err)
	}
}

// TestADispatcherThatEndsInARedrive leaves the rest as it was, and says so; one that is killed says nothing, and is found out.
func TestADispatcherThatEndsInARedrive(t *testing.T) {
	t.Parallel()
	l, _ := newLog(t)
	list := many(t, l, 20)
	b, stop := crew(t, l)
	first := make(chan struct{}, len(list))
	l.desk.Acted = func(context.Context, people.Actor, people.Act, Done) { first <- struct{}{} }
	id := start(t, b, list, people.Act{Verb: "reject", Reason: "a mistake"}).ID
	<-first
	stop()
	s, err := NewRedrives(l.bus, l.desk).Get(t.Context(), id)
	n := s.Counts()
	if err != nil || s.State != RedriveInterrupted || n[ItemWaiting] != 0 || n[ItemNotReached] == 0 || open(t, l.desk.Runs, list) != n[ItemNotReached] {
		t.Errorf("%s, %v, %v", s.State, n, err)
	}
	if _, err := b.Start(t.Context(), people.Trusted("mia", ""), list[19:], people.Act{Verb: "reject", Reason: "x"}); err == nil {
		t.Error("a dispatcher that has ended begins a redrive")
	}
	killed := &redriving{of: b, Redrive: Redrive{ID: "01936f2a-7c1e-7b3a-9d40-5e0192f3a7b1", Verb: "retry", State: RedriveRunning}}
	if killed.bucket, err = OpenRedrives(t.Context(), l.bus); err == nil {
		err = killed.save(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	for after, want := range map[time.Duration]RedriveState{redriveGone / 2: RedriveRunning, 2 * redriveGone: RedriveInterrupted} {
		l.desk.Now = func() time.Time { return time.Now().Add(after) }
		if s, err := b.Get(t.Context(), killed.ID); err != nil || s.State != want {
			t.Errorf("after %s it is %s, %v; want %s", after, s.State, err, want)
		}
	}
}

func TestWhatIsNoRedrive(t *testing.T) {
	t.Parallel()
	l, _ := newLog(t)
	list := many(t, l, 1)
	b, _ := crew(t, l)
	for name, c := range map[string]struct {
		who  people.Actor
		list []Chosen
		act  people.Act
		want error
	}{
		"approvals":   {people.Trusted("mia", ""), list, people.Act{Verb: "approve"}, ErrNotAllowed},
		"edits":       {people.Trusted("mia", ""), list, people.Act{Verb: "edit"}, ErrNotAllowed},
		"of a viewer": {people.Actor{Name: "eve", Role: people.Viewer}, list, people.Act{Verb: "retry"}, people.ErrForbidden},
		"of nothing":  {people.Trusted("mia", ""), nil, people.Act{Verb: "retry"}, ErrInvalid},
		"of too much": {people.Trusted("mia", ""), make([]Chosen, MaxRedrive+1), people.Act{Verb: "retry"}, ErrInvalid},
	} {
		if _, err := b.Start(t.Context(), c.who, c.list, c.act); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, id := range []string{"", "x", "01936f2a-7c1e-7b3a-9d40-5e0192f3a7b1"} {
		if _, err := b.Get(t.Context(), id); !errors.Is(err, ErrNoRedrive) {
			t.Errorf("%q: %v", id, err)
		}
	}
}

// TestARedriveThatDoesNotHelp stops by itself, and says where its runs stopped again.
func TestARedriveThatDoesNotHelp(t *testing.T) {
	t.Parallel()
	l, _ := newLog(t)
	list := fetching(t, l, 3, steps.OnFailureEscalate)
	l.worked(t, unmailed)
	b, _ := crew(t, l)
	s := ended(t, l, b, start(t, b, list, people.Act{Verb: "skip"}).ID)
	if s.State != RedriveCameBack || s.Summary != "1 skipped, 1 of them stopped again at mail: cannot fetch parcel from null; 2 not touched" || !strings.Contains(s.Note, "did not help") {
		t.Errorf("%s: %s (%s)", s.State, s.Summary, s.Note)
	}
	if s.Items[0].Next != "run0-2" || s.Counts()["done"] != 0 {
		t.Errorf("%+v", s.Items)
	}
}

// TestARedriveEndsWithTheRightsOfWhoBeganIt: they are asked for at every decision.
func TestARedriveEndsWithTheRightsOfWhoBeganIt(t *testing.T) {
	t.Parallel()
	l, _ := newLog(t)
	list := fetching(t, l, 4, steps.OnFailureEscalate)
	l.worked(t, mailed)
	b, _ := crew(t, l)
	var revoked atomic.Bool
	who := people.Actor{Name: "mia", Role: people.Approver, Valid: func() error {
		if revoked.Load() {
			return errors.New("the token has been revoked")
		}
		return nil
	}}
	mail := l.desk.Acted
	l.desk.Acted = func(ctx context.Context, who people.Actor, a people.Act, d Done) {
		mail(ctx, who, a, d)
		revoked.Store(true)
	}
	var s Redrive
	err := errEnding
	for errors.Is(err, errEnding) {
		s, err = b.Start(t.Context(), who, list, people.Act{Verb: "skip"})
	}
	if err != nil {
		t.Fatal(err)
	}
	s = ended(t, l, b, s.ID)
	if s.State != RedriveRefused || !strings.HasPrefix(s.Summary, "1 skipped; 1 refused: you may not do this: the token has been revoked; 2 not touched") {
		t.Errorf("%s: %s", s.State, s.Summary)
	}
	if n := open(t, l.Log, list); n != 3 {
		t.Errorf("%d are open, want 3", n)
	}
}

// TestADeadLetterThatStaysUnreadable: reading it again with the same program does not help.
func TestADeadLetterThatStaysUnreadable(t *testing.T) {
	t.Parallel()
	l, b := newLog(t)
	failing(t, l, "run")
	p := wire.Partition("run", b.Partitions())
	garbage := bus.Message{Subject: b.Names().Log(p, "run", wire.KindOutcome), Header: map[string][]string{}, Data: []byte("{")}
	seq, err := b.PublishWait(t.Context(), b.Names().RunsStream(p), garbage)
	if err != nil {
		t.Fatal(err)
	}
	letter := []Chosen{{ID: steps.DeadLetterID("run", seq)}}
	got, err := redriven(t, l, letter, "retry", long)
	if !errors.Is(err, ErrCameBack) || got[0].Result != "back" || got[0].Next != letter[0].ID {
		t.Errorf("retry: %+v, %v", got, err)
	}
	if got, err = redriven(t, l, letter, "skip", long); err != nil || got[0].Result != "done" {
		t.Errorf("skip: %+v, %v", got, err)
	}
}
