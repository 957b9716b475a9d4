package pages

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"belay/internal/score"
)

// Score says how it goes.
type Score interface {
	HowItGoes(ctx context.Context, window time.Duration) (score.Report, error)
	Causes(ctx context.Context, f score.CauseFilter) ([]score.CauseReport, error)
}

// howView is the page How it goes.
type howView struct {
	Since, At *moment
	Window    string
	Windows   []string
	Spikes    []spikeView
	Tools     []toolScore
	Causes    []causeView
	More      int // causes that there is no room for
}

type spikeView struct {
	Text, Quote string
	Since       moment
	Over        *moment
}

type toolScore struct {
	Tool, Share, Window, Rest string
	Missed                    bool
	Objective                 string // how it stands; empty without one
	Rungs                     []rungScore
	People                    string
}

type rungScore struct {
	Rung, Text string
	Dead       *moment
}

type causeView struct {
	ID, Tool, Class, Message, Run, Rung string
	First, Last                         moment
	Count                               int
	New                                 bool
	Line                                trendLine
}

// mostCauses is how many causes a page has room for.
const mostCauses = 50

var howWindows = []string{"1h", "24h", "7d", "30d"}

func (c *Console) how(w http.ResponseWriter, r *http.Request) {
	window := r.URL.Query().Get("window")
	length, err := score.ParseWindow(window)
	if err != nil {
		c.showProblem(w, r, http.StatusBadRequest, problem{"This is not a window", "The window " + err.Error() + ".", "Pick one on the page How it goes."})
		return
	}
	report, err := c.o.Score.HowItGoes(r.Context(), length)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	causes, err := c.o.Score.Causes(r.Context(), score.CauseFilter{})
	if err != nil {
		c.fail(w, r, err)
		return
	}
	c.show(w, r, http.StatusOK, "how", page{Title: "How it goes", Nav: "trends", Body: shownHow(&report, causes, window, c.o.Now())})
}

func shownHow(r *score.Report, causes []score.CauseReport, window string, now time.Time) howView {
	v := howView{Window: window, Windows: howWindows, More: max(0, len(causes)-mostCauses)}
	if !r.Since.IsZero() {
		since, to := at(r.Since, now), at(r.At, now)
		v.Since, v.At = &since, &to
	}
	for i := range r.Spikes {
		s := &r.Spikes[i]
		shown := spikeView{Text: s.Text, Quote: s.Quote, Since: at(s.Since, now)}
		if !s.Over.IsZero() {
			over := at(s.Over, now)
			shown.Over = &over
		}
		v.Spikes = append(v.Spikes, shown)
	}
	for i := range r.Tools {
		if r.Tools[i].Tool != score.OfRun {
			v.Tools = append(v.Tools, shownOutcome(&r.Tools[i], now))
		}
	}
	for i := range causes[:min(mostCauses, len(causes))] {
		x := &causes[i]
		class := string(x.Class)
		if x.Reason != "" {
			class += " (" + string(x.Reason) + ")"
		}
		v.Causes = append(v.Causes, causeView{
			ID: x.ID, Tool: x.Tool, Class: class, Message: x.Sample, Run: x.Run, Rung: x.Rung, First: at(x.First, now), Last: at(x.Last, now), Count: x.Count, New: x.New, Line: daysLine(x.Trend),
		})
	}
	return v
}

func shownOutcome(o *score.Outcome, now time.Time) toolScore {
	v := toolScore{Tool: o.Tool, Share: "–", Window: score.Length(o.Window), Rest: "No results."}
	if o.Share != nil {
		v.Share = score.Percent(*o.Share)
		v.Rest = fmt.Sprintf("of %s from the first rung; %d degraded, %d failed, %d to people.", count(o.Results, "result", "results"), o.Degraded, o.Failed, o.People)
	}
	if b := o.Objective; b != nil {
		v.Missed = !b.Met
		v.Objective = fmt.Sprintf("Objective %s in %s: %s of the error budget left. Burn rate %.3g in an hour, %.3g in six, %.3g in a day.",
			score.Percent(b.Primary), score.Length(b.Window), score.Percent(max(0, b.Budget)), b.Burn.H1, b.Burn.H6, b.Burn.D1)
	}
	for i := range o.Rungs {
		v.Rungs = append(v.Rungs, shownRung(&o.Rungs[i], o.Results, now))
	}
	if d := o.Decisions; d.Asked > 0 || d.Decided > 0 {
		v.People = fmt.Sprintf("People were asked %s and decided %d", count(d.Asked, "time", "times"), d.Decided)
		if d.Decided > 0 {
			v.People += fmt.Sprintf(", half within %s, 95%% within %s", score.Length(d.P50), score.Length(d.P95))
		}
		if d.Late > 0 {
			v.People += fmt.Sprintf("; %d late", d.Late)
		}
		v.People += "."
	}
	return v
}

func shownRung(r *score.RungOutcome, results int, now time.Time) rungScore {
	v := rungScore{Rung: r.Rung, Text: fmt.Sprintf("%s answered, %d failed", count(r.Answered, "attempt", "attempts"), r.Faulted)}
	if results > 0 {
		v.Text = score.Percent(float64(r.Gave)/float64(results)) + " of the results; " + v.Text
	}
	if !r.Dead.IsZero() {
		since := at(r.Dead, now)
		v.Dead = &since
	}
	switch {
	case r.Silent && r.Tried.IsZero():
		v.Text += "; never tried"
	case r.Silent:
		v.Text += "; it has never answered"
	case r.Removed:
		v.Text += "; not in the tool any more"
	}
	return v
}

// daysLine draws how often something was seen on each day.
func daysLine(days []int) trendLine {
	l := trendLine{Name: "by day"}
	for _, n := range days {
		l.Most = max(l.Most, n)
	}
	var b strings.Builder
	for i, n := range days {
		x := 240 * float64(i) / float64(max(1, len(days)-1))
		b.WriteString(decimal(x) + "," + decimal(38-36*float64(n)/float64(cmp.Or(l.Most, 1))) + " ")
	}
	l.Points = strings.TrimSpace(b.String())
	return l
}
