package schedules

import (
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // zones are known also where the machine has none, as in an image from scratch

	"github.com/robfig/cron/v3"
)

// times are those at which a schedule fires.
type times struct {
	spec  *cron.SpecSchedule
	zone  *time.Location
	fixed bool // it names hours: each of them once a day, whatever the clock is set to
}

// starBit marks a field of a spec that was written as *.
const starBit = 1 << 63

// parser reads five fields, or six with seconds before them.
var parser = cron.NewParser(cron.SecondOptional | cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor)

// parse reads a cron expression of five or six fields, or one like @daily, in a zone of the IANA database.
func parse(expr, zone string) (*times, error) {
	loc, err := time.LoadLocation(zone)
	if err != nil || zone == "Local" {
		return nil, fmt.Errorf("tz %q is no zone: write one of the IANA database, like Europe/Berlin or UTC", zone)
	}
	if strings.HasPrefix(expr, "TZ=") || strings.HasPrefix(expr, "CRON_TZ=") || strings.HasPrefix(expr, "@every") {
		return nil, fmt.Errorf("cron %q: the zone is given as tz, and intervals as fields, like */10 * * * *", expr)
	}
	if len(expr) > mostText {
		return nil, fmt.Errorf("cron: it has %d bytes, %d are allowed", len(expr), mostText)
	}
	parsed, err := parser.Parse(expr)
	if err != nil {
		return nil, fmt.Errorf("cron %q: write minute, hour, day of the month, month and day of the week, like 0 9 * * 1-5, and seconds before them if they matter: %w", expr, err)
	}
	spec, ok := parsed.(*cron.SpecSchedule)
	if !ok {
		return nil, fmt.Errorf("cron %q: write it with five fields, like */10 * * * *", expr)
	}
	t := &times{spec: spec, zone: loc, fixed: spec.Hour&starBit == 0}
	if spec.Location = loc; t.fixed {
		spec.Location = time.UTC // it is asked about clocks on a wall
	}
	if t.next(time.Now()).IsZero() {
		return nil, fmt.Errorf("cron %q never fires", expr)
	}
	return t, nil
}

// next is the first firing after a time; zero where there is none in years. Where clocks are put forward, what would fire in the
// hour that is left out fires at its end; where they are put back, what fires at a named hour does so the first time only. What fires
// in every hour goes by the time that passes.
func (t *times) next(after time.Time) time.Time {
	if !t.fixed {
		return utc(t.spec.Next(after.In(t.zone)))
	}
	wall := wallOf(after.In(t.zone))
	for {
		if wall = t.spec.Next(wall); wall.IsZero() {
			return time.Time{}
		}
		if at := t.when(wall); at.After(after) {
			return at.UTC()
		}
	}
}

func utc(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC()
}

// wallOf is what the clocks show, as a time in UTC.
func wallOf(t time.Time) time.Time {
	_, offset := t.Zone()
	return t.UTC().Add(time.Duration(offset) * time.Second)
}

// when is the first moment at which the clocks show wall; where they never do, it is when they are put forward.
func (t *times) when(wall time.Time) time.Time {
	var missed time.Time
	for _, near := range []time.Duration{-24 * time.Hour, 24 * time.Hour} {
		_, offset := wall.Add(near).In(t.zone).Zone()
		at := wall.Add(-time.Duration(offset) * time.Second)
		if wallOf(at.In(t.zone)).Equal(wall) {
			return at
		}
		if missed.IsZero() {
			missed, _ = at.In(t.zone).ZoneBounds()
		}
	}
	return missed
}
