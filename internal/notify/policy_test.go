package notify

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"belay/internal/handoff"
	"belay/internal/steps"
	"belay/internal/steps/view"
)

var ten = time.Date(2031, 5, 4, 10, 0, 0, 0, time.UTC) // when all stories here begin

// world holds items and what was notified of them, as a caller does, and asks the policy only when it is notified to.
type world struct {
	Policy
	now     time.Time
	items   []handoff.Item
	sent    []Sent
	notices []Notice
	next    time.Time

	released map[string]time.Time // when a claim on an item was last given back
}

func newWorld(tiers ...Tier) *world {
	return &world{Policy: Policy{Tiers: tiers}, now: ten, released: map[string]time.Time{}}
}

func twoTiers() []Tier {
	return []Tier{
		{Name: "ops", Notify: []string{"chat", "hook"}, Remind: 20 * time.Minute},
		{Name: "lead", Notify: []string{"mail"}, After: 15 * time.Minute, Remind: 40 * time.Minute},
	}
}

func (w *world) look() {
	due := w.Look(w.items, w.sent, w.now)
	for _, n := range due.Notices {
		w.notices, w.sent = append(w.notices, n), append(w.sent, n.Records...)
	}
	w.sent = slices.DeleteFunc(w.sent, func(s Sent) bool { return slices.Contains(due.Forget, s.Key) })
	w.next = due.Next
}

// until lets time pass, looking at the times that the policy asked for.
func (w *world) until(at time.Duration) {
	end := ten.Add(at)
	for w.look(); !w.next.IsZero() && !w.next.After(end); w.look() {
		if !w.next.After(w.now) {
			panic("the next look is not later than this one")
		}
		w.now = w.next
	}
	w.now = end
	w.look()
}

// open adds an item that is opened now.
func (w *world) open(id, fingerprint string) *handoff.Item {
	w.items = append(w.items, opened(id, fingerprint, w.now))
	return &w.items[len(w.items)-1]
}

func opened(id, fingerprint string, at time.Time) handoff.Item {
	return handoff.Item{Escalation: view.Escalation{ID: id, Opened: at}, Fingerprint: fingerprint}
}

// at changes an item at a time.
func (w *world) at(at time.Duration, id string, change func(*handoff.Item)) {
	w.until(at)
	i := slices.IndexFunc(w.items, func(it handoff.Item) bool { return it.ID == id })
	change(&w.items[i])
}

func (w *world) decide(at time.Duration, id string) {
	w.until(at)
	w.items = slices.DeleteFunc(w.items, func(it handoff.Item) bool { return it.ID == id })
}

func claim(until time.Duration) func(*handoff.Item) {
	return func(it *handoff.Item) { it.Lease = &handoff.Claim{By: "ann", Until: ten.Add(until)} }
}

func due(at time.Duration, on steps.OnExpiry) func(*handoff.Item) {
	return func(it *handoff.Item) { it.Deadline, it.OnExpiry = new(ten.Add(at)), on }
}

// lines writes what was sent, a line each: when, whom, why, how many, which.
func (w *world) lines() []string {
	var lines []string
	for _, n := range w.notices {
		line := fmt.Sprintf("%s %s %s %d: %s", n.At.Format("15:04:05"), n.Tier, n.What, n.Count, strings.Join(n.IDs, " "))
		if n.Groups > 1 {
			line += fmt.Sprintf(" in %d groups", n.Groups)
		}
		lines = append(lines, line)
	}
	return lines
}

