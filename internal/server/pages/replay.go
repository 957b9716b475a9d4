package pages

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/google/uuid"

	"belay/internal/people"
	"belay/internal/runlog"
	"belay/internal/steps"
	"belay/internal/steps/view"
)

// Replays does ended runs again. The errors are [*runlog.Unreplayable] and those of [Runs].
type Replays interface {
	// PlanReplay says what would become of each step, and changes nothing.
	PlanReplay(ctx context.Context, run string, o runlog.Replaying) (steps.Replay, error)
	// Replay starts the new run. The same request with its id starts one run.
	Replay(ctx context.Context, run, id string, o runlog.Replaying, who runlog.Retried) (started string, created bool, err error)
	// Replays lists the runs that do a run again, the newest first, and at most so many.
	Replays(ctx context.Context, run string, most int) ([]runlog.Summary, error)
}

// replayView asks from which step a run is done again and, once that is chosen, says what will be done and asks for confirmation.
type replayView struct {
	Path       string // of the form
	Run, Short string // the path of the page of the run, and its name there
	From       string // the chosen step; empty = none yet
	ID         string // of the new run: a form that is sent twice starts one
	Choices    []choice
	Steps      []row         // what becomes of each
	Calls      []redoneCalls // that are made again, by step
	Refused    []string      // why it is not possible
	Reason     string
	Errors     []string
}

// redoneCalls are the calls of a step that had been made and would be made again.
type redoneCalls struct {
	Step    string
	Lines   []string
	Ask     bool // they have to be confirmed
	Checked bool
}

const mostReplays = 10

// offerReplay lets the reader do an ended run again, and names the runs that do.
func (c *Console) offerReplay(r *http.Request, v *runView, d view.Document) {
	if d.Replay != nil {
		v.Replays = choice{tail(d.Replay.Run), runPath(d.Replay.Run), false}
		v.ReplaysFrom = strings.Join(d.Replay.From, ", ")
	}
	if c.o.Replays == nil || !d.State.Ended() || d.GoesOnAs != "" {
		return
	}
	list, err := c.o.Replays.Replays(r.Context(), d.ID, mostReplays)
	if err != nil {
		c.o.Logger.WarnContext(r.Context(), "cannot say which runs do a run again", "run_id", d.ID, "error", err)
	}
	for _, s := range list {
		v.ReplayedBy = append(v.ReplayedBy, choice{tail(s.ID), runPath(s.ID), false})
	}
	if c.o.Who(r).May(people.Submit) == nil {
		v.Replay = &replayView{Path: runPath(d.ID) + "/replay", Choices: stepChoices(d, "")}
	}
}

// stepChoices are the steps of a run's plan.
func stepChoices(d view.Document, chosen string) (list []choice) {
	for _, s := range d.Steps {
		if !strings.Contains(s.ID, "~") {
			list = append(list, choice{s.ID, "", s.ID == chosen})
		}
	}
	return list
}

// replayForm says what would be done if the run were done again from the chosen step.
func (c *Console) replayForm(w http.ResponseWriter, r *http.Request) {
	c.showReplay(w, r, http.StatusOK, r.URL.Query(), nil)
}

// replay starts a run that does another one again, or shows what is in the way.
func (c *Console) replay(w http.ResponseWriter, r *http.Request) {
	if !c.parse(w, r) || !c.mayReplay(w, r) {
		return
	}
	run, form, p := r.PathValue("id"), r.PostForm, c.o.Who(r)
	who := runlog.Retried{By: p.Name, Via: p.Via, Reason: form.Get("reason"), Token: p.Token}
	if p.Token != "" {
		who.Prove = c.o.Prove
	}
	started, _, err := c.o.Replays.Replay(r.Context(), run, form.Get("new"), runlog.Replaying{From: from(form), Confirmed: form["again"]}, who)
	why, is := errors.AsType[*runlog.Unreplayable](err)
	switch {
	case err == nil:
		c.o.Logger.InfoContext(r.Context(), "a person does a run again", "run_id", run, "replay", started, "by", p.Name)
		http.Redirect(w, r, runPath(started), http.StatusSeeOther)
	case is && why.Unconfirmed():
		c.showReplay(w, r, http.StatusUnprocessableEntity, form, []string{"Nothing was started. Tick each step whose calls may be made again."})
	case is:
		c.showReplay(w, r, http.StatusConflict, form, []string{"Nothing was started."})
	default:
		c.fail(w, r, err)
	}
}

func from(form url.Values) (list []string) {
	for _, id := range form["from"] {
		if id != "" {
			list = append(list, id)
		}
	}
	return list
}

func (c *Console) mayReplay(w http.ResponseWriter, r *http.Request) bool {
	if c.o.Replays == nil {
		c.nowhere(w, r)
		return false
	}
	p := c.o.Who(r)
	if p.May(people.Submit) != nil {
		c.showProblem(w, r, http.StatusForbidden, problem{"You may not do a run again", "Your role, " + cmp.Or(roleOf(p), "a reader") + ", does not allow it.", "Nothing was started. Ask somebody who may."})
		return false
	}
	return true
}

func (c *Console) showReplay(w http.ResponseWriter, r *http.Request, status int, form url.Values, wrong []string) {
	if !c.mayReplay(w, r) {
		return
	}
	d, err := c.o.Runs.Document(r.Context(), r.PathValue("id"))
	if err != nil {
		c.fail(w, r, err)
		return
	}
	fresh, err := uuid.NewV7()
	if err != nil {
		c.fail(w, r, err)
		return
	}
	v := replayView{Path: runPath(d.ID) + "/replay", Run: runPath(d.ID), Short: tail(d.ID), From: form.Get("from"), Reason: form.Get("reason"), Errors: wrong}
	v.ID, v.Choices = cmp.Or(form.Get("new"), fresh.String()), stepChoices(d, v.From)
	if v.From != "" {
		plan, err := c.o.Replays.PlanReplay(r.Context(), d.ID, runlog.Replaying{From: from(form)})
		if err != nil {
			c.fail(w, r, err)
			return
		}
		v.fill(&plan, form["again"])
	}
	c.show(w, r, status, "replay", page{Title: "Do " + v.Short + " again", Nav: "runs", Body: v})
}

// fill says what would become of each step.
func (v *replayView) fill(plan *steps.Replay, confirmed []string) {
	v.Refused = plan.Refused
	for _, s := range plan.Steps {
		v.Steps = append(v.Steps, row{Name: s.Step, Text: view.StepFate(s) + ": " + s.Why})
		if len(s.Calls) == 0 {
			continue
		}
		calls := redoneCalls{Step: s.Step, Ask: slices.Contains(plan.Unconfirmed, s.Step), Checked: slices.Contains(confirmed, s.Step)}
		for _, call := range s.Calls {
			calls.Lines = append(calls.Lines, view.CallRedone(call))
		}
		v.Calls = append(v.Calls, calls)
	}
}
