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
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"belay/internal/handoff"
)

// The ways in which a channel does not work.
var broken = []channelFunc{
	func(context.Context, Notice) error { return permanent("gone") },
	func(context.Context, Notice) error { return temporary("not now") },
	func(context.Context, Notice) error { return errors.New("broken") },
	func(context.Context, Notice) error {
		return &Failure{Temporary: true, RetryAfter: time.Hour, Err: errors.New("too many")}
	},
	func(ctx context.Context, _ Notice) error { <-ctx.Done(); return temporary("%w", ctx.Err()) },
}

// office is people who hear by the channels that work, and a storm of items.
type office struct {
	Policy
	items    []handoff.Item // all that will ever be opened
	channels map[string]Channel

	mu    sync.Mutex
	sent  []Sent
	under map[string]Notice
	heard map[string]time.Time // by item: when a notice about it arrived first
}

// drawOffice leaves at least one channel working, of whichever tier.
func drawOffice(t *rapid.T) *office {
	o := &office{channels: map[string]Channel{}, under: map[string]Notice{}, heard: map[string]time.Time{}}
	var names []string
	for i := range rapid.IntRange(1, 3).Draw(t, "tiers") {
		own := []string{fmt.Sprint("a", i), fmt.Sprint("b", i)}[:rapid.IntRange(1, 2).Draw(t, "channels")]
		o.Tiers = append(o.Tiers, Tier{Name: fmt.Sprint("tier", i), Notify: own, After: time.Duration(i) * 10 * minute, Remind: minutes(t, "remind", 0, 2) * 10})
		names = append(names, own...)
	}
	works := rapid.SampledFrom(names).Draw(t, "works")
	for _, name := range names {
		if how := rapid.IntRange(0, len(broken)).Draw(t, name); name != works && how < len(broken) {
			o.channels[name] = broken[how]
			continue
		}
		o.channels[name] = channelFunc(o.hear)
	}
	for i := range rapid.IntRange(1, 150).Draw(t, "items") {
		fingerprint := rapid.SampledFrom([]string{"", "f", "g"}).Draw(t, "fingerprint")
		it := opened(fmt.Sprint("i", i), fingerprint, time.Time{}.Add(seconds(t, "opened", 0, 150))) // from when the test begins
		o.items = append(o.items, it)
	}
	slices.SortFunc(o.items, func(a, b handoff.Item) int { return a.Opened.Compare(b.Opened) })
	return o
}

func (o *office) hear(_ context.Context, n Notice) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, it := range o.items {
		if _, before := o.heard[it.ID]; !before && n.tells((*item)(&it)) {
			o.heard[it.ID] = time.Now()
		}
	}
	return nil
}

// reported remembers what was said, as a caller does.
func (o *office) reported(r Report) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if r.Outcome == Delivered {
		o.sent = append(o.sent, o.under[r.Notice].Records...)
	}
	if r.Over {
		delete(o.under, r.Notice)
	}
}

// look hands out what is due of the items that are open by now.
func (o *office) look(s *Sender) {
	o.mu.Lock()
	open := slices.IndexFunc(o.items, func(it handoff.Item) bool { return it.Opened.After(time.Now()) })
	if open < 0 {
		open = len(o.items)
	}
	sent := slices.Clone(o.sent)
	for _, n := range o.under {
		sent = append(sent, n.Records...)
	}
	due := o.Look(o.items[:open], sent, time.Now())
	for _, n := range due.Notices {
		o.under[n.ID] = n
	}
	o.mu.Unlock()
	for _, n := range due.Notices {
		s.Send(n)
	}
}