func (w *world) want(t *testing.T, lines ...string) {
	t.Helper()
	if diff := cmp.Diff(lines, w.lines()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

const minute = time.Minute

func TestTheSecondTierIsToldWhenNobodyClaims(t *testing.T) {
	t.Parallel()
	w := newWorld(twoTiers()...)
	w.open("a", "")
	w.until(19 * minute)
	w.want(t, "10:00:00 ops opened 1: a", "10:15:00 lead opened 1: a")
	if n := w.notices[0]; !slices.Equal(n.Channels, []string{"chat", "hook"}) || !n.Opened.Equal(ten) {
		t.Errorf("%+v", n)
	}
}

func TestTheFirstTierMayWaitToo(t *testing.T) {
	t.Parallel()
	w := newWorld(Tier{Name: "ops", Notify: []string{"chat"}, After: 2 * minute})
	w.open("a", "")
	w.until(minute)
	w.want(t)
	w.until(100 * minute)
	w.want(t, "10:02:00 ops opened 1: a")
	if !w.next.IsZero() {
		t.Errorf("without reminders nothing is left to do, but the next look is at %s", w.next)
	}
}

func TestRemindersUntilSomebodyClaims(t *testing.T) {
	t.Parallel()
	w := newWorld(twoTiers()...)
	w.open("a", "")
	w.at(56*minute, "a", claim(500*minute))
	w.until(400 * minute)
	w.want(t, "10:00:00 ops opened 1: a", "10:15:00 lead opened 1: a", "10:20:00 ops reminder 1: a", "10:40:00 ops reminder 1: a", "10:55:00 lead reminder 1: a")
}

func TestAClaimedItemTellsNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(twoTiers()...)
	due(30*minute, "reject")(w.open("a", ""))
	claim(500 * minute)(&w.items[0])
	w.until(400 * minute)
	w.want(t)
}

// TestALeaseThatRanOut: those who knew are notified once more, at once; those who did not get their whole time again.
func TestALeaseThatRanOut(t *testing.T) {
	t.Parallel()
	w := newWorld(twoTiers()...)
	w.open("a", "")
	w.at(5*minute, "a", claim(35*minute))
	w.until(52 * minute)
	w.until(53 * minute)
	w.want(t, "10:00:00 ops opened 1: a", "10:35:00 ops returned 1: a", "10:50:00 lead opened 1: a")
	w.at(54*minute, "a", claim(70*minute))
	w.until(71 * minute)
	w.want(t, "10:00:00 ops opened 1: a", "10:35:00 ops returned 1: a", "10:50:00 lead opened 1: a", "11:10:00 ops returned 1: a", "11:10:00 lead returned 1: a")
}

func TestARelease(t *testing.T) {
	t.Parallel()
	w := newWorld(twoTiers()[:1]...)
	w.open("a", "")
	w.at(5*minute, "a", claim(35*minute))
	w.at(10*minute, "a", func(it *handoff.Item) { it.Lease = nil })
	w.until(30 * minute)
	w.want(t, "10:00:00 ops opened 1: a", "10:20:00 ops reminder 1: a")
}

func TestASnooze(t *testing.T) {
	t.Parallel()
	w := newWorld(twoTiers()...)
	w.open("a", "")
	w.at(16*minute, "a", func(it *handoff.Item) { it.Snoozed = ten.Add(60 * minute) })
	w.until(61 * minute)
	w.want(t, "10:00:00 ops opened 1: a", "10:15:00 lead opened 1: a", "11:00:00 ops returned 1: a", "11:00:00 lead returned 1: a")
}

// TestLikeItemsAreFewNotices: those that join later are notified together, soon after, as more of the kind.
func TestLikeItemsAreFewNotices(t *testing.T) {
	t.Parallel()
	w := newWorld(twoTiers()[:1]...)
	for i := range 100 {
		w.until(time.Duration(i) * time.Second)
		w.open(fmt.Sprintf("f%02d", i), "pay/primary/timeout")
	}
	w.until(25 * minute)
	w.want(t, "10:00:00 ops opened 1: f00", "10:00:15 ops more 14: f01 f02 f03 f04 f05", "10:00:30 ops more 15: f15 f16 f17 f18 f19",
		"10:00:45 ops more 15: f30 f31 f32 f33 f34", "10:01:00 ops more 15: f45 f46 f47 f48 f49", "10:01:15 ops more 15: f60 f61 f62 f63 f64",
		"10:01:30 ops more 15: f75 f76 f77 f78 f79", "10:01:45 ops more 10: f90 f91 f92 f93 f94", "10:20:00 ops reminder 100: f00 f01 f02 f03 f04")
	if n := w.notices[2]; n.Waiting != 30 || n.content("https://x").Title != "15 more like this: an escalation" {
		t.Errorf("%+v", n)
	}
}

// TestWhatIsListedLateIsTold: an item that was opened before a notice about others like it, and listed after it, was in
// no notice.
func TestWhatIsListedLateIsTold(t *testing.T) {
	t.Parallel()
	w := newWorld(Tier{Name: "ops", Notify: []string{"chat"}})
	w.until(10 * time.Second)
	w.open("a", "f")
	w.until(20 * time.Second)
	w.open("late", "f").Opened = ten.Add(5 * time.Second)
	w.until(10 * minute)
	w.want(t, "10:00:10 ops opened 1: a", "10:00:25 ops more 1: late")
}

// TestWhatWasHeldWhenOthersWereToldIsTold, once it is given back.
func TestWhatWasHeldWhenOthersWereToldIsTold(t *testing.T) {
	t.Parallel()
	w := newWorld(Tier{Name: "ops", Notify: []string{"chat"}})
	w.open("a", "f")
	claim(40 * minute)(w.open("b", "f"))
	w.at(5*minute, "b", release)
	w.until(10 * minute)
	w.want(t, "10:00:00 ops opened 1: a", "10:05:00 ops more 1: b")
}

// TestAGroupThatWasSettledBeginsAnew: what comes when all that was notified of is settled is not more of it.
func TestAGroupThatWasSettledBeginsAnew(t *testing.T) {
	t.Parallel()
	w := newWorld(twoTiers()[:1]...)
	w.open("a", "f")
	w.until(minute)
	w.open("b", "f")
	w.until(2 * minute)
	w.open("c", "f")
	w.decide(3*minute, "a")
	w.decide(4*minute, "b")
	w.decide(5*minute, "c")
	w.until(6 * minute)
	w.open("d", "f")
	w.until(7 * minute)
	w.want(t, "10:00:00 ops opened 1: a", "10:01:00 ops more 1: b", "10:02:00 ops more 1: c", "10:06:00 ops opened 1: d")
}

func TestAClaimInAGroup(t *testing.T) {
	t.Parallel()
	w := newWorld(twoTiers()[:1]...)
	w.open("a", "f")
	w.open("b", "f")
	w.at(minute, "a", claim(40*minute))
	w.until(41 * minute)
	w.want(t, "10:00:00 ops opened 2: a b", "10:20:00 ops reminder 1: b", "10:40:00 ops returned 2: a b")
}

// TestManyLeasesRunOut: a tier hears of the first, and soon after of those that have gathered behind it.
func TestManyLeasesRunOut(t *testing.T) {
	t.Parallel()
	w := newWorld(twoTiers()[:1]...)
	for i := range 50 {
		w.open(fmt.Sprintf("f%02d", i), "f")
	}
	w.until(0)
	for i := range w.items {
		claim(10*minute + time.Duration(i)*time.Second)(&w.items[i])
	}
	w.until(31 * minute)
	w.want(t, "10:00:00 ops opened 50: f00 f01 f02 f03 f04", "10:10:00 ops returned 1: f00",
		"10:10:15 ops returned 16: f00 f01 f02 f03 f04", "10:10:30 ops returned 31: f00 f01 f02 f03 f04", "10:10:45 ops returned 46: f00 f01 f02 f03 f04",
		"10:11:00 ops returned 50: f00 f01 f02 f03 f04", "10:31:00 ops reminder 50: f00 f01 f02 f03 f04")
}

func TestADeadlineIsNear(t *testing.T) {
	t.Parallel()
	w := newWorld(Tier{Name: "ops", Notify: []string{"chat"}})
	due(50*minute, "reject")(w.open("a", ""))
	due(50*time.Hour, "reject")(w.open("b", ""))
	w.until(60 * time.Hour)
	w.want(t, "10:00:00 ops opened 1: a", "10:00:00 ops opened 1: b", "10:40:00 ops deadline 1: a", "10:50:00 ops expired 1: a",
		"11:00:00 ops deadline 1: b", "12:00:00 ops expired 1: b")
}

// TestDeadlinesOfAGroup: a hundred deadlines one after another are no hundred warnings.
func TestDeadlinesOfAGroup(t *testing.T) {
	t.Parallel()
	w := newWorld(Tier{Name: "ops", Notify: []string{"chat"}})
	for i := range 100 {
		due(50*minute+time.Duration(i)*time.Second, "reject")(w.open(fmt.Sprintf("f%02d", i), "f"))
	}
	w.until(100 * minute)
	w.want(t, "10:00:00 ops opened 100: f00 f01 f02 f03 f04", "10:40:00 ops deadline 100: f00 f01 f02 f03 f04",
		"10:50:00 ops expired 100: f00 f01 f02 f03 f04", "11:00:00 ops expired 99: f01 f02 f03 f04 f05")
}

// TestADeadlineThatEscalates: the item goes on waiting, and everybody is notified.
func TestADeadlineThatEscalates(t *testing.T) {
	t.Parallel()
	w := newWorld(twoTiers()...)
	due(10*minute, "escalate")(w.open("a", ""))
	w.until(31 * minute)
	w.want(t, "10:00:00 ops opened 1: a", "10:08:00 ops deadline 1: a", "10:10:00 ops expired 1: a", "10:10:00 lead expired 1: a", "10:30:00 ops reminder 1: a")
	if n := w.notices[3]; n.Expired != 1 {
		t.Errorf("%+v", n)
	}
}

// TestADeadlineThatEnds: a tier whose time had not come hears nothing of what is over.
func TestADeadlineThatEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(twoTiers()...)
	due(10*minute, "reject")(w.open("a", ""))
	w.until(90 * minute)
	w.want(t, "10:00:00 ops opened 1: a", "10:08:00 ops deadline 1: a", "10:10:00 ops expired 1: a")
}

