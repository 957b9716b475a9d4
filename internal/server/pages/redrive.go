package pages

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"

	"belay/internal/handoff"
	"belay/internal/people"
	"belay/internal/steps/view"
)

// redriveView shows the progress of a redrive.
type redriveView struct {
	Path    string
	Label   string
	Running bool
	Mine    bool // the reader may stop it
	Left    int  // runs that it has not reached, once it has ended
	Runs    bool // its items are runs
	Done    int
	Settled int
	Total   int
	Lead    string // its state in words; may have outside text
	Reason  string
	By      string
	Started moment
	Lines   []redriveLine
}

type redriveLine struct {
	Short, Path string
	Words       string // the result; may have outside text
	Level       string // class of the page: waits, good, bad or left
	Next        string // path of the escalation that it led to
}

func redrivePath(id string) string { return "/redrives/" + url.PathEscape(id) }

func (c *Console) showRedrive(w http.ResponseWriter, r *http.Request) {
	s, err := c.o.Redrives.Get(r.Context(), r.PathValue("id"))
	if err != nil {
		c.failRedrive(w, r, err)
		return
	}
	v := c.makeRedrive(s, c.o.Who(r))
	c.show(w, r, http.StatusOK, "redrive", page{Title: v.Label + " " + count(v.Total, "item", "items"), Live: v.Running, Body: v})
}

func (c *Console) failRedrive(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, handoff.ErrNoRedrive) {
		c.showProblem(w, r, http.StatusNotFound, problem{"There is no such redrive", "Redrives are kept for some weeks.", "The list shows everything that is open."})
		return
	}
	c.fail(w, r, err)
}

func (c *Console) stopRedrive(w http.ResponseWriter, r *http.Request) {
	s, err := c.o.Redrives.Stop(r.Context(), c.o.Who(r), r.PathValue("id"))
	switch {
	case errors.Is(err, people.ErrForbidden):
		c.showProblem(w, r, http.StatusForbidden, problem{"You may not stop this", "Only people who may make this decision can stop it.", "Ask somebody who may."})
	case err != nil:
		c.failRedrive(w, r, err)
	default:
		http.Redirect(w, r, redrivePath(s.ID), http.StatusSeeOther)
	}
}

func (c *Console) makeRedrive(s handoff.Redrive, p people.Actor) redriveView {
	n := s.Counts()
	v := redriveView{
		Path: redrivePath(s.ID), Label: cmp.Or(verbWords[s.Verb].Label, runVerb(s.Verb)), Runs: s.Of == handoff.OfRuns, Running: s.State == handoff.RedriveRunning, Mine: p.May(s.Verb) == nil, Done: n[string(view.FateDone)],
		Total: len(s.Items), Reason: s.Reason, By: s.By, Started: at(s.Started, c.o.Now()), Lead: redriveLead(s),
	}
	v.Settled = v.Total - n[handoff.ItemWaiting] - n[handoff.ItemDecided]
	for _, it := range s.Items {
		l := redriveLine{Short: shortID(it.ID), Path: cardPath(it.ID)}
		if v.Runs {
			l.Short, l.Path = tail(it.ID), runPath(it.ID)
		}
		l.Words, l.Level = fateWords(it, v.Running)
		if it.Next != "" {
			l.Next = cardPath(it.Next)
		}
		v.Lines = append(v.Lines, l)
	}
	if v.Runs && !v.Running {
		v.Left = n[handoff.ItemNotReached] + n[handoff.ItemWaiting]
	}
	return v
}

// redriveLead says in what state a redrive is.
func redriveLead(s handoff.Redrive) string {
	went := s.Summary + "."
	switch s.State {
	case handoff.RedriveRunning:
		if s.StoppedBy != "" {
			return s.StoppedBy + " is stopping it. " + went
		}
		if s.Of == handoff.OfRuns {
			return went
		}
		return "It goes in growing waves, and stops by itself when a run asks again or fails. " + went
	case handoff.RedriveCameBack:
		return "It stopped by itself, because the decision did not help: " + went
	case handoff.RedriveRefused:
		return "It stopped, because " + s.By + " may no longer make this decision: " + went
	case handoff.RedriveStopped:
		return s.StoppedBy + " stopped it: " + went
	case handoff.RedriveInterrupted:
		if s.Of == handoff.OfRuns {
			return "It was interrupted: its dispatcher ended. What was done stays done; the rest is unchanged: " + went
		}
		return "It was interrupted: its dispatcher ended. What was decided stays decided; the rest is unchanged: " + went
	}
	return went
}

// fateWords says what the redrive did with an item.
func fateWords(it handoff.RedriveResult, running bool) (words, level string) {
	words = it.Words()
	switch fate := view.Fate(it.Result); {
	case fate == view.FateDone:
		return words, "good"
	case fate.Bad():
		return words, "bad"
	case fate == view.FateUnderWay, it.Result == handoff.ItemDecided:
		return words, "waits"
	case it.Result == handoff.ItemWaiting && !running:
		if it.Was != "" {
			return "not reached; going on does it, unless it has changed", "left"
		}
		return "its card shows whether it was decided", "left"
	}
	return words, "left"
}
