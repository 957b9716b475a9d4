package console

import (
	"cmp"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"belay/internal/handoff"
	"belay/internal/runlog"
	"belay/internal/steps"
)

// maxRuns is how many runs a list asks for: the newest.
const maxRuns = 200

// runStates are what the list can be narrowed to.
var runStates = []steps.RunState{steps.RunWaiting, steps.RunRunning, steps.RunDegraded, steps.RunFailed, steps.RunAborted, steps.RunCancelled, steps.RunSucceeded}

type runsView struct {
	Lines    []runLine
	States   []choice
	Workflow string
	State    string
	More     bool // there may be older ones
}

// choice is one of several views of a page.
type choice struct {
	Label, Path string
	Here        bool
}

type runLine struct {
	Short, Path, Workflow string
	State                 steps.RunState
	Standing              string
	Labels                []row
	Started               moment
	Age                   string
	Took                  string
}

func runPath(id string) string { return "/runs/" + url.PathEscape(id) }

func (c *Console) runs(w http.ResponseWriter, r *http.Request) {
	form := r.URL.Query()
	f := runlog.Filter{State: steps.RunState(form.Get("state")), Workflow: form.Get("workflow"), Limit: maxRuns}
	list, err := c.o.Runs.List(r.Context(), f)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	v := runsView{Workflow: f.Workflow, State: string(f.State), More: len(list) == maxRuns}
	v.States = append(v.States, choice{"all", runsPath("", f.Workflow), f.State == ""})
	for _, s := range runStates {
		v.States = append(v.States, choice{string(s), runsPath(string(s), f.Workflow), f.State == s})
	}
	now := c.o.Now()
	for _, s := range list {
		v.Lines = append(v.Lines, runLineOf(s, now))
	}
	c.show(w, r, http.StatusOK, "runs", page{Title: "Runs", Nav: "runs", Body: v})
}

func runsPath(state, workflow string) string {
	q := url.Values{}
	if state != "" {
		q.Set("state", state)
	}
	if workflow != "" {
		q.Set("workflow", workflow)
	}
	if len(q) == 0 {
		return "/runs"
	}
	return "/runs?" + q.Encode()
}

func runLineOf(s runlog.Summary, now time.Time) runLine {
	l := runLine{Short: tail(s.ID), Path: runPath(s.ID), Workflow: s.Workflow, State: s.State, Standing: steps.Standing(s.State, s.Ending), Labels: labels(s.Labels), Started: at(s.Started, now), Age: age(now.Sub(s.Started))}
	end := now
	if s.Ended != nil {
		end = *s.Ended
	}
	l.Took = took(end.Sub(s.Started))
	return l
}

type runView struct {
	ID, Short, Path, Workflow string
	State                     steps.RunState
	Standing                  string
	Reason                    string
	Labels                    []row
	Started, Ended            moment
	Took                      string
	RetryOf, RetryShort       string
	Questions                 []choice
	Degraded                  []row
	Stricter                  []row // what workers' tools files ask beyond the submitted one
	Input, Output             value
	Filters                   []choice
	Bars                      []bar
	Hidden                    int    // attempts that do not fit on the page
	Worked                    string // how long the line of the bars is
	Shrunk                    bool   // it is shorter where only people were waited for
	Events                    string // path of the raw events; empty = no such page
	Why                       *whyView
}

func (c *Console) run(w http.ResponseWriter, r *http.Request) {
	d, err := c.o.Runs.Run(r.Context(), r.PathValue("id"))
	if err != nil {
		c.fail(w, r, err)
		return
	}
	v := c.makeRun(d, r.URL.Query().Get("show"), c.acts(r.Context(), d))
	if !d.State.Ended() {
		v.Why = c.why(r, d.ID)
	}
	news := url.Values{"page": {"run"}, "id": {d.ID}, "mark": {markOfRun(d)}}
	c.show(w, r, http.StatusOK, "run", page{Title: "Run " + v.Short, Nav: "runs", News: "/news?" + news.Encode(), Body: v})
}

func (c *Console) makeRun(d steps.Document, only string, acts map[string][]handoff.TrailLine) runView {
	now, in := c.o.Now(), newRoom()
	v := runView{
		ID: d.ID, Short: tail(d.ID), Path: runPath(d.ID), Workflow: d.Workflow, State: d.State, Standing: steps.Standing(d.State, d.Ending), Reason: in.said(d.Reason), Labels: labels(d.Labels),
		Started: at(d.Started, now), Input: in.shown(d.Input, valuePath(runPath(d.ID), "input")), Output: in.shown(d.Output, valuePath(runPath(d.ID), "output")),
	}
	end := now
	if d.Ended != nil {
		end, v.Ended = *d.Ended, at(*d.Ended, now)
	}
	v.Took = took(end.Sub(d.Started))
	if d.RetryOf != "" {
		v.RetryOf, v.RetryShort = runPath(d.RetryOf), tail(d.RetryOf)
	}
	for _, id := range firstOf(d.Escalations) {
		v.Questions = append(v.Questions, choice{Label: shortID(id), Path: cardPath(id)})
	}
	for _, g := range firstOf(d.Degraded) {
		v.Degraded = append(v.Degraded, row{Name: g.Step + " by " + g.Rung, Text: in.said(g.Cause)})
	}
	for _, s := range d.Stricter {
		v.Stricter = append(v.Stricter, row{Name: s.Tool, Text: s.Text()})
	}
	for _, f := range []string{"all", "failed", "retrying"} {
		path := v.Path
		if f != "all" {
			path += "?show=" + f
		}
		v.Filters = append(v.Filters, choice{f, path, f == cmp.Or(only, "all")})
	}
	fall := newWaterfall(d, acts, now)
	v.Bars, v.Hidden = fall.bars(only)
	for i := range v.Bars {
		v.Bars[i].Message = in.said(v.Bars[i].Message)
	}
	v.Worked, v.Shrunk = took(fall.end.Sub(d.Started)), fall.shrunk
	if c.o.Events != nil {
		v.Events = c.o.Events(d.ID)
	}
	return v
}

// markOfRun changes whenever the run went on.
func markOfRun(d steps.Document) string {
	attempts := 0
	ended := 0
	for _, s := range d.Steps {
		attempts += len(s.Attempts)
		if s.State.Ended() {
			ended++
		}
	}
	return string(d.State) + string(d.Ending) + " " + strconv.Itoa(attempts) + " " + strconv.Itoa(ended) + " " + strconv.Itoa(len(d.Escalations))
}

// document is the run as programs read it.
func (c *Console) document(w http.ResponseWriter, r *http.Request) {
	d, err := c.o.Runs.Run(r.Context(), r.PathValue("id"))
	if err != nil {
		c.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	raw, err := json.Marshal(d)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	_, _ = w.Write([]byte(editable(raw))) // the reader is gone
}