func TestAnItemThatBeginsWithALaterTier(t *testing.T) {
	t.Parallel()
	w := newWorld(twoTiers()...)
	w.open("a", "").Tier = 1
	w.open("b", "").Tier = 7 // more often than there are tiers: the last ones keep it
	w.open("c", "")
	w.until(minute)
	w.want(t, "10:00:00 lead opened 1: a", "10:00:00 lead opened 1: b", "10:00:00 ops opened 1: c")
}

func TestAnItemThatIsMovedToALaterTier(t *testing.T) {
	t.Parallel()
	w := newWorld(twoTiers()...)
	w.open("a", "")
	w.at(minute, "a", func(it *handoff.Item) { it.Tier = 1 })
	w.until(30 * minute)
	w.want(t, "10:00:00 ops opened 1: a", "10:01:00 lead opened 1: a")
}

// TestAStorm: what is too much for half a minute is one notice, and after that one nothing until it is over.
func TestAStorm(t *testing.T) {
	t.Parallel()
	w := newWorld(Tier{Name: "ops", Notify: []string{"chat"}})
	w.PerMinute = 6
	for i := range 10 {
		w.open(fmt.Sprintf("f%d", i), fmt.Sprint(i))
	}
	w.until(10 * time.Second)
	w.open("late", "late")
	w.open("later", "later")
	w.until(10 * minute)
	w.want(t, "10:00:00 ops opened 1: f0", "10:00:00 ops opened 1: f1", "10:00:00 ops opened 8: f2 f3 f4 f5 f6 in 8 groups",
		"10:00:30 ops opened 1: late", "10:00:30 ops opened 1: later")
}

