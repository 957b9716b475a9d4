package pages

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"belay/internal/handoff"
	"belay/internal/runlog"
	"belay/internal/steps"
	"belay/internal/steps/view"
)

// runStates are the states that the list can be filtered by.
var runStates = []steps.RunState{steps.RunWaiting, steps.RunScheduled, steps.RunRunning, steps.RunDegraded, steps.RunFailed, steps.RunAborted, steps.RunCancelled, steps.RunMigrated, steps.RunSucceeded}

type runsView struct {
	Lines  []runLine
	States []choice
	Query  string
	State  string
	Total  int      // how many runs match, on all pages
	Newest string   // path of the first page; empty = it is this one
	Older  string   // path of the next page; empty = there is none
	Short  string   // why runs may be missing
	Read   int      // runs whose logs were read because of a fault that is asked for
	Wrong  string   // what is wrong with the query
	Word   string   // the name of a workflow that is asked for without saying so; empty = none is
	Help   []row    // what is searched by
	Alike  []choice // what the reader can do to all that were found
}

// runHelp says what runs are searched by.
var runHelp = []row{
	{Name: "refund", Text: "runs of this workflow"},
	{Name: "state:failed", Text: "scheduled, running, waiting, succeeded, degraded, failed, aborted or cancelled"},
	{Name: "input:order.id=A-1009", Text: "a value of the input, by its name"},
	{Name: "label:customer=17", Text: "a label"},
	{Name: "tool:payments.refund", Text: "the plan uses this tool"},
	{Name: "fault:timeout", Text: "an attempt failed with this class of fault"},
	{Name: "reason:overloaded", Text: "with this reason"},
	{Name: `text:"card expired"`, Text: "and the fault says this; logs are read for it"},
	{Name: "since:7d until:2026-01-31", Text: "submitted then; a time is 2h or 7d ago, a day or an instant"},
	{Name: "ended-since:2h ended-until:30d", Text: "ended then"},
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
	Started, For          moment // For is when a run begins whose time has not come
	Age                   string
	Took                  string
}

func runPath(id string) string { return "/runs/" + url.PathEscape(id) }

func (c *Console) runs(w http.ResponseWriter, r *http.Request) {
	form := r.URL.Query()
	now := c.o.Now()
	v := runsView{Query: form.Get("q"), State: form.Get("state"), Help: runHelp}
	if word := strings.TrimSpace(v.Query); !strings.ContainsAny(word, ": ") {
		v.Word = word
	}
	v.States = append(v.States, choice{"all", runsPath("", v.Query, ""), v.State == ""})
	for _, s := range runStates {
		v.States = append(v.States, choice{string(s), runsPath(string(s), v.Query, ""), v.State == string(s)})
	}
	f, err := runlog.ParseQuery(v.Query, now)
	if err != nil {
		v.Wrong = err.Error()
		c.show(w, r, http.StatusBadRequest, "runs", page{Title: "Runs", Nav: "runs", Body: v})
		return
	}
	if f.After, f.Limit = form.Get("after"), pageSize; v.State != "" {
		f.State = steps.RunState(v.State)
	}
	list, err := c.o.Runs.List(r.Context(), f)
	if errors.Is(err, runlog.ErrNoPlace) { // that run was removed while somebody read the page before
		http.Redirect(w, r, runsPath(v.State, v.Query, ""), http.StatusSeeOther)
		return
	}
	if err != nil {
		c.fail(w, r, err)
		return
	}
	v.Alike = c.alikePaths(c.o.Who(r), asked(v.Query, v.State))
	v.Total, v.Short, v.Read = list.Total, list.Short, list.Read
	if list.Next != "" {
		v.Older = runsPath(v.State, v.Query, list.Next)
	}
	if f.After != "" {
		v.Newest = runsPath(v.State, v.Query, "")
	}
	for _, s := range list.Items {
		v.Lines = append(v.Lines, runLineOf(s, now))
	}
	c.show(w, r, http.StatusOK, "runs", page{Title: "Runs", Nav: "runs", Body: v})
}

func runsPath(state, query, after string) string {
	q := url.Values{}
	for name, value := range map[string]string{"state": state, "q": query, "after": after} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if len(q) == 0 {
		return "/runs"
	}
	return "/runs?" + q.Encode()
}

func runLineOf(s runlog.Summary, now time.Time) runLine {
	l := runLine{Short: tail(s.ID), Path: runPath(s.ID), Workflow: s.Workflow, State: s.State, Standing: view.Standing(s.State, s.Ending), Labels: labels(s.Labels), Started: at(s.Started, now), Age: age(now.Sub(s.Started))}
	if l.Took = took(s.Took(now)); s.State == steps.RunScheduled {
		l.For = moments(s.ScheduledFor, now)
	}
	return l
}

