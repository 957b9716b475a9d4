package pages

import (
	"slices"
	"time"

	"belay/internal/steps"
	"belay/internal/steps/view"
)

// busy is a time in which a step of the run was in the queue or was executed.
type busy struct{ from, to time.Time }

// scaleOf maps the time of a run to 0 to 1000. If machines took a minute and people took the night, the times in which the
// run waited only for people share half of the line, because otherwise nothing else could be seen.
func scaleOf(d view.Document, end time.Time) (scale func(time.Time) float64, shrunk bool) {
	work := busyTimes(d, end)
	whole := max(end.Sub(d.Begins()), 1)
	var worked time.Duration
	for _, b := range work {
		worked += b.to.Sub(b.from)
	}
	idle, factor := whole-worked, 1.0
	if shrunk = worked > 0 && idle > worked && len(d.Asked) > 0; shrunk {
		factor = float64(worked) / float64(idle)
	}
	width := max(float64(worked)+factor*float64(idle), 1)
	return func(t time.Time) float64 {
		if t.After(end) {
			t = end
		}
		var on time.Duration
		for _, b := range work {
			if t.After(b.from) {
				on += earlier(t, b.to).Sub(b.from)
			}
		}
		off := max(t.Sub(d.Begins()), 0) - on
		return min(max(1000*(float64(on)+factor*float64(off))/width, 0), 1000)
	}, shrunk
}

// busyTimes are the times of attempts, joined where they overlap.
func busyTimes(d view.Document, end time.Time) (list []busy) {
	var all []busy
	for _, s := range d.Steps {
		for _, a := range s.Attempts {
			if a.State == steps.AttemptAsked || a.Queued.Before(d.Begins()) {
				continue
			}
			over := end
			if a.Ended != nil {
				over = *a.Ended
			}
			all = append(all, busy{a.Queued, earlier(over, end)})
		}
	}
	slices.SortFunc(all, func(a, b busy) int { return a.from.Compare(b.from) })
	for _, b := range all {
		n := len(list)
		if n > 0 && !b.from.After(list[n-1].to) {
			if b.to.After(list[n-1].to) {
				list[n-1].to = b.to
			}
			continue
		}
		list = append(list, b)
	}
	return list
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
