package notify

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"belay/internal/handoff"
	"belay/internal/steps"
)

// change is something that happens to an item.
type change struct {
	at time.Duration
	id string
	do func(*handoff.Item)
}

// script is a whole story, made by chance.
type script struct {
	policy  Policy
	items   []handoff.Item
	changes []change
}

func drawScript(t *rapid.T) script {
	var s script
	for i := range rapid.IntRange(1, 3).Draw(t, "tiers") {
		s.policy.Tiers = append(s.policy.Tiers, Tier{
			Name: fmt.Sprint("tier", i), Notify: []string{"shared", fmt.Sprint("own", i)}[:rapid.IntRange(1, 2).Draw(t, "channels")],
			After: time.Duration(i) * minutes(t, "after", 0, 10), Remind: minutes(t, "remind", 0, 3) * 10,
		})
	}
	s.policy.PerMinute = rapid.IntRange(1, 6).Draw(t, "per minute")
	for i := range rapid.IntRange(1, 12).Draw(t, "items") {
		s.draw(t, fmt.Sprintf("i%02d", i))
	}
	slices.SortStableFunc(s.changes, func(a, b change) int { return cmp.Compare(a.at, b.at) })
	return s
}

func minutes(t *rapid.T, what string, from, to int) time.Duration {
	return time.Duration(rapid.IntRange(from, to).Draw(t, what)) * time.Minute
}

func seconds(t *rapid.T, what string, from, to int) time.Duration {
	return time.Duration(rapid.IntRange(from, to).Draw(t, what)) * time.Second
}

// draw makes an item and what happens to it.
func (s *script) draw(t *rapid.T, id string) {
	from := seconds(t, "opened", 0, 3600)
	it := opened(id, rapid.SampledFrom([]string{"", "f", "g"}).Draw(t, "fingerprint"), ten.Add(from))
	it.Tier = rapid.SampledFrom([]int{0, 0, 1, 9}).Draw(t, "tier")
	if rapid.Bool().Draw(t, "has deadline") {
		it.Deadline = new(it.Opened.Add(seconds(t, "deadline", 1, 7200)))
		it.OnExpiry = rapid.SampledFrom([]steps.OnExpiry{"escalate", "reject"}).Draw(t, "on deadline")
	}
	s.items = append(s.items, it)
	s.changes = append(s.changes, change{from, id, nil})
	at := from
	for range rapid.IntRange(0, 3).Draw(t, "changes") {
		at += seconds(t, "after", 0, 1800)
		end := ten.Add(at + seconds(t, "for", 1, 1800))
		s.changes = append(s.changes, change{at, id, rapid.SampledFrom([]func(*handoff.Item){
			func(it *handoff.Item) { it.Lease = &handoff.Claim{By: "ann", Until: end} },
			func(it *handoff.Item) { it.Snoozed = end },
			release,
			func(it *handoff.Item) { it.State = steps.EscalationDecided },
		}).Draw(t, "change")})
	}
}

// release gives a claim back; of one that has run out the end stays known.
func release(it *handoff.Item) { it.Lease = nil }

// play tells the whole story to a fresh world; after every look it calls check.
func (s *script) play(check func(*world)) *world {
	w := newWorld()
	w.Policy = s.policy
	for i, c := range s.changes {
		w.untilChecked(c.at, check)
		w.apply(s, c)
		if i+1 == len(s.changes) || s.changes[i+1].at > c.at {
			w.look()
			check(w)
		}
	}
	w.untilChecked(150*time.Minute, check)
	return w
}

func (w *world) untilChecked(at time.Duration, check func(*world)) {
	end := ten.Add(at)
	for !w.next.IsZero() && w.next.Before(end) {
		if !w.next.After(w.now) {
			panic("the next look is not later than this one")
		}
		w.now = w.next
		w.look()
		check(w)
	}
	w.now = end
}

func (w *world) apply(s *script, c change) {
	i := slices.IndexFunc(w.items, func(it handoff.Item) bool { return it.ID == c.id })
	switch {
	case c.do == nil:
		all := slices.IndexFunc(s.items, func(it handoff.Item) bool { return it.ID == c.id })
		w.items = append(w.items, s.items[all])
	case i >= 0:
		claimed := w.items[i].Lease != nil
		c.do(&w.items[i])
		if claimed && w.items[i].Lease == nil {
			w.released[c.id] = ten.Add(c.at)
		}
		if w.items[i].State == steps.EscalationDecided {
			w.items = slices.Delete(w.items, i, i+1)
		}
	}
}

// waits lists the items that wait for anybody now, with the time from which they do.
func (w *world) waits() map[*item]time.Time {
	all := map[*item]time.Time{}
	for i := range w.items {
		it := (*item)(&w.items[i])
		if since := it.quietUntil(); !w.now.Before(since) && !it.over(w.now) {
			all[it] = since
		}
	}
	return all
}

// lately is the end of what was notified, a line each.
func (w *world) lately() string {
	lines := w.lines()
	return strings.Join(lines[max(0, len(lines)-30):], "\n")
}

// lastNotified is when the tier was last notified of the item.
func (w *world) lastNotified(tier string, it *item) time.Time {
	for _, n := range slices.Backward(w.notices) {
		if n.Tier == tier && n.tells(it) {
			return n.At
		}
	}
	return time.Time{}
}

func (n *Notice) tells(it *item) bool {
	return slices.ContainsFunc(n.Records, func(s Sent) bool { return s.Names(it.ID, it.Fingerprint, it.Opened) })
}

