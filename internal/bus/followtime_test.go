package bus

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"
)

// said is what was logged.
type said struct {
	mu  sync.Mutex
	out bytes.Buffer
}

func (s *said) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.Write(b)
}

func (s *said) times(text string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Count(s.out.String(), text)
}

// TestOfTwoAnswers the quicker one tells the time better, for as long as the other one does not contradict it.
func TestOfTwoAnswers(t *testing.T) {
	t.Parallel()
	now := time.Now()
	quick := NewClock(now, now, now.Add(2*time.Millisecond))
	slow := NewClock(now.Add(1100*time.Millisecond), now.Add(time.Second), now.Add(1200*time.Millisecond))
	if got := slow.after(&quick); got != quick {
		t.Error("a slow answer that says the same replaces a quick one")
	}
	if got := quick.after(&slow); got != quick {
		t.Error("a quick answer does not replace a slow one")
	}
	set := NewClock(now.Add(time.Hour), now.Add(time.Second), now.Add(1200*time.Millisecond))
	if got := set.after(&quick); got != set {
		t.Error("the server's clock was set, and that is not believed")
	}
	late := NewClock(now.Add(time.Hour), now.Add(time.Hour), now.Add(time.Hour+20*time.Millisecond))
	if got := late.after(&quick); got != late {
		t.Error("what was known an hour ago is taken for better than what is known now")
	}
	if got := quick.after(nil); got != quick {
		t.Error("the first answer does not count")
	}
}

// TestThereAndBack: a moment of the server's time is turned into one of this process, and is never early.
func TestThereAndBack(t *testing.T) {
	t.Parallel()
	now := time.Now()
	c := NewClock(now.Add(-time.Hour), now, now.Add(10*time.Millisecond))
	at := now.Add(-time.Hour + time.Minute)
	if here := c.Here(at); c.Earliest(here).Before(at) || !c.Earliest(here).Equal(at) {
		t.Errorf("%v there is %v here, which is %v there", at, here, c.Earliest(here))
	}
	if got := c.Now(now.Add(10 * time.Millisecond)); !got.Equal(now.Add(-time.Hour + 5*time.Millisecond)) {
		t.Errorf("now is %v", got)
	}
	if c.Within() != 5*time.Millisecond {
		t.Errorf("within %v", c.Within())
	}
}

// TestAWrongClockIsToldOnce, and once that it is right again.
func TestAWrongClockIsToldOnce(t *testing.T) {
	t.Parallel()
	out := &said{}
	b := &Bus{logger: slog.New(slog.NewTextHandler(out, nil)), doubt: make(chan struct{}, 1)}
	b.clock.Store(&Clock{})
	ask := func(ahead time.Duration) {
		now := time.Now()
		b.noteTime(now.Add(-ahead), now)
	}
	for _, ahead := range []time.Duration{900 * time.Millisecond, 90 * time.Second, time.Hour, -time.Hour, 800 * time.Millisecond, 100 * time.Millisecond, 0} {
		ask(ahead)
	}
	if n := out.times("is wrong"); n != 1 {
		t.Errorf("said %d times that the clock is wrong:\n%s", n, &out.out)
	}
	if n := out.times("right again"); n != 1 {
		t.Errorf("said %d times that it is right again:\n%s", n, &out.out)
	}
	if !strings.Contains(out.out.String(), "1m30s ahead of the server's") {
		t.Errorf("how wrong is not said:\n%s", &out.out)
	}
}

// TestAServerWhoseClockIsSet is asked at once: an entry that comes from the future, or late, says so.
func TestAServerWhoseClockIsSet(t *testing.T) {
	t.Parallel()
	_, b := start(t, t.TempDir(), "")
	until := func(what string, is func() bool) {
		t.Helper()
		for end := time.Now().Add(30 * time.Second); !is(); {
			if time.Now().After(end) {
				t.Fatal(what)
			}
			<-time.After(10 * time.Millisecond)
		}
	}
	for _, by := range []time.Duration{time.Hour, -time.Hour} {
		now := time.Now()
		wrong := NewClock(now.Add(by), now, now)
		b.clock.Store(&wrong)
		b.Arrived(now)
		until("nobody asks what time it is", func() bool { c := b.Clock(); return max(c.Ahead(), -c.Ahead()) < time.Minute })
	}
}

// TestAServerInThisProcess has its clock: how long the answer took makes nothing uncertain, or every timer would come later.
func TestAServerInThisProcess(t *testing.T) {
	t.Parallel()
	b := &Bus{logger: slog.New(slog.DiscardHandler), opening: "this process"}
	b.clock.Store(&Clock{})
	now := time.Now()
	b.noteTime(now.Add(-time.Second), now.Add(-3*time.Second))
	c := b.Clock()
	if !c.Known() || c.Within() != 0 {
		t.Errorf("known %v, within %v", c.Known(), c.Within())
	}
	at := now.Add(time.Hour)
	if off := c.Here(at.Round(0)).Sub(at).Abs(); off > 500*time.Millisecond { // this machine's two clocks never quite agree
		t.Errorf("it comes at %v, not at %v", c.Here(at.Round(0)), at)
	}
}
