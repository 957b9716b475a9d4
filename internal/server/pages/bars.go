package pages

import (
	"slices"
	"strconv"
	"time"

	"belay/internal/handoff"
	"belay/internal/steps"
	"belay/internal/steps/view"
)

// bar is one attempt in the waterfall of a run, or one escalation: when it waited, and when it was executed or claimed, on
// a line as long as the run.
type bar struct {
	Step, Tool string
	First      bool // of its step
	Name       string
	State      steps.AttemptState
	Back       string // what holds it back; empty: nothing does
	Class      string
	Message    string
	Worker     string
	Took       string
	Queued     stretch
	Ran        stretch
	Queue      moment
	At         time.Time // when it began to wait

	Person  bool // it is an escalation
	Path    string
	Short   string
	Claims  []claim
	Claimed []string // who has claimed it
}

// claim is a time in which somebody had claimed an escalation, as a part of the line.
type claim struct {
	By    string
	Where stretch
}

// stretch is a part of the line, in thousandths.
type stretch struct{ X, Width string }

const maxBars = 500

// waterfall lays out the attempts and escalations of a run.
type waterfall struct {
	doc      view.Document
	back     map[string]string              // what holds units back, beside what the log says
	acts     map[string][]handoff.TrailLine // what people did, by escalation
	now, end time.Time
	scale    func(time.Time) float64
	shrunk   bool // times in which the run waited only for people are drawn shorter
}

func newWaterfall(d view.Document, acts map[string][]handoff.TrailLine, now time.Time) *waterfall {
	w := &waterfall{doc: d, acts: acts, now: now, end: now}
	if d.Ended != nil {
		w.end = *d.Ended
	}
	w.scale, w.shrunk = scaleOf(d, w.end)
	return w
}

// bars lists all bars of a run, or only the attempts that failed or were retried.
func (w *waterfall) bars(only string) (list []bar, hidden int) {
	add := func(all []bar) {
		slices.SortStableFunc(all, func(a, b bar) int { return a.At.Compare(b.At) })
		for n, b := range all {
			if len(list) == maxBars {
				hidden++
				continue
			}
			b.First = n == 0
			list = append(list, b)
		}
	}
	people := only == "" || only == "all"
	for _, s := range w.doc.Steps {
		var all []bar
		for n, a := range s.Attempts {
			if among(only, s, a) && !(people && a.State == steps.AttemptAsked) { // the escalation's bar stands for this one
				b := w.barOf(s, a)
				b.Back = s.HeldBack(n, w.back)
				all = append(all, b)
			}
		}
		if people {
			all = append(all, w.askedBars(s.ID)...)
		}
		add(all)
	}
	if people {
		add(w.askedBars(""))
	}
	return list, hidden
}

func among(only string, s view.Step, a view.Attempt) bool {
	switch only {
	case "failed":
		return a.State == steps.AttemptFailed || a.State == steps.AttemptUnknown
	case "retried":
		return s.State == steps.StepRetrying || a.Try > 1 || a.Round > 0
	}
	return true
}

func (w *waterfall) barOf(s view.Step, a view.Attempt) bar {
	b := bar{
		Step: s.ID, Tool: s.Tool, Name: a.Rung + " " + strconv.Itoa(a.Try), State: a.State, Class: string(a.Class), Message: joined(a.Message, a.OnPurpose()),
		Worker: a.Worker, Took: took(time.Duration(a.Took)), Queue: at(a.Queued, w.end), At: a.Queued,
	}
	if a.Round > 0 {
		b.Name = "round " + strconv.Itoa(a.Round) + ", " + b.Name
	}
	began, over := w.end, w.end
	if a.Ended != nil {
		began, over = *a.Ended, *a.Ended
	}
	if a.Started != nil {
		began = *a.Started
	}
	b.Queued = between(w.scale(a.Queued), w.scale(began))
	b.Ran = between(w.scale(began), w.scale(over))
	return b
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

// joined is what there is of two texts, with a semicolon between.
func joined(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "; " + b
}