func TestEveryItemIsToldOfInTime(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := drawScript(t)
		s.policy.PerMinute = 1000
		s.play(func(w *world) {
			for it, since := range w.waits() {
				for i := startOf(w.Tiers, it); i < len(w.Tiers); i++ {
					w.checkTold(t, w.Tiers[i], it, since, gatherFor)
				}
			}
		})
	})
}

// checkTold: the tier was notified of this item itself, no later than that after its time, and after it was given back.
func (w *world) checkTold(t *rapid.T, tier Tier, it *item, since time.Time, late time.Duration) {
	if last := w.lastNotified(tier.Name, it); last.Before(since) && w.now.After(latest(since.Add(tier.After), w.released[it.ID]).Add(late)) {
		t.Fatalf("%s: %s was not notified of %s, which has waited since %s\n%s", w.now, tier.Name, it.ID, since, w.lately())
	}
}

// TestEveryItemIsToldOfInAStorm: as long as each tier has a notice in half a minute, a storm makes people learn of an
// item so much later, and no more.
func TestEveryItemIsToldOfInAStorm(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := drawScript(t)
		s.policy.PerMinute = max(s.policy.PerMinute, 2*len(s.policy.Tiers))
		_, half := s.policy.share()
		s.play(func(w *world) {
			for it, since := range w.waits() {
				for _, tier := range w.Tiers[startOf(w.Tiers, it):] {
					w.checkTold(t, tier, it, since, gatherFor+half)
				}
			}
		})
	})
}

func TestNobodyIsToldOfWhatSomebodyHolds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s, seen := drawScript(t), 0
		s.play(func(w *world) {
			open := map[string]bool{}
			for i := range w.items {
				it := &w.items[i]
				open[it.ID] = (it.Lease == nil || !w.now.Before(it.Lease.Until)) && !w.now.Before(it.Snoozed)
			}
			for _, n := range w.notices[seen:] {
				for _, id := range n.IDs {
					if !open[id] {
						t.Fatalf("%s: notified of %s, which waits for nobody\n%s", w.now, id, w.lately())
					}
				}
			}
			seen = len(w.notices)
		})
	})
}

func TestAskingTwiceGivesNothingNew(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s, ids := drawScript(t), map[string]bool{}
		w := s.play(func(w *world) {
			again := w.Look(w.items, w.sent, w.now)
			if len(again.Notices) > 0 || !again.Next.Equal(w.next) {
				t.Fatalf("%s: asked again: %+v, and the next look is at %s, not %s\n%s", w.now, again.Notices, again.Next, w.next, w.lately())
			}
		})
		for _, n := range w.notices {
			if ids[n.ID] {
				t.Fatalf("two notices have the id %s\n%s", n.ID, w.lately())
			}
			ids[n.ID] = true
		}
	})
}

// TestTheAnswerDependsOnNothingElse: on another machine, with everything in another order, it is the same.
func TestTheAnswerDependsOnNothingElse(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s, seen := drawScript(t), 0
		s.play(func(w *world) {
			if len(w.notices) == seen {
				return
			}
			seen = len(w.notices)
			before := w.sentBefore()
			a := w.Look(w.items, before, w.now)
			b := w.Look(rapid.Permutation(slices.Clone(w.items)).Draw(t, "items"), rapid.Permutation(before).Draw(t, "sent"), w.now)
			if diff := gocmp.Diff(a, b); diff != "" {
				t.Fatal(diff)
			}
		})
	})
}

// sentBefore is what was sent before the look that was the last.
func (w *world) sentBefore() []Sent {
	return slices.DeleteFunc(slices.Clone(w.sent), func(s Sent) bool { return !s.At.Before(w.now) })
}

// TestNoticesDoNotGrowWithAGroup: five of everything make no more notices than one.
func TestNoticesDoNotGrowWithAGroup(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := drawScript(t)
		for i := range s.items {
			s.items[i].Fingerprint = cmp.Or(s.items[i].Fingerprint, s.items[i].ID)
		}
		small, large := s.play(func(*world) {}), s.times(5)
		big := large.play(func(*world) {})
		if len(small.notices) != len(big.notices) {
			t.Fatalf("%d notices became %d:\n%s\n%s", len(small.notices), len(big.notices), small.lately(), big.lately())
		}
	})
}

// times gives every item so many twins to which the same happens.
func (s *script) times(n int) script {
	out := script{policy: s.policy}
	for i := range n {
		twin := func(id string) string { return fmt.Sprint(id, "-", i) }
		for _, it := range s.items {
			it.ID = twin(it.ID)
			out.items = append(out.items, it)
		}
		for _, c := range s.changes {
			out.changes = append(out.changes, change{c.at, twin(c.id), c.do})
		}
	}
	slices.SortStableFunc(out.changes, func(a, b change) int { return cmp.Compare(a.at, b.at) })
	return out
}

func TestNoChannelGetsMoreThanItsShare(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := drawScript(t)
		w := s.play(func(*world) {})
		for _, n := range w.notices {
			for _, channel := range n.Channels {
				if got := w.inMinuteFrom(n.At, channel); got > w.PerMinute {
					t.Fatalf("%s got %d notices in the minute from %s, %d are allowed\n%s", channel, got, n.At, w.PerMinute, w.lately())
				}
			}
		}
	})
}

func (w *world) inMinuteFrom(at time.Time, channel string) (count int) {
	for _, n := range w.notices {
		if !n.At.Before(at) && n.At.Before(at.Add(time.Minute)) && slices.Contains(n.Channels, channel) {
			count++
		}
	}
	return count
}
