package engine

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"belay/internal/bus/embedded"
	"belay/internal/dispatch"
)

// lines are log lines that a test waits for.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{}
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case l.more <- struct{}{}:
	default:
	}
	return l.text.Write(b)
}

func (l *lines) all() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *lines) await(t *testing.T, words string) {
	t.Helper()
	timeout := time.After(30 * time.Second)
	for !strings.Contains(l.all(), words) {
		select {
		case <-l.more:
		case <-timeout:
			t.Fatalf("after 30 s nobody has said %q:\n%s", words, l.all())
		}
	}
}

// TestWhatIsChangedIsSaid: a setting that somebody changes while everything runs is said once, makes the dispatcher unready while it
// endangers runs, and is said again when it is set back.
func TestWhatIsChangedIsSaid(t *testing.T) {
	t.Parallel()
	said := &lines{more: make(chan struct{}, 1)}
	r, err := Start(t.Context(), Options{
		Embedded: &embedded.Options{StoreDir: t.TempDir(), Durability: embedded.Interval}, Dispatch: &dispatch.Options{Name: "d1"},
		Logger: slog.New(slog.NewTextHandler(said, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Stop)
	js, err := jetstream.New(r.Bus.NATS())
	if err != nil {
		t.Fatal(err)
	}
	alter := func(name string, change func(*jetstream.StreamConfig)) {
		t.Helper()
		s, err := js.Stream(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		c := s.CachedInfo().Config
		change(&c)
		if _, err := js.UpdateStream(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	log := r.Bus.Names().RunsStream(0)
	alter(log, func(c *jetstream.StreamConfig) { c.MaxAge, c.AllowDirect = time.Hour, false })
	said.await(t, "allow_direct is false, Belay needs true")
	said.await(t, "max_age is 1h0m0s, Belay needs 0s")
	if err := r.Ready(); err == nil || !strings.Contains(err.Error(), "max_age") || len(r.Drift()) != 2 {
		t.Errorf("ready: %v, drift: %v", err, r.Drift())
	}
	alter(log, func(c *jetstream.StreamConfig) { c.MaxAge = 0 })
	said.await(t, "as it must be again")
	if err := r.Ready(); err != nil {
		t.Errorf("not ready, although it only takes longer: %v", err)
	}
	if n := strings.Count(said.all(), "allow_direct is false"); n != 1 {
		t.Errorf("said %d times", n)
	}
}