// storm lets four minutes pass.
func (o *office) storm() (late []string) {
	begun := time.Now()
	for i := range o.items {
		o.items[i].Opened = begun.Add(o.items[i].Opened.Sub(time.Time{}))
	}
	s := NewSender(o.channels, o.reported, slog.New(slog.DiscardHandler))
	for range 240 {
		o.look(s)
		time.Sleep(time.Second)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	s.Stop(ctx)
	for _, it := range o.items {
		if at, ok := o.heard[it.ID]; !ok || at.Sub(it.Opened) > time.Minute {
			late = append(late, fmt.Sprintf("%s, opened after %s: heard %v after %s", it.ID, it.Opened.Sub(begun), ok, at.Sub(it.Opened)))
		}
	}
	return late
}

// TestEveryEscalationIsHeardOfWithinAMinute: in any storm, whatever channels fail, as long as one works.
func TestEveryEscalationIsHeardOfWithinAMinute(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		o := drawOffice(r)
		var late []string
		synctest.Test(t, func(*testing.T) { late = o.storm() })
		if len(late) > 0 {
			r.Fatalf("%d of %d were not heard of in time:\n%s", len(late), len(o.items), strings.Join(late, "\n"))
		}
	})
}

// spared is a notice with channels to fall back on.
func spared(id string, spare ...string) Notice {
	return Notice{ID: id, Channels: []string{"chat"}, Spare: spare, Count: 1, Tier: "ops"}
}

// withTwo has a chat that does what a test wants, and mails that work.
func withTwo(t *testing.T, chat channelFunc, test func(*diary, *Sender)) (logged string) {
	works := channelFunc(func(context.Context, Notice) error { return nil })
	return withSender(t, func(*diary) map[string]Channel {
		return map[string]Channel{"chat": chat, "mail": works, "pager": works}
	}, test)
}

func TestTheNextChannelTakesOver(t *testing.T) {
	t.Parallel()
	var back atomic.Bool
	chat := func(context.Context, Notice) error {
		if !back.Load() {
			return temporary("not now")
		}
		return nil
	}
	logged := withTwo(t, chat, func(d *diary, s *Sender) {
		s.Send(spared("a", "mail", "pager"))
		time.Sleep(10 * time.Second)
		back.Store(true)
		time.Sleep(time.Hour)
		d.want(t, "0s mail a: <nil>", "15s chat a: <nil>") // and the first one, once it is back
	})
	if !strings.Contains(logged, `notice not delivered yet; trying again" notice=a channel=chat tier=ops`) || !strings.Contains(logged, "next=mail") {
		t.Error(logged)
	}
}

func TestAChannelThatHangsIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	hangs := func(ctx context.Context, _ Notice) error { <-ctx.Done(); return temporary("%w", ctx.Err()) }
	withTwo(t, hangs, func(d *diary, s *Sender) {
		s.Send(spared("a", "mail", "pager"))
		time.Sleep(9 * time.Second)
		d.want(t, "4s mail a: <nil>")
	})
}

func TestAChannelThatWorksNeedsNoOther(t *testing.T) {
	t.Parallel()
	withTwo(t, func(context.Context, Notice) error { return nil }, func(d *diary, s *Sender) {
		s.Send(spared("a", "mail", "pager"))
		time.Sleep(time.Hour)
		d.want(t, "0s chat a: <nil>")
	})
}

// TestReportsSayWhenANoticeIsOver: with the last channel that has it, the spare ones among them.
func TestReportsSayWhenANoticeIsOver(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var got []string
	synctest.Test(t, func(t *testing.T) {
		s := NewSender(map[string]Channel{"chat": broken[0], "mail": broken[0], "hook": broken[1]}, func(r Report) {
			mu.Lock()
			defer mu.Unlock()
			got = append(got, fmt.Sprint(r.Channel, " ", r.Outcome, " ", r.Over))
		}, slog.New(slog.NewTextHandler(&bytes.Buffer{}, nil)))
		s.Send(spared("a", "nowhere", "mail", "hook"))
		time.Sleep(time.Hour)
		s.Stop(t.Context())
	})
	over := slices.DeleteFunc(slices.Clone(got), func(line string) bool { return !strings.HasSuffix(line, "true") })
	if len(got) != 13 || len(over) != 1 || got[12] != "hook given_up true" {
		t.Errorf("%q", got)
	}
}
