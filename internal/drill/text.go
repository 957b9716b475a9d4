package drill

import (
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"belay/internal/sim"
)

// Headline is the drill in one sentence.
func (r *Report) Headline() string {
	good := r.Plays
	for o := Lost; o <= Unapproved; o++ {
		good -= r.Ends[o.String()]
	}
	text := fmt.Sprintf("%s: %d of %d faults end well", filepath.Base(r.Plan), good, r.Plays)
	var parts []string
	for _, p := range []struct {
		o    Outcome
		text string
	}{
		{OK, "%d by machine"}, {Degraded, "%d degraded"}, {Person, "%d with a person"}, {Compensated, "%d undone"}, {Failed, "%d failed as the plan says"},
		{Lost, "%d LOST"}, {Twice, "%d TWICE"}, {Stuck, "%d STUCK"}, {Unapproved, "%d UNAPPROVED"},
	} {
		if n := r.Ends[p.o.String()]; n > 0 {
			parts = append(parts, fmt.Sprintf(p.text, n))
		}
	}
	text += ": " + strings.Join(parts, ", ") + ". Worst case " + Spoken(time.Duration(r.Longest))
	if len(r.Calls) > 0 {
		text += fmt.Sprintf(", %d calls to %s", r.Calls[0].Most, r.Calls[0].Name)
	}
	if r.Cost > 0 {
		text += ", cost " + spokenCost(r.Cost)
	}
	return text + "."
}

// spokenCost is what a play costs, in whatever currency the tools file means: to the cent or, of less, to four digits.
func spokenCost(cost float64) string {
	if cost >= 10 {
		return strconv.FormatFloat(math.Round(cost*100)/100, 'f', -1, 64)
	}
	return strconv.FormatFloat(cost, 'g', 4, 64)
}

// Spoken is a duration as people read it.
func Spoken(d time.Duration) string {
	switch {
	case d >= time.Minute:
		d = d.Round(time.Second)
	case d >= time.Second:
		d = d.Round(100 * time.Millisecond)
	default:
		d = d.Round(time.Millisecond)
	}
	return d.String()
}

// Matrix draws targets against faults in blocks of columns that fit the width. What cannot happen is a dot.
func (r *Report) Matrix(w io.Writer, width int) {
	for _, kind := range []targetKind{onRung, onQuestion, onDispatcher} {
		var columns []*target
		for _, t := range r.targets {
			if t.kind == kind {
				columns = append(columns, t)
			}
		}
		list := faultsOf(kind)
		first := 0
		for _, f := range list {
			first = max(first, len(f.name))
		}
		for len(columns) > 0 {
			n := r.fitting(columns, width-first-2)
			r.block(w, list, columns[:n], first)
			columns = columns[n:]
		}
	}
}

const narrowest = 8

// wide is how wide the column of a target is.
func (r *Report) wide(t *target) int {
	wide := max(narrowest, len(t.Name()))
	for _, c := range r.Cells {
		if c.Target == t.Name() {
			wide = max(wide, len(c.word()))
		}
	}
	return wide
}

// fitting is how many columns fit the width, one at least.
func (r *Report) fitting(columns []*target, width int) int {
	for n, t := range columns {
		width -= r.wide(t) + 2
		if width < 0 {
			return max(n, 1)
		}
	}
	return len(columns)
}

func (r *Report) block(w io.Writer, list []fault, columns []*target, first int) {
	fmt.Fprintf(w, "\n%*s", first, "")
	for _, t := range columns {
		fmt.Fprintf(w, "  %-*s", r.wide(t), t.Name())
	}
	fmt.Fprintln(w)
	for _, f := range list {
		line := fmt.Sprintf("%-*s", first, f.name)
		some := false
		for _, t := range columns {
			c := r.Find(t.Name() + "/" + f.name)
			some = some || c.Outcome != Blank
			line += fmt.Sprintf("  %-*s", r.wide(t), c.word())
		}
		if some {
			fmt.Fprintln(w, strings.TrimRight(line, " "))
		}
	}
}

