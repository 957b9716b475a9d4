package pages

import (
	"net/http"
	"strconv"
	"time"

	"belay/internal/steps/view"
)

// whyView is what a run waits for, and what will happen if nobody acts.
type whyView struct {
	Waits []waitLine
	Then  []thenLine
	Note  string
}

type waitLine struct {
	Step, Text   string
	Count        int
	Path, Short  string // of the escalation, if people are asked
	Holder       string
	Assigned     string
	Since, Until moment
}

type thenLine struct {
	At         moment
	In         string
	Step, Text string
	Count      int
	End        bool
}

// mostLines is how many waits, and how many events to come, the page shows.
const mostLines = 20

// why returns nil if it is not known, or cannot be found out now; the page is shown without it.
func (c *Console) why(r *http.Request, run string) *view.Why {
	if c.o.Why == nil || run == "" {
		return nil
	}
	w, err := c.o.Why(r.Context(), run)
	if err != nil {
		c.o.Logger.WarnContext(r.Context(), "cannot say what a run waits for", "run_id", run, "error", err)
		return nil
	}
	return &w
}

func whyOf(w *view.Why) *whyView {
	if w == nil || w.State.Ended() {
		return nil
	}
	v := &whyView{Note: w.Note}
	for _, x := range w.Waits[:min(len(w.Waits), mostLines)] {
		l := waitLine{Step: x.Step, Text: x.Text, Count: x.Count, Holder: x.Claimed, Assigned: x.Assigned, Since: moments(x.Since, w.At), Until: moments(x.Until, w.At)}
		if x.Escalation != "" {
			l.Path, l.Short = cardPath(x.Escalation), shortID(x.Escalation)
		}
		v.Waits = append(v.Waits, l)
	}
	if more := len(w.Waits) - mostLines; more > 0 {
		v.Waits = append(v.Waits, waitLine{Text: "and " + strconv.Itoa(more) + " more"})
	}
	for _, h := range w.Then[:min(len(w.Then), mostLines)] {
		l := thenLine{At: moments(h.At, w.At), Step: h.Step, Text: h.Text, Count: h.Count, End: h.What == view.HappensEnd}
		if h.At != nil {
			l.In = span(time.Duration(h.In))
		}
		v.Then = append(v.Then, l)
	}
	return v
}

func moments(t *time.Time, now time.Time) moment {
	if t == nil {
		return moment{}
	}
	return at(*t, now)
}
