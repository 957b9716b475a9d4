package console

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

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
		Total: len(s.Items), Reason: s.Reason, By: s.By, Started: at(s.Started, c.o.Now()), Lead: batchLead(s, n),
	}
	v.Settled = v.Total - n[handoff.RedriveWaiting] - n[handoff.RedriveDecided]
	for _, it := range s.Items {
		l := batchLine{Short: shortID(it.ID), Path: cardPath(it.ID)}
		l.Words, l.Level = fateWords(it, v.Running)
		v.Lines = append(v.Lines, l)
	}
	return v
}

// batchLead says how it stands.
func batchLead(s handoff.Batch, n map[string]int) string {
	var parts []string
	add := func(k int, one, many string) {
		if k > 0 {
			parts = append(parts, count(k, one, many))
		}
	}
	add(n[string(steps.FateBack)], "failed the same way again", "failed the same way again")
	add(n[string(steps.FateOther)], "asks something else now", "ask something else now")
	add(n[string(steps.FateUnderWay)], "is still at work", "are still at work")
	add(n[handoff.RedriveRefused], "was left out", "were left out")
	add(n[handoff.RedriveNotReached], "was not touched", "were not touched")
	rest := ""
	if len(parts) > 0 {
		rest = " " + strings.Join(parts, ", ") + "."
	}
	switch s.State {
	case handoff.BatchRunning:
		if s.StoppedBy != "" {
			return "Stopping: " + s.StoppedBy + " wants it to end." + rest
		}
		return "It goes in growing waves, and stops by itself when the same fault comes back." + rest
	case handoff.BatchCameBack:
		return "It stopped by itself: the same fault came back." + rest
	case handoff.BatchStopped:
		return s.StoppedBy + " stopped it." + rest
	case handoff.BatchInterrupted:
		return "The dispatcher that did it ended. What was decided stays decided; the rest is as it was." + rest
	}
	return strings.TrimSpace(rest)
}

// fateWords say what became of an item.
func fateWords(it handoff.RedriveResult, running bool) (words, level string) {
	switch it.Result {
	case string(steps.FateDone):
		return "done", "good"
	case string(steps.FateBack):
		return "failed the same way again", "bad"
	case string(steps.FateOther):
		return "asks something else now", "bad"
	case string(steps.FateUnderWay):
		return "decided, and still at work", "waits"
	case handoff.RedriveDecided:
		return "decided, and at work", "waits"
	case handoff.RedriveRefused:
		return "left out: " + it.Detail, "left"
	case handoff.RedriveNotReached:
		return "not touched", "left"
	}
	if running {
		return "waits for its turn", "left"
	}
	return "its card says whether its turn came", "left"
}
