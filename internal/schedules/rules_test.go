package schedules

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"belay/internal/steps"
)

func clockAt(text string) time.Time {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic(err)
	}
	return at
}

// TestRules: what becomes of firings that were missed, and of those whose run before is open. Every one of them waits, or is counted as
// missed or skipped.
func TestRules(t *testing.T) {
	t.Parallel()
	const minutely, hourly = "* * * * *", "0 * * * *"
	for name, c := range map[string]struct {
		overlap         Overlap
		catchUp         CatchUp
		cron, upto, now string
		waiting         int // before it
		open            bool
		want            string // those that wait, by their minutes of the day; missed; skipped
	}{
		"in time":                    {Skip, CatchLast, hourly, "08:59", "09:00", 0, false, "09:00 0 0"},
		"a little late":              {Skip, CatchNone, hourly, "08:59", "09:01", 0, false, "09:00 0 0"},
		"late, not made up for":      {Skip, CatchNone, hourly, "08:59", "09:02", 0, false, " 1 0"},
		"late, made up for":          {Skip, CatchLast, hourly, "06:59", "09:02", 0, false, "09:00 2 0"},
		"too late":                   {Skip, CatchLast, hourly, "06:59", "07:59", 0, false, "07:00 0 0"},
		"out of the window":          {Skip, CatchLast, hourly, "06:59", "10:59", 0, false, "10:00 3 0"},
		"all of the window":          {Queue, CatchAll, minutely, "06:59", "09:00", 0, false, "07:21..09:00 21 0"},
		"all, and they are few":      {Allow, CatchAll, minutely, "08:54", "09:00", 0, false, "08:55..09:00 0 0"},
		"missed, and one is in time": {Skip, CatchLast, minutely, "08:30", "09:00", 0, false, "09:00 27 2"},
		"open: skip":                 {Skip, CatchLast, hourly, "08:59", "09:00", 0, true, " 0 1"},
		"one waits: skip":            {Skip, CatchLast, hourly, "08:59", "09:00", 1, false, "00:00 0 1"},
		"open: wait":                 {Wait, CatchLast, hourly, "08:59", "09:00", 0, true, "09:00 0 0"},
		"open, one waits: wait":      {Wait, CatchLast, hourly, "08:59", "09:00", 1, true, "00:00 0 1"},
		"open, one waits: queue":     {Queue, CatchLast, hourly, "08:59", "09:00", 1, true, "00:00 09:00 0 0"},
		"the queue is full":          {Queue, CatchLast, hourly, "08:59", "09:00", 100, true, "00:00..01:39 0 1"},
		"open, one waits: cancel":    {Cancel, CatchLast, hourly, "08:59", "09:00", 1, true, "09:00 0 1"},
		"open: allow":                {Allow, CatchLast, hourly, "08:59", "09:00", 0, true, "09:00 0 0"},
		"nothing is due":             {Skip, CatchLast, hourly, "09:00", "09:59", 0, false, " 0 0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			day := func(hm string) time.Time { return clockAt("2026-11-28T" + hm + ":00Z") }
			s := Schedule{Name: "s", Cron: c.cron, TZ: "UTC", Overlap: c.overlap, CatchUp: c.catchUp, Window: steps.Duration(2 * time.Hour), Upto: day(c.upto)}
			for n := range c.waiting {
				s.Waiting = append(s.Waiting, s.firing(day("00:00").Add(time.Duration(n)*time.Minute)))
			}
			if err := s.Check(); err != nil {
				t.Fatal(err)
			}
			ts, err := parse(s.Cron, s.TZ)
			if err != nil {
				t.Fatal(err)
			}
			s.decide(ts, day(c.now), c.open)
			if got := told(&s); got != c.want {
				t.Errorf("%s, not %s", got, c.want)
			}
			before := told(&s)
			if s.decide(ts, day(c.now), c.open) || told(&s) != before {
				t.Errorf("decided twice: %s", told(&s))
			}
		})
	}
}

func told(s *Schedule) string {
	var wait []string
	for _, f := range s.Waiting {
		wait = append(wait, f.At.Format("15:04"))
	}
	if len(wait) > 2 {
		wait = []string{wait[0] + ".." + wait[len(wait)-1]}
	}
	n := func(l *Left) int {
		if l == nil {
			return 0
		}
		return l.N
	}
	return fmt.Sprintf("%s %d %d", strings.Join(wait, " "), n(s.Missed), n(s.Skipped))
}

// TestCheck: what is wrong is said by the name of the setting, with what to write.
func TestCheck(t *testing.T) {
	t.Parallel()
	for says, s := range map[string]Schedule{
		"letters, digits":                   {Name: "a.b"},
		"at most 40":                        {Name: strings.Repeat("a", 41)},
		"one of skip, wait":                 {Overlap: "often"},
		"one of none, last, all":            {CatchUp: "some"},
		"choose overlap queue or allow":     {CatchUp: CatchAll},
		"from a minute to 31 days":          {Window: steps.Duration(time.Second)},
		"jitter: whole seconds":             {Jitter: steps.Duration(1500 * time.Millisecond)},
		"tz \"Berlin\" is no zone":          {TZ: "Berlin"},
		"tz \"Local\" is no zone":           {TZ: "Local"},
		"write minute, hour":                {Cron: "0 9 * *"},
		"the zone is given as tz":           {Cron: "TZ=Europe/Berlin 0 9 * * *"},
		"intervals as fields":               {Cron: "@every 5m"},
		"never fires":                       {Cron: "0 0 30 2 *"},
		"it has 400 bytes, 200 are allowed": {Cron: strings.Repeat("*", 400)},
	} {
		if s.Name == "" {
			s.Name = "s"
		}
		if s.Cron == "" {
			s.Cron = "@daily"
		}
		if err := s.Check(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, not %q", err, says)
		}
	}
	ok := Schedule{Name: "s", Cron: "@daily"}
	if err := ok.Check(); err != nil || ok.TZ != "UTC" || ok.Overlap != Skip || ok.CatchUp != CatchLast || ok.Window != steps.Duration(time.Hour) {
		t.Errorf("%+v, %v", ok, err)
	}
}

// TestJitter: it follows from the run's id, stays within its bound and differs from firing to firing.
func TestJitter(t *testing.T) {
	t.Parallel()
	s := Schedule{Name: "s", Jitter: steps.Duration(30 * time.Second)}
	differ := map[time.Duration]bool{}
	for n := range 50 {
		f := s.firing(clockAt("2026-11-28T09:00:00Z").Add(time.Duration(n) * time.Minute))
		later := s.begins(f).Sub(f.At)
		if later < 0 || later > 30*time.Second || later != s.begins(f).Sub(f.At) {
			t.Errorf("%s", later)
		}
		differ[later] = true
	}
	if len(differ) < 10 {
		t.Errorf("only %d different ones", len(differ))
	}
	f := s.byHand(clockAt("2026-11-28T09:00:00Z"), "mia")
	if !s.begins(f).Equal(f.At) {
		t.Error("by hand it does not begin at once")
	}
}
