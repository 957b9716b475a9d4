package console

import (
	"strconv"
	"time"

	"belay/internal/steps"
)

// bar is one attempt in the waterfall of a run: when it waited and when it was executed, on a line as long as the run.
type bar struct {
	Step, Tool string
	First      bool // of its step
	Name       string
	State      steps.AttemptState
	Class      string
	Message    string
	Worker     string
	Took       string
	Queued     stretch
	Ran        stretch
	Queue      moment
}

// stretch is a part of the line, in thousandths.
type stretch struct{ X, Width string }

const maxBars = 500

// bars lays the attempts of a run out, all of them or only those that failed or were repeated.
func bars(d steps.Document, only string, now time.Time) (list []bar, hidden int) {
	end := endOf(d, now)
	scale := scaleOf(d.Started, end)
	for _, s := range d.Steps {
		first := true
		for _, a := range s.Attempts {
			if !among(only, s, a) {
				continue
			}
			if len(list) == maxBars {
				hidden++
				continue
			}
			list = append(list, barOf(s, a, scale, end, first))
			first = false
		}
	}
	return list, hidden
}

// endOf is where the line of a run ends: at its end, at now, or where it began to wait for a person.
func endOf(d steps.Document, now time.Time) time.Time {
	switch {
	case d.Ended != nil:
		return *d.Ended
	case d.State != steps.RunWaiting:
		return now
	}
	last := d.Started.Add(time.Millisecond)
	for _, s := range d.Steps {
		for _, a := range s.Attempts {
			if a.Ended != nil && a.Ended.After(last) {
				last = *a.Ended
			}
		}
	}
	return last
}

func among(only string, s steps.StepView, a steps.AttemptView) bool {
	switch only {
	case "failed":
		return a.State == steps.AttemptFailed || a.State == steps.AttemptUnknown
	case "retrying":
		return s.State == steps.StepRetrying || a.Try > 1 || a.Round > 0
	}
	return true
}

func barOf(s steps.StepView, a steps.AttemptView, scale func(time.Time) float64, end time.Time, first bool) bar {
	b := bar{
		Step: s.ID, Tool: s.Tool, First: first, Name: a.Rung + " " + strconv.Itoa(a.Try), State: a.State, Class: string(a.Class), Message: a.Message,
		Worker: a.Worker, Took: took(time.Duration(a.Took)), Queue: at(a.Queued, end),
	}
	if a.Round > 0 {
		b.Name = "round " + strconv.Itoa(a.Round) + ", " + b.Name
	}
	began, over := end, end
	if a.Ended != nil {
		began, over = *a.Ended, *a.Ended
	}
	if a.Started != nil {
		began = *a.Started
	}
	b.Queued = between(scale(a.Queued), scale(began))
	b.Ran = between(scale(began), scale(over))
	return b
}

// scaleOf maps the time of a run to 0 to 1000.
func scaleOf(start, end time.Time) func(time.Time) float64 {
	whole := max(float64(end.Sub(start)), 1)
	return func(t time.Time) float64 { return min(max(1000*float64(t.Sub(start))/whole, 0), 1000) }
}

// between is the stretch from a to b, never too narrow to be seen.
func between(a, b float64) stretch {
	const least = 4
	if b-a < least {
		a, b = min(a, 1000-least), min(a, 1000-least)+least
	}
	return stretch{decimal(a), decimal(b - a)}
}

func decimal(f float64) string { return strconv.FormatFloat(f, 'f', 1, 64) }
