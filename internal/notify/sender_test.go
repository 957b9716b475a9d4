package notify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// channelFunc is a channel that does what a test wants.
type channelFunc func(ctx context.Context, n Notice) error

func (f channelFunc) Send(ctx context.Context, n Notice) error { return f(ctx, n) }

// diary notes what happens, with the time since it was begun.
type diary struct {
	mu    sync.Mutex
	begun time.Time
	lines []string
}

func (d *diary) note(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, time.Since(d.begun).String()+" "+fmt.Sprintf(format, args...))
}

// report notes how notices ended; single attempts are the channels' to note.
func (d *diary) report(r Report) {
	if r.Outcome != Failed {
		d.note("%s %s: %v", r.Channel, r.Notice, r.Err)
	}
}

func (d *diary) all() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.lines)
}

func (d *diary) want(t *testing.T, lines ...string) {
	t.Helper()
	if diff := cmp.Diff(lines, d.all()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// withSender runs a test in a time of its own, with a sender that is stopped in the end.
func withSender(t *testing.T, channels func(*diary) map[string]Channel, test func(*diary, *Sender)) (logged string) {
	var out bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		d := &diary{begun: time.Now()}
		s := NewSender(channels(d), d.report, slog.New(slog.NewTextHandler(&out, nil)))
		defer s.Stop(t.Context())
		test(d, s)
	})
	return out.String()
}

func to(id string, channels ...string) Notice { return Notice{ID: id, Channels: channels} }

func TestATemporaryFailureIsTriedAgain(t *testing.T) {
	t.Parallel()
	attempts := 0
	withSender(t, func(d *diary) map[string]Channel {
		return map[string]Channel{"chat": channelFunc(func(_ context.Context, n Notice) error {
			if attempts++; attempts < 4 {
				d.note("attempt")
				return temporary("not now")
			}
			return nil
		})}
	}, func(d *diary, s *Sender) {
		s.Send(to("a", "chat"))
		time.Sleep(time.Hour)
		d.want(t, "0s attempt", "1s attempt", "3s attempt", "7s chat a: <nil>")
	})
}

func TestWhatNeverSucceedsIsGivenUp(t *testing.T) {
	t.Parallel()
	attempts := 0
	logged := withSender(t, func(*diary) map[string]Channel {
		return map[string]Channel{"chat": channelFunc(func(context.Context, Notice) error { attempts++; return errors.New("broken") })}
	}, func(d *diary, s *Sender) {
		s.Send(to("a", "chat"))
		time.Sleep(time.Hour)
		d.want(t, "4m3s chat a: broken")
	})
	if attempts != maxAttempts || strings.Count(logged, "level=ERROR") != 1 || !strings.Contains(logged, "channel=chat") {
		t.Errorf("%d attempts, logged: %s", attempts, logged)
	}
}

func TestAPermanentFailureIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	withSender(t, func(*diary) map[string]Channel {
		return map[string]Channel{"chat": channelFunc(func(context.Context, Notice) error { return permanent("no such room") })}
	}, func(d *diary, s *Sender) {
		s.Send(to("a", "chat", "nowhere"))
		time.Sleep(time.Hour)
		d.want(t, `0s nowhere a: there is no channel "nowhere": name it in the notify file`, "0s chat a: no such room")
	})
}

// TestOneNoticeThatFailsHoldsUpNoOther: not in its channel, and a channel that hangs not in others.
func TestOneNoticeThatFailsHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	withSender(t, func(*diary) map[string]Channel {
		return map[string]Channel{
			"chat": channelFunc(func(_ context.Context, n Notice) error {
				if n.ID == "bad" {
					return temporary("refused")
				}
				return nil
			}),
			"hangs": channelFunc(func(ctx context.Context, _ Notice) error { <-ctx.Done(); return temporary("%w", ctx.Err()) }),
		}
	}, func(d *diary, s *Sender) {
		for _, id := range []string{"bad", "a", "b"} {
			s.Send(to(id, "hangs", "chat"))
		}
		time.Sleep(9 * time.Second)
		d.want(t, "0s chat a: <nil>", "0s chat b: <nil>")
	})
}