// TestASummaryIsOneNotice, of however many groups.
func TestASummaryIsOneNotice(t *testing.T) {
	t.Parallel()
	h := historyOf([]Sent{{Key: "1", Notice: "s", Group: "a", At: ten}, {Key: "2", Notice: "s", Group: "b", At: ten}, {Key: "3", Notice: "t", At: ten.Add(-minute)}})
	if got := h.recent(ten, minute); len(got) != 1 {
		t.Errorf("%d notices: %+v", len(got), got)
	}
}

// TestAStormOfOneGroupThatComesAndGoes: what is settled by itself again and again cannot fill a channel either.
func TestAStormOfOneGroupThatComesAndGoes(t *testing.T) {
	t.Parallel()
	w := newWorld(Tier{Name: "ops", Notify: []string{"chat"}})
	for i := range 120 {
		w.until(time.Duration(i) * time.Second)
		w.items = nil
		w.open(fmt.Sprint(i), "f")
	}
	w.until(2 * minute)
	if n := len(w.notices); n != 2*DefaultPerMinute+1 {
		t.Errorf("%d notices in two minutes", n)
	}
}

func TestTheMostPressingComeFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(Tier{Name: "ops", Notify: []string{"chat"}})
	w.PerMinute = 4
	w.open("a", "")
	w.open("b", "")
	due(0, "escalate")(w.open("c", ""))
	w.until(0)
	w.want(t, "10:00:00 ops expired 1: c", "10:00:00 ops opened 2: a b in 2 groups")
}

