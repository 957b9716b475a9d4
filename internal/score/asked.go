package score

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"belay/internal/bus"
)

// HowItGoes reads what is counted, and says how it goes over a window; 0 = as each tool's objective says.
func HowItGoes(ctx context.Context, b *bus.Bus, window time.Duration) (Report, error) {
	c, err := Read(ctx, b)
	if err != nil {
		return Report{}, err
	}
	spikes, err := Spikes(ctx, b)
	if err != nil {
		return Report{}, err
	}
	return c.Report(b.Now(), window, spikes), nil
}

// CauseFilter says which causes are asked for.
type CauseFilter struct {
	Tool  string    // empty = of all
	Since time.Time // only those that were first seen since then; zero = all
	New   bool      // only those that are new since their tool was changed
}

// TrendDays is how many days a cause's trend has.
const TrendDays = 14

// CauseReport is a cause, and how it goes with it.
type CauseReport struct {
	Cause
	Trend []int `json:"trend"` // how often it was seen on each of the last 14 days in UTC, today last
	New   bool  `json:"new"`   // it was first seen since the tool was changed
}

// Causes lists what calls fail with, what was seen last first.
func Causes(ctx context.Context, b *bus.Bus, f CauseFilter) ([]CauseReport, error) {
	c, err := Read(ctx, b)
	if err != nil {
		return nil, err
	}
	return c.Pick(f, b.Now()), nil
}

// Pick lists causes.
func (c *Counts) Pick(f CauseFilter, now time.Time) []CauseReport {
	list := []CauseReport{}
	for i := range c.Causes {
		x := CauseReport{Cause: c.Causes[i], Trend: c.Causes[i].Trend(now, TrendDays)}
		if t := c.Tools[x.Tool]; t != nil {
			x.New = !x.First.Before(t.Changed) && t.Changed.After(c.Since)
		}
		if f.Tool != "" && f.Tool != x.Tool || x.First.Before(f.Since) || f.New && !x.New {
			continue
		}
		list = append(list, x)
	}
	return list
}

// ParseWindow reads a length of time like 24h or 7d; 0 where it is empty.
func ParseWindow(s string) (time.Duration, error) {
	if s == "" {
		return 0, nil
	}
	days, isDays := strings.CutSuffix(s, "d")
	length, err := time.ParseDuration(s)
	if n, bad := strconv.Atoi(days); isDays && bad == nil && n >= 0 && n < 10_000 {
		length, err = time.Duration(n)*24*time.Hour, nil
	}
	if err != nil || length < 5*time.Minute || length > DefaultWindow {
		return 0, errors.New("must be a time between 5m and 30d, for example 24h or 7d")
	}
	return length, nil
}

// Length writes a length of time in a short way: 30d, 1h30m, 15m.
func Length(d Span) string {
	t := time.Duration(d)
	if t >= 48*time.Hour && t%(24*time.Hour) == 0 {
		return strconv.Itoa(int(t.Hours()/24)) + "d"
	}
	s := t.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
