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
)

// change is something that happens to an item.
type change struct {
	at time.Duration
	id string
	do func(*Item)
}

// script is a whole story, made by chance.
type script struct {
	policy  Policy
	items   []Item
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
	opened := seconds(t, "opened", 0, 3600)
	it := Item{ID: id, Fingerprint: rapid.SampledFrom([]string{"", "f", "g"}).Draw(t, "fingerprint"), Opened: ten.Add(opened)}
	it.Tier = rapid.SampledFrom([]string{"", "", "tier1", "gone"}).Draw(t, "tier")
	if rapid.Bool().Draw(t, "has deadline") {
		it.Deadline = it.Opened.Add(seconds(t, "deadline", 1, 7200))
		it.OnDeadline = rapid.SampledFrom([]string{"escalate", "reject"}).Draw(t, "on deadline")
	}
	s.items = append(s.items, it)
	s.changes = append(s.changes, change{opened, id, nil})
	at := opened
	for range rapid.IntRange(0, 3).Draw(t, "changes") {
		at += seconds(t, "after", 0, 1800)
		end := ten.Add(at + seconds(t, "for", 1, 1800))
		s.changes = append(s.changes, change{at, id, rapid.SampledFrom([]func(*Item){
			func(it *Item) { it.Claimed, it.ClaimUntil = true, end },
			func(it *Item) { it.SnoozedUntil = end },
			release,
			func(it *Item) { it.OnDeadline = "decided" },
		}).Draw(t, "change")})
	}
}

// release is what a store does when it looks at a claim: one that ran out becomes an ended lease.
func release(it *Item) { it.Claimed, it.ClaimUntil = false, time.Time{} }

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
	i := slices.IndexFunc(w.items, func(it Item) bool { return it.ID == c.id })
	switch {
	case c.do == nil:
		all := slices.IndexFunc(s.items, func(it Item) bool { return it.ID == c.id })
		w.items = append(w.items, s.items[all])
	case i >= 0:
		c.do(&w.items[i])
		if w.items[i].OnDeadline == "decided" {
			w.items = slices.Delete(w.items, i, i+1)
		}
	}
}

// waits lists the items that wait for anybody now, with the time from which they do.
func (w *world) waits() map[*Item]time.Time {
	all := map[*Item]time.Time{}
	for i := range w.items {
		it := &w.items[i]
		held := it.Claimed && w.now.Before(it.ClaimUntil) || w.now.Before(it.SnoozedUntil)
		if !held && !it.over(w.now) {
			since, _ := it.quietUntil()
			all[it] = since
		}
	}
	return all
}

// lately is the end of what was told, a line each.
func (w *world) lately() string {
	lines := w.told()
	return strings.Join(lines[max(0, len(lines)-30):], "\n")
}

// lastTold is when the tier was last told of the item.
func (w *world) lastTold(tier string, it *Item) time.Time {
	for _, n := range slices.Backward(w.notices) {
		if n.Tier == tier && n.tells(it) {
			return n.At
		}
	}
	return time.Time{}
}

func (n *Notice) tells(it *Item) bool {
	return slices.ContainsFunc(n.Told, func(s Sent) bool { return s.Names(it.ID, it.Fingerprint, it.Opened) })
}

func TestEveryItemIsToldOfInTime(t *testing.T) {
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

// checkTold: the tier was told of this item itself, no later than that after its time.
func (w *world) checkTold(t *rapid.T, tier Tier, it *Item, since time.Time, late time.Duration) {
	if told := w.lastTold(tier.Name, it); told.Before(since) && w.now.After(since.Add(tier.After+late)) {
		t.Fatalf("%s: %s was not told of %s, which has waited since %s\n%s", w.now, tier.Name, it.ID, since, w.lately())
	}
}

// TestEveryItemIsToldOfInAStorm: as long as each tier has a notice in half a minute, a storm makes people learn of an
// item so much later, and no more.
func TestEveryItemIsToldOfInAStorm(t *testing.T) {
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
	rapid.Check(t, func(t *rapid.T) {
		s, seen := drawScript(t), 0
		s.play(func(w *world) {
			open := map[string]bool{}
			for i := range w.items {
				it := &w.items[i]
				open[it.ID] = !(it.Claimed && w.now.Before(it.ClaimUntil)) && !w.now.Before(it.SnoozedUntil)
			}
			for _, n := range w.notices[seen:] {
				for _, id := range n.IDs {
					if !open[id] {
						t.Fatalf("%s: told of %s, which waits for nobody\n%s", w.now, id, w.lately())
					}
				}
			}
			seen = len(w.notices)
		})
	})
}

func TestAskingTwiceGivesNothingNew(t *testing.T) {
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