// TestAnOldNoticeIsGivenUp: behind a channel that hangs, notices do not gather for ever.
func TestAnOldNoticeIsGivenUp(t *testing.T) {
	t.Parallel()
	done := 0
	withSender(t, func(*diary) map[string]Channel {
		return map[string]Channel{"hangs": channelFunc(func(ctx context.Context, _ Notice) error { <-ctx.Done(); return temporary("%w", ctx.Err()) })}
	}, func(d *diary, s *Sender) {
		for range 200 {
			s.Send(to("x", "hangs"))
		}
		time.Sleep(maxAge + 200*sendTimeout + time.Second)
		done = len(d.all())
	})
	if done != 200 {
		t.Errorf("%d of 200 are over", done)
	}
}

func TestRetryAfterHoldsTheWholeChannel(t *testing.T) {
	t.Parallel()
	first := true
	withSender(t, func(d *diary) map[string]Channel {
		return map[string]Channel{"chat": channelFunc(func(context.Context, Notice) error {
			if first {
				first = false
				return &Failure{Temporary: true, RetryAfter: 90 * time.Second, Err: errors.New("too many")}
			}
			return nil
		})}
	}, func(d *diary, s *Sender) {
		for _, id := range []string{"a", "b"} {
			s.Send(to(id, "chat"))
		}
		time.Sleep(30 * time.Second)
		s.Send(to("c", "chat"))
		time.Sleep(time.Hour)
		d.want(t, "1m30s chat b: <nil>", "1m30s chat a: <nil>", "1m30s chat c: <nil>")
	})
}

func TestARetryAfterOfAYearIsNotKept(t *testing.T) {
	t.Parallel()
	attempts := 0
	withSender(t, func(d *diary) map[string]Channel {
		return map[string]Channel{"chat": channelFunc(func(context.Context, Notice) error {
			if attempts++; attempts == 1 {
				return &Failure{Temporary: true, RetryAfter: 365 * 24 * time.Hour, Err: errors.New("too many")}
			}
			return nil
		})}
	}, func(d *diary, s *Sender) {
		s.Send(to("a", "chat"))
		time.Sleep(time.Hour)
		d.want(t, "5m0s chat a: <nil>")
	})
}

func TestStopWaitsForWhatIsQueued(t *testing.T) {
	t.Parallel()
	attempts := 0
	withSender(t, func(d *diary) map[string]Channel {
		return map[string]Channel{"chat": channelFunc(func(_ context.Context, n Notice) error {
			if attempts++; attempts == 1 {
				return temporary("not now")
			}
			return nil
		})}
	}, func(d *diary, s *Sender) {
		s.Send(to("a", "chat"))
		s.Send(to("b", "chat"))
		s.Stop(context.Background())
		s.Send(to("late", "chat"))
		d.want(t, "0s chat b: <nil>", "1s chat a: <nil>", "1s chat late: "+ErrStopped.Error())
	})
}

func TestStopGivesUpInTheEnd(t *testing.T) {
	t.Parallel()
	withSender(t, func(*diary) map[string]Channel {
		return map[string]Channel{
			"fails": channelFunc(func(context.Context, Notice) error { return temporary("not now") }),
			"hangs": channelFunc(func(ctx context.Context, _ Notice) error { <-ctx.Done(); return temporary("%w", ctx.Err()) }),
		}
	}, func(d *diary, s *Sender) {
		s.Send(to("a", "fails"))
		s.Send(to("b", "hangs"))
		s.Send(to("c", "hangs"))
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		s.Stop(ctx)
		for _, line := range d.all() {
			if !strings.HasPrefix(line, "5s ") || !strings.HasSuffix(line, ErrStopped.Error()) {
				t.Error(line)
			}
		}
		if all := d.all(); len(all) != 3 {
			t.Errorf("not all of 3 were given up: %q", all)
		}
	})
}