type runView struct {
	ID, Short, Path, Workflow string
	State                     steps.RunState
	Standing                  string
	Reason                    string
	Labels                    []row
	Started, For, Ended       moment // For is when it begins, or was to, where that is not when it was submitted
	Took                      string
	RetryOf, RetryShort       string
	Migrates, GoesOnAs        choice // the run that goes on as it, and the one that it goes on as; without a path there is none
	Replays                   choice // the run that it does again; without a path there is none
	ReplaysFrom               string // from which steps on
	ReplayedBy                []choice
	Replay                    *replayView  // nil: the reader cannot do it again
	Migrate                   *migrateView // nil: the reader cannot let it go on under another plan
	Spent                     string       // what its models took; empty = it has called none
	Questions                 []choice
	Degraded                  []row
	Stricter                  []row // where workers' tools files differ from the submitted one
	Input, Output             value
	Filters                   []choice
	Bars                      []bar
	Hidden                    int    // attempts that the page has no room for
	Worked                    string // the time that the line of the bars spans
	Shrunk                    bool   // times when the run waited only for people are drawn shorter
	Events                    string // path of the raw events; empty = no such page
	Why                       *whyView
	Agents                    []*agentView
	Said                      *said // what the reader's own act has just done
}

func (c *Console) run(w http.ResponseWriter, r *http.Request) {
	d, err := c.o.Runs.Document(r.Context(), r.PathValue("id"))
	if err != nil {
		c.fail(w, r, err)
		return
	}
	var why *view.Why
	if !d.State.Ended() {
		why = c.why(r, d.ID)
	}
	v := c.makeRun(d, why, r.URL.Query().Get("show"), c.acts(r.Context(), d))
	v.Why = whyOf(why)
	v.Said = c.readSaid(w, r, v.Path)
	v.offerSteering(d, c.o.Who(r))
	c.offerReplay(r, &v, d)
	c.offerMigration(r, &v, d)
	news := url.Values{"page": {"run"}, "id": {d.ID}, "mark": {markOfRun(d)}}
	c.show(w, r, http.StatusOK, "run", page{Title: "Run " + v.Short, Nav: "runs", News: "/news?" + news.Encode(), Body: v})
}

func (c *Console) makeRun(d view.Document, why *view.Why, only string, acts map[string][]handoff.TrailLine) runView {
	now, in := c.o.Now(), newRoom()
	v := runView{
		ID: d.ID, Short: tail(d.ID), Path: runPath(d.ID), Workflow: d.Workflow, State: d.State, Standing: view.Standing(d.State, d.Ending), Reason: in.said(d.Reason), Labels: labels(d.Labels),
		Started: at(d.Started, now), Input: in.shown(d.Input, valuePath(runPath(d.ID), "input")), Output: in.shown(d.Output, valuePath(runPath(d.ID), "output")),
	}
	v.Ended, v.For = moments(d.Ended, now), moments(d.ScheduledFor, now)
	v.Took, v.Spent = took(view.Took(d.Started, d.ScheduledFor, d.Ended, now)), d.Spent.Words()
	if d.RetryOf != "" {
		v.RetryOf, v.RetryShort = runPath(d.RetryOf), tail(d.RetryOf)
	}
	if d.Migrates != nil {
		v.Migrates = choice{tail(d.Migrates.Run), runPath(d.Migrates.Run), false}
	}
	if d.GoesOnAs != "" {
		v.GoesOnAs = choice{tail(d.GoesOnAs), runPath(d.GoesOnAs), false}
	}
	for _, id := range firstOf(d.Escalations) {
		v.Questions = append(v.Questions, choice{Label: shortID(id), Path: cardPath(id)})
	}
	for _, g := range firstOf(d.Degraded) {
		v.Degraded = append(v.Degraded, row{Name: g.Step + " by " + g.Rung, Text: in.said(g.Cause)})
	}
	for i := range firstOf(d.Agents) {
		v.Agents = append(v.Agents, in.agent(&d.Agents[i], "", ""))
	}
	for _, s := range d.Stricter {
		v.Stricter = append(v.Stricter, row{Name: s.Tool, Text: s.Text()})
	}
	for _, f := range []string{"all", "failed", "retried"} {
		path := v.Path
		if f != "all" {
			path += "?show=" + f
		}
		v.Filters = append(v.Filters, choice{f, path, f == cmp.Or(only, "all")})
	}
	fall := newWaterfall(d, acts, now)
	if why != nil {
		fall.back = why.HeldBack()
	}
	v.Bars, v.Hidden = fall.bars(only)
	for i := range v.Bars {
		v.Bars[i].Message, v.Bars[i].Back = in.said(v.Bars[i].Message), in.said(v.Bars[i].Back)
	}
	v.Worked, v.Shrunk = took(fall.end.Sub(d.Begins())), fall.shrunk
	if c.o.Events != nil {
		v.Events = c.o.Events(d.ID)
	}
	return v
}

// markOfRun changes whenever the run goes on.
func markOfRun(d view.Document) string {
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
	d, err := c.o.Runs.Document(r.Context(), r.PathValue("id"))
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
