package console

import (
	"errors"
	"net/http"
	"net/url"

	"belay/internal/handoff"
	"belay/internal/steps"
)

// batchView is how far a decision about many items is.
type batchView struct {
	Path    string
	Label   string
	Running bool
	Mine    bool // the reader may stop it
	Done    int
	Settled int
	Total   int
	Lead    string // how it stands, in words; may hold outside text
	Reason  string
	By      string
	Started moment
	Lines   []batchLine
}

type batchLine struct {
	Short, Path string
	Words       string // what became of it; may hold outside text
	Level       string // class of the page: waits, good, bad or left
	Next        string // path of the question that it led to
}

func batchPath(id string) string { return "/bulk/" + url.PathEscape(id) }

func (c *Console) batch(w http.ResponseWriter, r *http.Request) {
	s, err := c.o.Together.Get(r.Context(), r.PathValue("id"))
	if err != nil {
		c.failBatch(w, r, err)
		return
	}
	v := c.makeBatch(s, c.o.Who(r))
	c.show(w, r, http.StatusOK, "batch", page{Title: v.Label + " " + count(v.Total, "item", "items"), Live: v.Running, Body: v})
}

func (c *Console) failBatch(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, handoff.ErrNoBatch) {
		c.showProblem(w, r, http.StatusNotFound, problem{"This is not known any more", "What was decided together is shown for some weeks.", "The list of what needs you shows all that is open."})
		return
	}
	c.fail(w, r, err)
}

func (c *Console) stopBatch(w http.ResponseWriter, r *http.Request) {
	s, err := c.o.Together.Stop(r.Context(), c.o.Who(r), r.PathValue("id"))
	switch {
	case errors.Is(err, handoff.ErrForbidden):
		c.showProblem(w, r, http.StatusForbidden, problem{"You may not stop this", "Who may decide so may stop it.", "Ask somebody who may."})
	case err != nil:
		c.failBatch(w, r, err)
	default:
		http.Redirect(w, r, batchPath(s.ID), http.StatusSeeOther)
	}
}

func (c *Console) makeBatch(s handoff.Batch, p Person) batchView {
	n := s.Counts()
	v := batchView{
		Path: batchPath(s.ID), Label: verbWords[s.Verb].Label, Running: s.State == handoff.BatchRunning, Mine: p.may(s.Verb), Done: n[string(steps.FateDone)],
		Total: len(s.Items), Reason: s.Reason, By: s.By, Started: at(s.Started, c.o.Now()), Lead: batchLead(s),
	}
	v.Settled = v.Total - n[handoff.RedriveWaiting] - n[handoff.RedriveDecided]
	for _, it := range s.Items {
		l := batchLine{Short: shortID(it.ID), Path: cardPath(it.ID)}
		l.Words, l.Level = fateWords(it, v.Running)
		if it.Next != "" {
			l.Next = cardPath(it.Next)
		}
		v.Lines = append(v.Lines, l)
	}
	return v
}

// batchLead says how it stands.
func batchLead(s handoff.Batch) string {
	went := s.Summary + "."
	switch s.State {
	case handoff.BatchRunning:
		if s.StoppedBy != "" {
			return "Stopping: " + s.StoppedBy + " wants it to end. " + went
		}
		return "It goes in growing waves, and stops by itself when a run stops again or fails. " + went
	case handoff.BatchCameBack:
		return "It stopped by itself, because what was decided did not help: " + went
	case handoff.BatchRefused:
		return "It stopped, because " + s.By + " may not decide so any more: " + went
	case handoff.BatchStopped:
		return s.StoppedBy + " stopped it: " + went
	case handoff.BatchInterrupted:
		return "The dispatcher that did it ended. What was decided stays decided; the rest is as it was: " + went
	}
	return went
}

// fateWords say what became of an item.
func fateWords(it handoff.RedriveResult, running bool) (words, level string) {
	words = it.Words()
	switch fate := steps.Fate(it.Result); {
	case fate == steps.FateDone:
		return words, "good"
	case fate.Bad():
		return words, "bad"
	case fate == steps.FateUnderWay, it.Result == handoff.RedriveDecided:
		return words, "waits"
	case it.Result == handoff.RedriveWaiting && !running:
		return "its card says whether its turn came", "left"
	}
	return words, "left"
}
