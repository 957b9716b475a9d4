package schedules

import (
	"testing"
	"time"
)

// TestTimesWhereClocksAreSet: in Berlin 2026, clocks go from 2 to 3 on 29 March and from 3 back to 2 on 25 October.
func TestTimesWhereClocksAreSet(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cron, after string
		want        []string
	}{
		"workdays":                     {"0 9 * * 1-5", "2026-03-27T12:00:00Z", []string{"2026-03-30T07:00:00Z", "2026-03-31T07:00:00Z"}},
		"in the hour that is left out": {"30 2 * * *", "2026-03-28T12:00:00Z", []string{"2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"}},
		"in the hour that comes twice": {"30 2 * * *", "2026-10-24T12:00:00Z", []string{"2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"}},
		"every half hour, put forward": {"*/30 * * * *", "2026-03-29T00:15:00Z", []string{"2026-03-29T00:30:00Z", "2026-03-29T01:00:00Z"}},
		"every half hour, put back":    {"*/30 * * * *", "2026-10-25T00:15:00Z", []string{"2026-10-25T00:30:00Z", "2026-10-25T01:00:00Z", "2026-10-25T01:30:00Z"}},
		"at seconds, put back":         {"15 30 2 * * *", "2026-10-24T12:00:00Z", []string{"2026-10-25T00:30:15Z", "2026-10-26T01:30:15Z"}},
		"in every hour, put back":      {"0 * * * *", "2026-10-25T00:00:00Z", []string{"2026-10-25T01:00:00Z", "2026-10-25T02:00:00Z"}},
		"of two hours, put forward":    {"0 2,3 * * *", "2026-03-28T12:00:00Z", []string{"2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z", "2026-03-30T01:00:00Z"}},
		"twice in the hour left out":   {"15,45 2 * * *", "2026-03-28T12:00:00Z", []string{"2026-03-29T01:00:00Z", "2026-03-30T00:15:00Z"}},
	} {
		t.Run(name, func(t *testing.T) {
			ts, err := parse(c.cron, "Europe/Berlin")
			if err != nil {
				t.Fatal(err)
			}
			at, _ := time.Parse(time.RFC3339, c.after)
			for _, want := range c.want {
				if at = ts.next(at); at.Format(time.RFC3339) != want {
					t.Fatalf("%s, not %s", at.Format(time.RFC3339), want)
				}
			}
		})
	}
}
