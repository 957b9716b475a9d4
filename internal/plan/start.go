package plan

import (
	"fmt"
	"time"

	"belay/internal/steps"
	"belay/internal/yamldoc"
)

// StartError is what is wrong with when a run is to begin.
type StartError struct {
	Field string // at or in
	Text  string // what it has to be
}

func (e *StartError) Error() string { return e.Text }

// ParseStart reads when a run is to begin: at a time, or in a while, reckoned from when it is accepted; empty texts are at once. The
// error is a [*StartError].
func ParseStart(at, in string) (time.Time, steps.Duration, error) {
	var t time.Time
	var d time.Duration
	var err error
	if at != "" {
		if t, err = time.Parse(time.RFC3339, at); err != nil || t.IsZero() {
			return t, 0, &StartError{"at", fmt.Sprintf("%q is no time: write it with its offset, such as 2026-11-30T09:00:00+01:00 or 2026-11-30T08:00:00Z", at)}
		}
	}
	if in != "" {
		if d, err = yamldoc.ParseDuration(in); err != nil || d <= 0 {
			return t, 0, &StartError{"in", fmt.Sprintf("%q is no time to wait: write it as 90s, 10m, 2h or 7d", in)}
		}
	}
	return t.UTC(), steps.Duration(d), CheckStart(t, steps.Duration(d))
}

// MostAhead is how far ahead a run can be submitted: what is further away is a mistake in the year.
const MostAhead = 10 * 366 * 24 * time.Hour

// CheckStart is the part of [ParseStart] that does not depend on how it is written.
func CheckStart(at time.Time, in steps.Duration) error {
	switch d := time.Duration(in); {
	case !at.IsZero() && d != 0:
		return &StartError{"in", "a run begins at a time or in a while: give one of the two"}
	case d < 0 || d%time.Second != 0:
		return &StartError{"in", fmt.Sprintf("a run begins in a number of whole seconds, not in %s", d)}
	case d > MostAhead:
		return &StartError{"in", fmt.Sprintf("a run begins in ten years at the latest, not in %s", d)}
	case at.Year() > 9999:
		return &StartError{"at", fmt.Sprintf("a run cannot begin in the year %d", at.Year())}
	}
	return nil
}