// TestWhatWasToldIsForgotten: reminders of a year are no more records than one, and what is settled leaves none.
func TestWhatWasToldIsForgotten(t *testing.T) {
	t.Parallel()
	w := newWorld(twoTiers()[:1]...)
	w.open("a", "")
	w.until(10*time.Hour + minute)
	if len(w.notices) != 31 || len(w.sent) != 2 {
		t.Errorf("%d notices have left %d records: %+v", len(w.notices), len(w.sent), w.sent)
	}
	w.decide(11*time.Hour, "a")
	w.until(12 * time.Hour)
	if len(w.sent) != 0 {
		t.Errorf("left: %+v", w.sent)
	}
}

// TestATierThatIsGone leaves no records either.
func TestATierThatIsGone(t *testing.T) {
	t.Parallel()
	w := newWorld(twoTiers()...)
	w.open("a", "")
	w.until(16 * minute)
	w.Tiers = w.Tiers[:1]
	w.until(18 * minute)
	if len(w.sent) != 1 || w.sent[0].Tier != "ops" {
		t.Errorf("left: %+v", w.sent)
	}
}

func TestWhatIsSharedIsSaid(t *testing.T) {
	t.Parallel()
	items := []handoff.Item{
		{Escalation: view.Escalation{ID: "1", Opened: ten, Tool: "pay", Workflow: "refund", Step: "x", Kind: "failure", Class: "timeout", Message: "first", Deadline: new(ten.Add(minute)), OnExpiry: "skip"}, Fingerprint: "f"},
		{Escalation: view.Escalation{ID: "2", Opened: ten, Tool: "pay", Workflow: "order", Step: "y", Kind: "failure", Class: "timeout", Message: "second", Deadline: new(ten.Add(time.Hour)), OnExpiry: "reject"}, Fingerprint: "f"},
		{Escalation: view.Escalation{ID: "3", Opened: ten, Tool: "pay", Workflow: "order", Kind: "failure", Class: "timeout"}, Fingerprint: "f"},
	}
	n := Policy{Tiers: twoTiers()}.Look(items, nil, ten).Notices[0]
	if !slices.Equal(n.Spare, []string{"mail"}) || !n.Records[0].Names("3", "f", ten) || n.Records[0].Names("4", "f", ten) {
		t.Errorf("%+v", n)
	}
	n.ID, n.Records, n.Channels, n.Spare = "", nil, nil, nil
	want := Notice{What: Opened, Tier: "ops", At: ten, Groups: 1, Count: 3, Waiting: 3, IDs: []string{"1", "2", "3"}, Kind: "failure", Tool: "pay", Class: "timeout", Message: "first",
		Opened: ten, Deadline: ten.Add(minute), OnDeadline: "skip"}
	if diff := cmp.Diff(want, n); diff != "" {
		t.Error(diff)
	}
}

func TestNothingIsNothing(t *testing.T) {
	t.Parallel()
	for _, p := range []Policy{{}, {Tiers: twoTiers()}} {
		if due := p.Look(nil, nil, ten); due.Notices != nil || due.Forget != nil || !due.Next.IsZero() {
			t.Errorf("%+v", due)
		}
	}
}