// word is a cell in the matrix.
func (c *Cell) word() string {
	if c.Outcome == Blank {
		return "."
	}
	text := short(c.Outcome, c.By)
	if c.Two() {
		return short(c.Once, c.onceBy) + "/" + text
	}
	return text
}

// short is an outcome in a cell: of a degraded one, the rung.
func short(o Outcome, by string) string {
	if o == Degraded && by != "" {
		return "~" + by
	}
	return o.String()
}

// Bad lists the cells that must never be.
func (r *Report) bad() []*Cell {
	return slices.DeleteFunc(slices.Clone(r.Cells), func(c *Cell) bool { return !c.Outcome.Bad() })
}

// Text writes the report for a terminal.
func (r *Report) Text(w io.Writer, width int) {
	fmt.Fprintln(w, r.Headline())
	r.Matrix(w, width)
	fmt.Fprintln(w, "\nok: by machine, as without the fault   ~rung: a degraded result   person: somebody must decide   .: it cannot happen there\n"+
		"ok/person: ok where the fault comes once, a person where it stays")
	if len(r.Calls) > 0 {
		fmt.Fprintln(w, "\nthe most calls in one play:")
		for _, d := range r.Calls {
			fmt.Fprintf(w, "  %3d to %s, under %s\n", d.Most, d.Name, d.In)
		}
	}
	for n, t := range r.NotDrilled {
		if n == 0 {
			fmt.Fprintln(w, "\ntools of agents that no play calls:")
		}
		fmt.Fprintf(w, "  %s of %s: %s\n", t.Tool, t.Step, t.Why)
	}
	for _, c := range r.bad() {
		fmt.Fprintf(w, "\n%s: %s: %s\n", c.Outcome, c.Name(), c.Why)
	}
	if r.Pairs != nil {
		r.Pairs.text(w)
	}
}

// Timeline writes what happened in every play of a cell.
func (c *Cell) Timeline(w io.Writer) {
	if c.Outcome == Blank {
		fmt.Fprintf(w, "%s cannot happen: %s\n", c.Name(), c.Why)
		return
	}
	for n, p := range c.plays {
		fmt.Fprintf(w, "%s, play %d of %d (%s): %s\n", c.Name(), n+1, len(c.plays), p.how(), p.judged.sentence())
		Lines(w, p.Lines)
		fmt.Fprintln(w)
	}
}

// Lines writes what happened in a play.
func Lines(w io.Writer, lines []sim.Line) {
	for _, l := range lines {
		fmt.Fprintf(w, "  %10s  %-10s  %s\n", Spoken(l.At.Sub(sim.Start)), l.Who, l.Text)
	}
}

func (j judgement) sentence() string {
	text := j.Outcome.String()
	if j.By != "" {
		text += " (" + j.By + ")"
	}
	if j.Why != "" {
		text += ": " + j.Why
	}
	return text
}

// how says how the fault comes about in a play.
func (p *play) how() string {
	switch {
	case p.crash > 0:
		text := fmt.Sprintf("before its publish number %d", p.crash)
		if u := p.target.undoing; u != nil {
			text += ", while " + u.of() + " is undone"
		}
		return text
	}
	text := "for good"
	switch {
	case p.target.kind == onQuestion && p.two:
		text = "one after the other, in one moment"
	case p.target.kind == onQuestion:
		text = "as described"
	case p.once:
		text = "once"
	}
	return text + p.knownEffect()
}

// knownEffect says whether the call that fails has had its effect.
func (p *play) knownEffect() string {
	switch {
	case p.happens == nil, p.target.kind == onRung && !p.target.acts(), p.target.kind == onQuestion && !p.target.provoked.Acts:
		return ""
	case p.happens.Acts:
		return ", the effect has happened"
	}
	return ", the effect has not happened"
}
