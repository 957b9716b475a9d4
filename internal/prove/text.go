package prove

import (
	"fmt"
	"io"
	"math"
	"strings"
	"text/tabwriter"
	"time"

	"belay/internal/steps"
	"belay/internal/yamldoc"
)

// Text writes a report for people. With explain it says in full what the report is worth.
func (r *Report) Text(w io.Writer, explain bool) error {
	var page strings.Builder
	r.page(&page, explain)
	_, err := io.WriteString(w, page.String())
	return err
}

func (r *Report) page(w *strings.Builder, explain bool) {
	fmt.Fprintln(w, r.Headline)
	r.Worst.text(w)
	for i := range r.Findings {
		fmt.Fprintln(w)
		r.Findings[i].text(w)
	}
	fmt.Fprintln(w)
	if !explain {
		fmt.Fprintln(w, "This is what the documents say; --explain says what it assumes and cannot know.")
		return
	}
	for _, part := range []struct {
		head  string
		lines []string
	}{{"Proved", r.Scope.Proves}, {"Assumed", r.Scope.Assumes}, {"Not known", r.Scope.Cannot}} {
		fmt.Fprintln(w, part.head+":")
		for _, line := range part.lines {
			fmt.Fprintln(w, "  - "+line)
		}
	}
}

func (w *Worst) text(out io.Writer) {
	t := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "\nSTEP\tTOOL\tATTEMPTS\tWORK")
	for _, s := range w.Steps {
		name := s.Step
		if s.Undo {
			name = "undo " + name
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", name, s.Tool, s.Attempts, s.Work)
	}
	_ = t.Flush() // the page is in memory
	if len(w.Dependencies) > 0 {
		w.dependencies(out)
	}
	for _, q := range w.People {
		fmt.Fprintln(out, "People: "+q.sentence())
	}
	for i := range w.Agents {
		fmt.Fprintln(out, w.Agents[i].sentence())
	}
	if w.Cut {
		fmt.Fprintf(out, "The run's deadline of %s comes before that: nothing new is queued after it, and what is queued then may go on for %s.\n", seconds(w.Deadline), seconds(w.Tail))
	}
	if w.Undo.atLeastOne() > 0 || w.Undo.Endless {
		fmt.Fprintf(out, "Undoing a failed run takes at most %s more.\n", w.Undo)
	}
}

func (w *Worst) dependencies(out io.Writer) {
	costs := false
	for _, d := range w.Dependencies {
		costs = costs || d.Cost != nil
	}
	t := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	head := "\nDEPENDENCY\tCALLS\tTIME\tFOR EACH CALL"
	if costs {
		head += "\tCOST"
	}
	fmt.Fprintln(t, head)
	for _, d := range w.Dependencies {
		line := fmt.Sprintf("%s\t%s\t%s\tup to %d", d.Name, d.Calls, d.Time, d.Amp)
		if costs {
			line += "\t" + d.money()
		}
		fmt.Fprintln(t, line)
	}
	_ = t.Flush() // the page is in memory
}

func seconds(s float64) string { return spoken(time.Duration(s * float64(time.Second))) }

// roundedUp is f with four digits, and never less than it: a bound that is rounded down is none.
func roundedUp(f float64) float64 {
	if f <= 0 {
		return 0
	}
	const spare = 1e-9 // for what sums of costs are off by
	scale := math.Pow10(3 - int(math.Floor(math.Log10(f))))
	return math.Ceil(f*scale*(1-spare)) / scale
}

// money is what the dependency costs, without digits that nobody can vouch for.
func (d *Dependency) money() string {
	if d.Cost == nil {
		return "-"
	}
	s := yamldoc.Number(roundedUp(*d.Cost))
	if len(d.Calls.Each) > 0 {
		s += " (lists of one)"
	}
	return s
}

func (q *Question) sentence() string {
	s := strings.Join(q.Steps, ", ") + " may ask for an answer"
	if q.Kind == "approval" {
		s = strings.Join(q.Steps, ", ") + " may ask for an approval"
		if q.Approvers > 1 {
			s = strings.Join(q.Steps, ", ") + " may ask two people for their approval"
		}
	}
	if q.Deadline <= 0 {
		return s + ", without a deadline."
	}
	then := map[string]string{
		string(steps.ExpiryEscalate): fmt.Sprintf("it is asked again, %d times in all with a deadline, and then without one", steps.MaxTier),
		string(steps.ExpiryPark):     "it is asked again, without an end",
		string(steps.ExpiryFail):     q.failing(),
		string(steps.ExpiryFallback): "the ladder goes on with a rung that acts on nothing unapproved",
	}[q.OnDeadline]
	return fmt.Sprintf("%s; after %s %s.", s, spokenOf(q.Deadline), then)
}

// failing is what on_deadline: fail does.
func (q *Question) failing() string {
	const ends, goesOn = "the step fails, and the run with it", "the agent's model is told that nobody has decided"
	switch q.agents {
	case 0:
		return ends
	case len(q.Steps):
		return goesOn
	}
	return ends + "; of the call of an agent, its model is told"
}

func (f *Finding) text(w io.Writer) {
	fmt.Fprintf(w, "%s:%d:%d: %s %s: %s\n", f.File, f.Line, f.Col, f.level(), f.Code, f.Message)
	if len(f.Witness) > 0 {
		fmt.Fprintln(w, "  way: "+strings.Join(f.Witness, " -> "))
	}
	if f.Waiver != nil {
		fmt.Fprintf(w, "  waived until %s: %s\n", f.Waiver.lastDay(), f.Waiver.Reason)
		return
	}
	fmt.Fprintln(w, "  fix: "+f.Fix)
	fmt.Fprintln(w, "  see: "+f.Page)
}

func (f *Finding) level() string {
	if !f.Counts() {
		return "waived"
	}
	return string(f.Severity)
}

func (w *Waived) lastDay() string { return w.Until.AddDate(0, 0, -1).Format(time.DateOnly) }
